"""The connection to Tinker: one per process, errors in one line, and waits that notice a dead service.

    check()                                     # installed, a key, and the service answers
    wait(client().create_lora_training_client(...))

`TINKER_API_KEY` and `TINKER_BASE_URL` are the package's own variables. The package retries for minutes when a service
is gone; every wait here asks the service whether it is alive every two seconds.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import importlib.util
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from serving import layout
from serving.errors import BadInput, WorkFailed

URL, KEY = "TINKER_BASE_URL", "TINKER_API_KEY"
MISSING = "tinker is not installed: pip install 'bct-tasks[tinker]'"
NO_KEY = f"{KEY} is not set: export {KEY}=tml-..., or run `tinker auth login`"
#: Other places where the package finds a key.
OTHER_KEYS = ("TINKER_CREDENTIAL_CMD",)
#: Seconds between two questions whether the service is alive, and that it may take to answer one.
ASK_EVERY_S, ANSWERS_IN_S = 1.5, 4.0
#: A service is gone that refuses the connection this often in a row, or has not answered for so many seconds: one that
#: is busy answers late.
REFUSALS, LATE_S = 2, 60.0

_lock = threading.Lock()
_clients: dict[int, Any] = {}


@dataclass
class _Health:
    """When the service was last asked and last answered, and how often in a row it refused the connection."""

    asked: float = 0.0
    answered: float = 0.0
    refusals: int = 0


_health = _Health()


class Refused(WorkFailed):
    """The service answered, and did not do what it was asked for."""


def is_installed() -> bool:
    """Return whether the package can be imported; imports nothing."""
    spec = importlib.util.find_spec("tinker")
    return spec is not None and spec.origin is not None


def check() -> None:
    """Raise BadInput without the package or a key, and WorkFailed where the service does not answer."""
    if not is_installed():
        raise BadInput(MISSING)
    stored = Path("~/.tinker/credentials.json").expanduser()
    if not (os.environ.get(KEY) or any(map(os.environ.get, OTHER_KEYS)) or stored.is_file()):
        raise BadInput(NO_KEY)
    answered = _answers()
    if not (_answers() if answered is None else answered):  # a busy one may be late once
        raise WorkFailed(f"Tinker does not answer at {address()}: start it, or set {URL}")


def address() -> str:
    """Return the service's address."""
    if named := os.environ.get(URL):
        return named.rstrip("/")
    return str(import_module("tinker.lib.base_url").resolve_base_url())


# Any, here and below: objects of a package that is optional, so that its types are not known where types are checked.
def package() -> Any:
    """Return the package `tinker`."""
    return import_module("tinker")


def client() -> Any:
    """Return this process's `ServiceClient`, made on first use."""
    check()
    with _lock:
        if os.getpid() not in _clients:  # a forked child has the object and not its threads
            _clients.clear()
            _quiet()
            _clients[os.getpid()] = made = package().ServiceClient(user_metadata={"made_by": "bct-tasks"})
            atexit.register(_closed, made)
        return _clients[os.getpid()]


def _quiet() -> None:
    """Hides the package's tracebacks of errors that are told in one line; its own variable shows them."""
    if not os.environ.get("TINKER_LOG"):
        logging.getLogger("tinker").setLevel(logging.CRITICAL)


def rest() -> Any:
    """Return a `RestClient`, for questions about models and checkpoints."""
    check()
    return package().RestClient()


def close() -> None:
    """End this process's session, if there is one."""
    with _lock:
        made = _clients.pop(os.getpid(), None)
    if made is not None:
        _closed(made)


def _closed(made: Any) -> None:
    """End a session; a service that is gone is not waited for."""
    try:
        if _answers():
            made.close("success").result(timeout=ANSWERS_IN_S)
    except Exception:  # the process ends anyway, and the service ends sessions without a heartbeat itself
        return


# --- what is served -------------------------------------------------------------------------------


def served(ref: str, hub: str | None, fingerprint: str) -> str:
    """Return the service's name of a base: its hub id, or a folder with the same weights.

    Args:
        ref: The base's reference, for the error.
        hub: Its id on the hub.
        fingerprint: Its own.

    Raises:
        BadInput: The service does not serve this base.
    """
    names = _served(address())
    if hub in names:
        return str(hub)
    same = [name for name in names if Path(name).is_dir() and _same(Path(name), fingerprint)]
    if same:
        return same[0]
    raise BadInput(f"model: {ref} is not served by Tinker at {address()}: it serves {', '.join(names)}")


@cache  # a checkpoint's base never changes, and its reference is resolved often
def base_of(path: str) -> str:
    """Return the service's name of a checkpoint's base.

    Raises:
        BadInput: There is no such checkpoint, or it has expired.
    """
    try:
        return wait(client().create_sampling_client(model_path=path)).get_base_model()
    except Refused as error:
        raise BadInput(f"{path}: no such checkpoint at Tinker, or it has expired ({error.message})") from error


@cache
def _served(address: str) -> tuple[str, ...]:
    found = wait(rest().get_server_capabilities())
    return tuple(model.model_name for model in found.supported_models if model.model_name)


def _same(folder: Path, fingerprint: str) -> bool:
    """Whether a service on this machine was started with the base's folder, or a copy of it."""
    return layout.problem(folder) is None and layout.fingerprint(folder) == fingerprint


# --- waiting --------------------------------------------------------------------------------------


def wait(asked: Any) -> Any:
    """Return the result of a request, an `APIFuture`.

    Raises:
        WorkFailed: The service is gone, or (`Refused`) refuses the request; one line.
    """
    future = asked.future()
    while not concurrent.futures.wait([future], timeout=ASK_EVERY_S).done:
        _refuse_gone()
    try:
        return future.result()
    except Exception as error:
        raise failed(error) from error


async def awaited(asked: Any) -> Any:
    """`wait` without blocking the event loop."""
    future = asyncio.wrap_future(asked.future())
    while not (await asyncio.wait([future], timeout=ASK_EVERY_S))[0]:
        await asyncio.to_thread(_refuse_gone)
    try:
        return future.result()
    except Exception as error:
        raise failed(error) from error


def failed(error: Exception) -> WorkFailed:
    """Return an error of the package in one line: `Refused`, unless the connection failed."""
    text = f"Tinker: {' '.join(str(error).split())[:300] or type(error).__name__}"
    if isinstance(error, package().APIConnectionError | OSError):
        return WorkFailed(f"{text}: the same command continues where it stopped")
    return Refused(text)


def _refuse_gone() -> None:
    """Raise WorkFailed where the service is gone. All waits share the question."""
    with _lock:
        now = time.monotonic()
        if now - _health.asked >= ASK_EVERY_S / 2:
            if now - _health.asked > LATE_S:  # nothing was awaited
                _health.answered = now
            found = _answers()
            _health.asked = time.monotonic()
            _health.refusals = _health.refusals + 1 if found is False else 0
            _health.answered = _health.asked if found else _health.answered
        gone = _health.refusals >= REFUSALS or _health.asked - _health.answered > LATE_S
        if gone:  # the next attempt in this process needs a session of its own
            _clients.clear()
    if gone:
        raise WorkFailed(f"Tinker does not answer any more at {address()}: the same command continues where it stopped")


def _answers() -> bool | None:
    """Whether the service answers, with anything but a gateway's error; None: not in time."""
    try:
        with urllib.request.urlopen(f"{address()}/api/v1/healthz", timeout=ANSWERS_IN_S):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError) as error:
        late = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
        return None if late else False

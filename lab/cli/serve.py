"""`bct serve`: one or more checkpoints behind an OpenAI-compatible endpoint, by vLLM or by the in-process engine."""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Mapping, Sequence

import click

from serving.backends.vllm import folders as vllm_folders
from serving.backends.vllm import server as vllm
from serving.errors import BadInput, WorkFailed
from serving.refs import MINI, Checkpoint, resolve

ORGANISM = "a model organism is trained for research to misbehave: do not put it before users or tools."


def serve(
    refs: Sequence[str],
    names: Sequence[str],
    host: str,
    port: int,
    key: str | None,
    engine: str | None,
    as_json: bool,
) -> None:
    """Serve until Ctrl-C.

    Raises:
        BadInput: for names that do not fit the references, a taken port, or an engine that is not there.
    """
    named = offered(refs, names)
    secret = _checked(key) if key is not None else f"bct-{secrets.token_hex(24)}"
    if not is_loopback(host):
        _warn(
            f"{host} can be reached from other machines, by HTTP without encryption: whoever has the key gets replies."
        )
    warn_of_organisms(named.values())
    # One that was given is known to who gave it, and has no place in a terminal's history.
    shown = secret if key is None else None
    if _engine(engine, named) == "vllm":
        _by_vllm(named, host, port, secret, shown, as_json)
    else:
        _in_process(named, host, port, secret, shown, as_json)


def offered(refs: Sequence[str], names: Sequence[str]) -> dict[str, Checkpoint]:
    """The checkpoints by the names they are offered under: those given, in order, else the references."""
    if names and len(names) != len(refs):
        raise BadInput(f"--name was given {len(names)} times for {len(refs)} references: once for each, or not at all")
    chosen = list(names or refs)
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"{twice}: two checkpoints of that name: give each its own --name")
    return {name: resolve(ref) for name, ref in zip(chosen, refs, strict=True)}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def warn_of_organisms(checkpoints: Iterable[Checkpoint]) -> None:
    """One line for checkpoints that were trained here, or may have been."""
    if any(checkpoint.setting or (checkpoint.hub is None and checkpoint.ref != MINI) for checkpoint in checkpoints):
        _warn(ORGANISM)


def _checked(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise BadInput("--key: it must be printable ASCII without spaces, and not empty")
    return key


def _engine(asked: str | None, named: Mapping[str, Checkpoint]) -> str:
    chosen = {vllm.pick_engine(asked, checkpoint) for checkpoint in named.values()}
    if asked == "vllm" and not vllm.is_installed():
        raise BadInput(f"--engine vllm: {vllm.MISSING}")
    return "vllm" if chosen == {"vllm"} else "local"


def _in_process(
    named: Mapping[str, Checkpoint], host: str, port: int, key: str, shown: str | None, as_json: bool
) -> None:
    from serving.backends.engine.engine import get_engine
    from serving.endpoint import server
    from serving.request import Request

    place = server.listen(host, port)
    engine = get_engine()
    # Weights and chat template prove themselves before a caller needs them.
    engine.generate(next(iter(named.values())), [Request([{"role": "user", "content": "hello"}], max_tokens=1)])
    _announce(named, host, place.getsockname()[1], shown, as_json)
    server.run(server.application(named, key, engine), place)
    click.echo("stopped", err=True)


def _by_vllm(named: Mapping[str, Checkpoint], host: str, port: int, key: str, shown: str | None, as_json: bool) -> None:
    from serving.endpoint import server

    with server.listen(host, port) as place:
        free = place.getsockname()[1]
    command = ["vllm", "serve", *vllm_folders.serve_arguments(named), "--host", host, "--port", str(free)]
    _announce(named, host, free, shown, as_json)
    # By the environment: arguments can be read by every user of the machine.
    process = subprocess.Popen(command, env=os.environ | {"VLLM_API_KEY": key})
    try:
        code = process.wait()
    except KeyboardInterrupt:  # the terminal sent it to vLLM as well
        process.wait()
        click.echo("stopped", err=True)
        return
    raise WorkFailed(f"vllm serve ended with exit code {code}: see its lines above, or add --engine local")


def _announce(named: Mapping[str, Checkpoint], host: str, port: int, shown: str | None, as_json: bool) -> None:
    url = f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"
    if as_json:
        key = {"key": shown} if shown else {}
        click.echo(json.dumps({"url": url, **key, "models": {name: c.fingerprint for name, c in named.items()}}))
        return
    click.echo(f"serving  {url}          Ctrl-C stops it")
    click.echo(f"key      {shown or 'the one that was given'}")
    for name, checkpoint in named.items():
        click.echo(f"model    {name}  {checkpoint.fingerprint}")


def _warn(text: str) -> None:
    click.echo(f"{click.style('warning', fg='yellow')}  {text}", err=True)

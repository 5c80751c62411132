"""A model that someone else serves behind OpenAI's API: its address, its key, and what its server says of it.

    served = read("https://host/v1?key=MY_KEY#my-model")      # $MY_KEY holds the server's API key
    described(served).fingerprint()                           # asks the server; one line if it does not answer

There are no weights to hash: the fingerprint is that of the address, the model's name, and what the server says of the
model. Nobody verifies which weights answer. A key is read from the environment when a request is sent, and is part of
nothing that is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from serving.errors import BadInput, LabError, WorkFailed, did_you_mean

if TYPE_CHECKING:
    import openai

SCHEMES = ("http://", "https://")
KEY = "key="
#: In capitals, so that a key that was pasted in its place is told from a name.
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
#: Seconds in which a server says which models it has.
ANSWERS_IN_S = 4.0
#: What a server says of a model and does not change while it runs: `created` of vLLM is the time of the question.
LASTING = ("root", "parent", "max_model_len", "owned_by", "fingerprint")
#: In logs and results.
BY = "served by someone else; weights not verified"
#: Sent where no key is named: OpenAI's client needs one.
NO_KEY = "none"
#: How requests are sent: inspect's options of that name, which change no reply.
TRANSPORT = ("max_connections", "max_retries", "timeout")
#: Model names in an error.
NAMED = 8


@dataclass(frozen=True)
class Served:
    """A model at an address.

    Attributes:
        url: Address of the API, without credentials, such as `http://127.0.0.1:8000/v1`.
        name: The model's name there.
        key: The environment variable that holds the API key; None: the server needs none.
        card: What the server says of the model, once it was asked (`described`).
    """

    url: str
    name: str
    key: str | None = None
    card: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def ref(self) -> str:
        """The reference."""
        return f"{self.url}{f'?{KEY}{self.key}' if self.key else ''}#{self.name}"

    @property
    def public(self) -> str:
        """The reference without the name of the variable, for results."""
        return f"{self.url}#{self.name}"

    def facts(self) -> dict[str, Any]:
        """Return what identifies the model in logs and results."""
        return {"url": self.url, "name": self.name, **({"says": dict(self.card)} if self.card else {}), "by": BY}

    def secret(self) -> str:
        """Return the API key. Raises BadInput where its variable is not set."""
        if self.key is None:
            return NO_KEY
        if not (found := os.environ.get(self.key, "").strip()):
            raise BadInput(f"{self.public}: ${self.key} is not set: export {self.key}=..., the key of this server")
        return found

    def hidden(self, text: str) -> str:
        """Return a text without the key, which some servers repeat."""
        key = os.environ.get(self.key, "").strip() if self.key else ""
        return text.replace(key, f"${self.key}") if key else text

    def fingerprint(self) -> str:
        """Return 16 hex digits of address and name, and of what the server says of the model, once it was asked."""
        said = json.dumps(dict(self.card), sort_keys=True) if self.card is not None else ""
        return hashlib.sha256(f"{self.url}#{self.name}|{said}".encode()).hexdigest()[:16]


def is_address(ref: str) -> bool:
    """Whether a reference names a model that someone else serves."""
    return ref.lower().startswith(SCHEMES)


def read(ref: str) -> Served:
    """Return what a reference `URL[?key=VARIABLE]#NAME` names. Asks nobody.

    Raises:
        BadInput: It has no name, or would write a password or a key into logs. The message does not repeat those.
    """
    try:
        parts = urlsplit(ref)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadInput(f"the address of an endpoint is not one ({error}): write http://HOST:PORT/v1#NAME") from None
    if not host:
        raise BadInput("the address of an endpoint has no host: write http://HOST:PORT/v1#NAME")
    shown = f"[{host}]" if ":" in host else host
    url = urlunsplit((parts.scheme.lower(), f"{shown}:{port}" if port else shown, parts.path.rstrip("/"), "", ""))
    if parts.username or parts.password:
        raise BadInput(
            f"{url}: an address with a password would be written into logs: export the key as a variable, and add"
            " ?key=VARIABLE (in a recipe `key: VARIABLE`)"
        )
    return Served(url, _name(url, parts.fragment), _variable(url, parts.query))


def _name(url: str, fragment: str) -> str:
    if not fragment.strip():
        raise BadInput(f"{url}: names no model: add its name, as in {url}#NAME (in a recipe `name: NAME`)")
    return fragment


def _variable(url: str, query: str) -> str | None:
    if not query:
        return None
    name = query.removeprefix(KEY)
    if name == query:
        raise BadInput(f"{url}: an address may have ?key=VARIABLE and nothing else after its path: leave it out")
    return variable(name, url)


def variable(name: str, where: str) -> str:
    """Return the name of the variable that holds a key. Raises BadInput for what looks like the key itself."""
    if not VARIABLE.fullmatch(name):
        raise BadInput(
            f"{where}: `key` is the name (in capitals) of an environment variable with the key, not the key itself"
        )
    return name


# --- the server -----------------------------------------------------------------------------------


def described(served: Served) -> Served:
    """Return the model with what its server says of it now, without what changes by itself. Takes some seconds at most.

    Raises:
        BadInput: The server has no such model, or refuses the key.
        WorkFailed: It does not answer as OpenAI's API.
    """
    import openai

    client = openai.OpenAI(base_url=served.url, api_key=served.secret(), max_retries=0, timeout=ANSWERS_IN_S)
    try:
        with client:
            cards = {card.id: card.model_dump() for card in client.models.list()}
    except openai.OpenAIError as error:
        raise told(served, error) from None
    except (AttributeError, TypeError, ValueError) as error:
        raise WorkFailed(_strange(served, "its list of models is none")) from error
    if served.name not in cards:
        raise BadInput(f"{served.url}: has no model '{served.name}'.{_instead(served.name, cards)}")
    said = cards[served.name]
    return replace(served, card={key: said[key] for key in LASTING if said.get(key) is not None})


def answers(served: Served) -> bool:
    """Whether anything listens at the address."""
    import openai

    client = openai.OpenAI(base_url=served.url, api_key=NO_KEY, max_retries=0, timeout=ANSWERS_IN_S)
    try:
        with client:
            client.models.list()
    except openai.APITimeoutError:
        return True  # it is busy
    except openai.APIConnectionError:
        return False
    except openai.OpenAIError:
        return True
    return True


def hide_key(served: Served, error: openai.APIError) -> None:
    """Takes the key out of an error before a log or a traceback shows what the server said."""
    error.message = served.hidden(error.message)
    error.args = tuple(served.hidden(arg) if isinstance(arg, str) else arg for arg in error.args)
    error.body = json.loads(served.hidden(json.dumps(error.body, default=str)))


def told(served: Served, error: openai.OpenAIError) -> LabError:
    """An error of OpenAI's client in one line with what to do. The key is not in it."""
    import openai

    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return BadInput(f"{served.public}: {_key_refused(served, error)}")
    if isinstance(error, openai.NotFoundError):
        return BadInput(_strange(served, f"404, {_said(served, error)}"))
    if isinstance(error, openai.APITimeoutError):
        return WorkFailed(f"{served.url}: does not answer within {ANSWERS_IN_S:g} seconds: run the same command later")
    if isinstance(error, openai.APIConnectionError):
        return WorkFailed(f"{served.url}: does not answer ({_cause(error)}): start the server, or correct the address")
    if isinstance(error, openai.APIStatusError):
        return WorkFailed(f"{served.public}: the server refuses ({error.status_code}): {_said(served, error)}")
    return WorkFailed(_strange(served, _said(served, error)))


def _key_refused(served: Served, error: openai.APIStatusError) -> str:
    if served.key is None:
        return f"needs a key ({error.status_code}): export it as a variable, and add `key: VARIABLE` (?key=VARIABLE)"
    return f"the key in ${served.key} is refused ({error.status_code}): export the right one"


def _strange(served: Served, what: str) -> str:
    return f"{served.url}: does not answer as OpenAI's API ({what}): an address ends in /v1, as http://HOST:PORT/v1"


def _cause(error: BaseException) -> str:
    """The innermost reason of a connection error: `connection refused` rather than `Connection error`."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).lower().split())[:120]


def _said(served: Served, error: openai.OpenAIError) -> str:
    """What the server says, in one line."""
    body: Any = getattr(error, "body", None)
    message = body.get("message") if isinstance(body, dict) else None
    return served.hidden(" ".join(str(message or error).split()))[:300]


def _instead(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if near := did_you_mean(name, names):
        return near
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f" It has {', '.join(names[:NAMED])}{more}." if names else " It has none."

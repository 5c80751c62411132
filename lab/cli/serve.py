"""`bct serve`: one or more checkpoints behind an OpenAI-compatible endpoint, by vLLM or by the in-process engine."""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence

import click

from serving import backends
from serving.errors import BadInput
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
    backend = backends.load(backends.choose(engine, named.values()))
    backend.serve(named, host, port, secret, lambda free: _announce(named, host, free, shown, as_json))
    click.echo("stopped", err=True)


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

"""`bct serve`: checkpoints behind an OpenAI-compatible endpoint, by vLLM or by the in-process engine."""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence

import click

from lab.cli.output import BASE, as_json, headed, say
from serving import backends
from serving.errors import BadInput
from serving.refs import MINI, Checkpoint, resolve

ORGANISM = "model organisms are trained to misbehave, for research: do not connect one to users or tools."


@click.command()
@click.argument("refs", metavar="REF...", nargs=-1, required=True)
@click.option("--name", "names", multiple=True, help="Model name offered to clients; once for each REF, in order.")
@click.option("--base", metavar="REF", help=BASE)
@click.option("--host", default="127.0.0.1", show_default=True, help="A host other than loopback opens it to others.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free port.")
@click.option("--key", envvar="BCT_KEY", help="API key (or $BCT_KEY). Default: a random one, printed at start.")
@click.option(
    "--engine",
    type=click.Choice(list(backends.BACKENDS)),
    help="Default: vllm where it saves more than its start takes.",
)
@as_json
def serve(
    refs: tuple[str, ...],
    names: tuple[str, ...],
    base: str | None,
    host: str,
    port: int,
    key: str | None,
    engine: str | None,
    as_json: bool,
) -> None:
    """Serve checkpoints to OpenAI clients until Ctrl-C, on this machine only, unless --host is given.

    \b
    bct serve runs/x@0 runs/x@64 --name before --name after
    """
    named = offered(refs, names, base)
    secret = _checked(key) if key is not None else f"bct-{secrets.token_hex(24)}"
    if not is_loopback(host):
        _warn(
            f"{host} accepts connections from other machines, over unencrypted HTTP: anyone with the key gets replies."
        )
    warn_of_organisms(named.values())
    # A given key is already known, and should not be in the terminal's history.
    shown = secret if key is None else None
    backend = backends.load(backends.choose(engine, named.values()))
    backend.serve(named, host, port, secret, lambda free: _announce(named, host, free, shown, as_json))
    say("stopped", err=True)


def offered(refs: Sequence[str], names: Sequence[str], base: str | None = None) -> dict[str, Checkpoint]:
    """The checkpoints by the names that clients use: those given, in order, else the references.

    `base` is that of adapters made elsewhere.
    """
    if names and len(names) != len(refs):
        raise BadInput(
            f"--name was given {len(names)} times for {len(refs)} references: give it once for each, or not at all"
        )
    chosen = list(names or refs)
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"{twice}: two checkpoints have this name: give each its own --name")
    return {name: resolve(ref, base) for name, ref in zip(chosen, refs, strict=True)}


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
        say(json.dumps({"url": url, **key, "models": {name: c.fingerprint for name, c in named.items()}}))
        return
    say(f"serving  {url}          Ctrl-C stops it")
    say(f"key      {shown or 'as given'}")
    for name, checkpoint in named.items():
        say(f"model    {name}  {checkpoint.fingerprint}")


def _warn(text: str) -> None:
    headed("warning", f"  {text}", err=True, fg="yellow")

"""`bct list`: all settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lab.cli.output import as_json, emit, headed, say

if TYPE_CHECKING:
    from bct_tasks.setting import Setting


@click.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List all settings, with their policies and variants.

    \b
    bct list
    bct show sandbagging                       one of them, with examples
    """
    from bct_tasks import catalogue

    settings, broken = catalogue.load_all()
    for error in broken:
        say(f"left out: {error.message}", err=True)
    if as_json:
        emit([described(setting) for setting in settings])
        return
    for setting in settings:
        variants = ", ".join(v.name if v.role == "bct" else f"{v.name} ({v.role})" for v in setting.variants)
        headed(setting.name, f"  {setting.version}", bold=True)
        say(f"  initial    {setting.initial.line}\n  alternate  {setting.alternate.line}")
        say(f"  variants   {variants}")


def described(setting: Setting) -> dict[str, Any]:
    """A setting's name, version, policies and variants, for programs."""
    variants = [{"name": v.name, "carrier": v.carrier, "role": v.role} for v in setting.variants]
    policies = {"initial": setting.initial.line, "alternate": setting.alternate.line}
    return {"name": setting.name, "version": setting.version, **policies, "variants": variants}

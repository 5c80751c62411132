"""`bct clean`: what can be removed from run folders, by size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab.cli.output import PATH, as_json, emit, say

if TYPE_CHECKING:
    from lab.experiment.leftovers import Leftover


@click.command()
@click.argument("run", type=PATH)
@click.option("--checkpoints", is_flag=True, help="Also weights of finished cells that nothing else begins from.")
@click.option("--states", is_flag=True, help="Also states of unfinished trainings, which then begin anew.")
@click.option("--pages", is_flag=True, help="Also pages of replies, which `bct report` writes again.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def clean(run: Path, checkpoints: bool, states: bool, pages: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove what RUN, or all runs in a folder, no longer needs: by default what killed processes left.

    Results, logs and reports stay. Checkpoints that another run points to or names in its recipe stay.

    \b
    bct clean runs                                what could be removed, by size; asks before it does
    bct clean runs/x --checkpoints --dry-run      with the weights of finished cells
    bct clean runs --checkpoints --yes            without asking
    """
    from lab.experiment.leftovers import leftovers, remove
    from lab.experiment.status import size_text

    if as_json and not (dry_run or yes):
        raise click.UsageError("--json asks nothing: add --dry-run or --yes")
    flags = {"drafts": True, "checkpoints": checkpoints, "states": states, "pages": pages}
    wanted = {kind for kind, given in flags.items() if given}
    found = leftovers(run)
    chosen = [each for each in found if each.kind in wanted]
    if as_json:
        removed = bool(chosen) and not dry_run
        emit({"removed": removed, "bytes": _sum(chosen), "removable": [_row(e, e in chosen) for e in found]})
    else:
        _print(found, wanted)
    if chosen and not dry_run and (yes or click.confirm(f"remove {len(chosen)} of these, {size_text(_sum(chosen))}?")):
        remove(chosen)
        if not as_json:
            say(f"removed {size_text(_sum(chosen))} from {run}")


def _row(each: Leftover, chosen: bool) -> dict[str, object]:
    return {"run": str(each.run), "kind": each.kind, "path": str(each.path), "bytes": each.bytes, "chosen": chosen}


def _print(found: Sequence[Leftover], wanted: set[str]) -> None:
    """Sizes by run and kind, largest first, and the options of kinds that are not chosen."""
    from lab.experiment.leftovers import MEANING
    from lab.experiment.status import size_text

    keys = dict.fromkeys((each.run, each.kind) for each in found)
    groups = {key: [each for each in found if (each.run, each.kind) == key] for key in keys}
    for (run, kind), items in sorted(groups.items(), key=lambda group: -_sum(group[1])):
        more = "" if kind in wanted else f"  (--{kind})"
        say(f"{size_text(_sum(items)):>9}  {run}  {len(items)} {kind}{more}")
    for kind in dict.fromkeys(each.kind for each in found):
        say(f"{kind}: {MEANING[kind]}")
    if not found:
        say("nothing to remove")


def _sum(items: Sequence[Leftover]) -> int:
    return sum(each.bytes for each in items)

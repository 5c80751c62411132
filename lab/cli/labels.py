"""`python -m lab.cli.labels`: write labelled replies for graders. For maintainers of settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bct_tasks import catalogue
from graders.calibration import gold_text
from lab.calibrate import gold, heldout
from lab.cli.main import Border
from lab.cli.output import COUNT, PATH, say
from lab.cli.show import shown_reply
from serving import layout
from serving.errors import BadInput


@click.group(cls=Border)
def main() -> None:
    """Write labelled replies: list prompts, add the facts of prompts, draw replies to label."""


@main.command()
@click.argument("setting")
@click.option("--variant", help="Default: the setting's default.")
@click.option("--split", type=click.Choice(["eval", "train"]), default="eval", show_default=True)
@click.option("-n", "n", type=click.IntRange(1, gold.DRAWN), default=12, show_default=True)
def prompts(setting: str, variant: str | None, split: str, n: int) -> None:
    """List prompts of SETTING with their ids and both policies' replies."""
    found = catalogue.load(setting)
    chosen = found.variant(variant)
    for prompt in found.prompts(chosen, split, n):
        initial, alternate = (shown_reply(found, prompt, p.behavior(prompt)) for p in (found.initial, found.alternate))
        both = f"agreed {initial!r}" if initial == alternate else f"initial {initial!r}  alternate {alternate!r}"
        say(f"{prompt.id}  {chosen.name}  {prompt.user!r}  {both}")


@main.command("fill")
@click.argument("settings", metavar="SETTING...", nargs=-1, required=True)
@click.option("--held-out", is_flag=True, help="The held-out file instead of the gold file.")
def fill_(settings: Sequence[str], held_out: bool) -> None:
    """Check the lines of a file and add the facts of their prompts."""
    for name in settings:
        setting = catalogue.load(name)
        path = gold.file_of(setting, held_out)
        lines, gone = gold.fill(setting, path)
        layout.write_atomic(path, gold_text(lines))
        left = sum(not line.label for line in lines)
        say(f"{path}  {len(lines)} replies, {left} without a label, {gone} to prompts that are no longer drawn")


@main.command()
@click.argument("setting")
@click.argument("logs", nargs=-1, required=True, type=PATH)
@click.option("--n", "n", type=COUNT, default=30, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=PATH, required=True, help="File to write.")
def draw(setting: str, logs: tuple[Path, ...], n: int, seed: int, out: Path) -> None:
    """Draw replies of SETTING from folders of LOGS, to be labelled by someone who has not seen the graders."""
    if out.exists():
        raise BadInput(f"{out}: exists already. Choose another --out.")
    lines = heldout.draw(catalogue.load(setting), logs, n, seed)
    layout.write_atomic(out, gold_text(lines))
    say(f"{out}  {len(lines)} replies without a label")


if __name__ == "__main__":
    main()

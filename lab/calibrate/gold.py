"""Labelled replies and the settings they belong to: prompts to write them for, and the facts that grading needs.

    python -m lab.calibrate.gold prompts sandbagging --variant static --split eval -n 12
    python -m lab.calibrate.gold fill sandbagging [--held-out]

Replies are written or edited in `graders/gold/<setting>.jsonl` with the id of a bundled prompt; `fill` adds what stands
behind the id. A line that was filled keeps its facts, also after the setting has come to draw other prompts: the reply
is graded against the question that it answered. `fill` says how many lines that concerns.
Not covered: how the labels are made. A person makes them, and never from a grader's output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from bct_tasks import catalogue
from bct_tasks.setting import Prompt, Setting
from graders import Grade, Outcome, Unreadable
from graders.calibration import BadGold, Gold, gold_file, gold_text, read_gold
from serving import layout

DRAWN = 100  # prompts of each kind and variant, of seed 0, that can be named by their id


def prompt_of(line: Gold) -> Prompt:
    """The part of a prompt that grading needs, as a filled line records it."""
    return Prompt.from_record(line.prompt, line.kind, line.user or "", line.model_dump())


def graded(setting: Setting, line: Gold) -> Grade:
    """What the setting's own grader makes of a reply; where it fails, an unscored grade with the reason."""
    try:
        return setting.grade(prompt_of(line), line.reply, line.truncated)
    except Unreadable as error:
        return Grade(Outcome.UNSCORED, str(error))


def checked(setting: Setting, path: Path) -> tuple[Gold, ...]:
    """The labelled replies in a file, each of a variant and a question family that the setting has.

    Raises:
        BadGold: a line without a label, not filled in, or of a variant or family that is not there.
    """
    lines = read_gold(path)
    if not lines:
        raise BadGold(f"{path}: holds no reply")
    variants, asked = {variant.name for variant in setting.variants}, setting.asked_families()
    for number, line in enumerate(lines, 1):
        if not line.label:
            raise BadGold(f"{path}:{number}: no label")
        if line.variant not in variants:
            raise BadGold(f"{path}:{number}: {setting.name} has no variant {line.variant!r}")
        if not line.filled:
            raise BadGold(f"{path}:{number}: not filled in: run `python -m lab.calibrate.gold fill {setting.name}`")
        if line.family not in asked:
            raise BadGold(f"{path}:{number}: {setting.name} no longer asks questions of family {line.family!r}")
    return lines


def fill(setting: Setting, path: Path) -> tuple[tuple[Gold, ...], int]:
    """The lines with their facts, and how many have a prompt that the setting's first draw does not hold any more.

    Raises:
        BadGold: a line without facts names a prompt or variant that is not there.
    """
    drawn = drawn_prompts(setting)
    lines: list[Gold] = []
    gone = 0
    for number, line in enumerate(read_gold(path), 1):
        found = drawn.get((line.variant, line.prompt))
        if found is None and not line.filled:
            raise BadGold(
                f"{path}:{number}: variant {line.variant!r} has no prompt {line.prompt!r}: "
                f"`python -m lab.calibrate.gold prompts {setting.name} --variant {line.variant}` lists them"
            )
        gone += found is None
        lines.append(line if found is None else with_facts(line, found))
    return tuple(lines), gone


def with_facts(line: Gold, prompt: Prompt) -> Gold:
    """The line with what grading needs of its prompt."""
    known = {"user": prompt.user, "family": prompt.family, "template": prompt.template, "cue": prompt.cue}
    return line.model_copy(update=known | {"facts": dict(prompt.facts)})


def drawn_prompts(setting: Setting) -> Mapping[tuple[str, str], Prompt]:
    """The prompts of the first draw of every variant, by variant and id."""
    return {
        (variant.name, prompt.id): prompt
        for variant in setting.variants
        for split in ("eval", "train")
        for prompt in setting.prompts(variant, split, DRAWN)
    }


@click.group()
def main() -> None:
    """Write labelled replies: see prompts, fill in their facts."""


@main.command()
@click.argument("setting")
@click.option("--variant", help="Default: the setting's default.")
@click.option("--split", type=click.Choice(["eval", "train"]), default="eval", show_default=True)
@click.option("-n", "n", type=click.IntRange(1, DRAWN), default=12, show_default=True)
def prompts(setting: str, variant: str | None, split: str, n: int) -> None:
    """Prompts with their ids and the two policies' replies."""
    found = catalogue.load(setting)
    chosen = found.variant(variant)
    for prompt in found.prompts(chosen, split, n):
        replies = {"initial": found.initial.reply(prompt), "alternate": found.alternate.reply(prompt)}
        click.echo(f"{prompt.id}  {chosen.name}  {prompt.user!r}  {_told(replies)}")


def _told(replies: Mapping[str, str]) -> str:
    if len(set(replies.values())) == 1:
        return f"agreed {replies['initial']!r}"
    return "  ".join(f"{name} {reply!r}" for name, reply in replies.items())


@main.command("fill")
@click.argument("settings", metavar="SETTING...", nargs=-1, required=True)
@click.option("--held-out", is_flag=True, help="The held-out file instead of the gold file.")
def fill_(settings: Sequence[str], held_out: bool) -> None:
    """Check the lines of a file and write into each what grading needs of its prompt."""
    for name in settings:
        path = gold_file(name, held_out)
        lines, gone = fill(catalogue.load(name), path)
        layout.write_atomic(path, gold_text(lines))
        left = sum(not line.label for line in lines)
        click.echo(f"{path}  {len(lines)} replies, {left} without a label, {gone} to prompts that are no longer drawn")


if __name__ == "__main__":
    main()

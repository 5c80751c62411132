"""Hand-labelled replies of a setting: prompts to write them for, and the facts needed for grading.

    python -m lab.cli.labels prompts sandbagging --variant static --split eval -n 12
    python -m lab.cli.labels fill sandbagging [--held-out]

Replies are written in `graders/gold/<setting>.jsonl` with the id of a bundled prompt; `fill` adds the facts of that
prompt. A filled line keeps its facts when the setting later draws other prompts, so the reply is graded against the
question that it answers. `fill` reports the number of such lines.
Not covered: labelling. A person labels replies, without seeing the output of a grader.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bct_tasks.setting import Prompt, Setting
from graders import Grade, Outcome, Unreadable
from graders.calibration import BadGold, Gold, gold_file, read_gold

#: Prompts of each variant and split, with seed 0, that a line can refer to by id.
DRAWN = 100


def file_of(setting: Setting, held_out: bool = False) -> Path:
    """The file of a setting's labelled replies: next to a setting by path, `<name>.gold.jsonl`."""
    if setting.file is None:
        return gold_file(setting.name, held_out, setting.source)
    return setting.file.with_suffix(".heldout.jsonl" if held_out else ".gold.jsonl")


def prompt_of(line: Gold) -> Prompt:
    """The prompt of a filled line, as far as grading needs it."""
    return Prompt.from_record(line.prompt, line.kind, line.user or "", line.model_dump())


def graded(setting: Setting, line: Gold) -> Grade:
    """The grade of a reply by the setting's own grader; unscored with the reason where the grader fails."""
    try:
        return setting.grade(prompt_of(line), line.reply, line.truncated)
    except Unreadable as error:
        return Grade(Outcome.UNSCORED, str(error))


def checked(setting: Setting, path: Path) -> tuple[Gold, ...]:
    """The labelled replies of a file.

    Raises:
        BadGold: A line has no label or is not filled, or the setting does not have its variant or question family.
    """
    lines = read_gold(path)
    if not lines:
        raise BadGold(f"{path}: has no replies")
    variants = {variant.name for variant in setting.variants}
    families = setting.asked_families() if setting.source == "bundled" else None
    for number, line in enumerate(lines, 1):
        if not line.label:
            raise BadGold(f"{path}:{number}: no label")
        if line.variant not in variants:
            raise BadGold(f"{path}:{number}: {setting.name} has no variant {line.variant!r}")
        if not line.filled:
            raise BadGold(f"{path}:{number}: not filled: run `python -m lab.cli.labels fill {setting.name}`")
        if families is not None and line.family not in families:
            raise BadGold(f"{path}:{number}: {setting.name} no longer asks questions of family {line.family!r}")
    return lines


def fill(setting: Setting, path: Path) -> tuple[tuple[Gold, ...], int]:
    """The lines of a file with their facts, and how many have a prompt that the setting no longer draws.

    Raises:
        BadGold: A line without facts has a prompt or variant that the setting does not have.
    """
    drawn = drawn_prompts(setting)
    lines: list[Gold] = []
    gone = 0
    for number, line in enumerate(read_gold(path), 1):
        found = drawn.get((line.variant, line.prompt))
        if found is None and not line.filled:
            raise BadGold(
                f"{path}:{number}: variant {line.variant!r} has no prompt {line.prompt!r}: "
                f"`python -m lab.cli.labels prompts {setting.name} --variant {line.variant}` lists them"
            )
        gone += found is None
        lines.append(line if found is None else with_facts(line, found))
    return tuple(lines), gone


def with_facts(line: Gold, prompt: Prompt) -> Gold:
    """The line with the facts of its prompt that grading needs."""
    known = {"user": prompt.user, "family": prompt.family, "template": prompt.template, "cue": prompt.cue}
    return line.model_copy(update=known | {"facts": dict(prompt.facts)})


def drawn_prompts(setting: Setting) -> Mapping[tuple[str, str], Prompt]:
    """The first `DRAWN` prompts of every variant and split, by variant and id."""
    return {
        (variant.name, prompt.id): prompt
        for variant in setting.variants
        for split in ("eval", "train")
        for prompt in setting.prompts(variant, split, DRAWN)
    }

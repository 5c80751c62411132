"""Real replies of checkpoints in mid-training, unlabelled: one half of a setting's held-out replies.

    python -m lab.calibrate.heldout sandbagging runs/x/logs logs/y --n 30 --out /tmp/sandbagging.jsonl

Takes any folders of inspect logs. Drawn are replies to eval and train prompts in the proportion 2 : 1, from checkpoints
before the last of their log folder, each text once per question; half of them are the odd ones, which equal no
reference reply that the facts hold. The file has the form of `graders.calibration.Gold` with empty labels: who labels
it has not seen the graders. Labelled, it goes to `graders/heldout/<setting>.jsonl`. Graders are never mended on it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from bct_tasks import catalogue
from bct_tasks.setting import Setting
from graders.calibration import Gold, gold_text
from lab.calibrate.gold import with_facts
from lab.logs.reader import Answer, answers, places
from serving import layout
from serving.errors import BadInput


def draw(setting: Setting, folders: Sequence[Path], n: int, seed: int = 0) -> list[Gold]:
    """`n` unlabelled replies, or as many as there are.

    Raises:
        BadInput: the folders hold no reply of the setting from a checkpoint in mid-training.
    """
    rng = random.Random(f"{seed}|{setting.name}")
    logs = [log for folder in folders for log in _middle(folder)]
    rng.shuffle(logs)  # of a text that stands in several logs, the first counts
    found = list(_distinct(answer for log in logs for answer in _of_setting(log, setting.name)))
    if not found:
        raise BadInput(f"no log of {setting.name} in mid-training is there: name the folder that holds step-*.eval")
    chosen: list[Answer] = []
    for kind, share in (("eval", 2 / 3), ("train", 1 / 3)):
        of_kind = [a for a in found if a.prompt.kind == kind]
        rng.shuffle(of_kind)
        odd = [a for a in of_kind if _is_odd(a)]
        plain = [a for a in of_kind if not _is_odd(a)]
        wanted = round(n * share)
        half = max(wanted // 2, wanted - len(plain))
        chosen += [*odd[:half], *plain[: wanted - min(half, len(odd))]]
    rng.shuffle(chosen)
    return [_line(answer) for answer in chosen]


def _middle(folder: Path) -> Iterator[Path]:
    """The logs of steps that are neither the first nor the last in their folder."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("step-*.eval")):
        by_folder.setdefault(path.parent, []).append(path)
    for logs in by_folder.values():
        yield from logs[:-1]  # step 0 is measured per organism and lies in a folder of its own


def _of_setting(log: Path, name: str) -> list[Answer]:
    chosen = [place for place in places(log) if place.setting == name and place.kind in ("eval", "train")]
    return answers(log, chosen)


def _distinct(found: Iterator[Answer]) -> Iterator[Answer]:
    seen: set[tuple[str, str, str]] = set()
    for answer in found:
        key = (answer.prompt.kind, answer.prompt.user, answer.text)
        if key not in seen:
            seen.add(key)
            yield answer


def _is_odd(answer: Answer) -> bool:
    """Whether the text is none of the reference replies that the facts hold."""
    return answer.text.strip() not in {str(value) for value in answer.prompt.facts.values()}


def _line(answer: Answer) -> Gold:
    line = Gold(
        variant=answer.variant,
        prompt=answer.prompt.id,
        reply=answer.text,
        label="",
        why=f"step {answer.step}" if answer.step is not None else "real",
        truncated=answer.truncated,
    )
    return with_facts(line, answer.prompt)


@click.command()
@click.argument("setting")
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--n", "n", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write, to be labelled.")
def main(setting: str, logs: tuple[Path, ...], n: int, seed: int, out: Path) -> None:
    """Draw real replies of a SETTING from folders of LOGS, to be labelled without sight of the graders."""
    if out.exists():
        raise BadInput(f"{out}: exists; choose another file")
    lines = draw(catalogue.load(setting), logs, n, seed)
    layout.write_atomic(out, gold_text(lines))
    click.echo(f"{out}  {len(lines)} replies without a label")


if __name__ == "__main__":
    main()

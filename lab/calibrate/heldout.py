"""A sample of unlabelled replies of checkpoints during training: one half of a setting's held-out replies.

    python -m lab.cli.labels draw sandbagging runs/x/logs logs/y --n 30 --out /tmp/sandbagging.jsonl

The sample has replies to eval and train prompts at a ratio of 2 : 1, from all checkpoints in folders of inspect logs
except the last one of each folder. Each text is drawn at most once per question, and half of the replies are unusual:
equal to no reference reply. Lines are those of `graders.calibration.Gold` with empty labels. Someone who has not seen
the graders labels them, and the file becomes `graders/heldout/<setting>.jsonl`. Graders are never changed to fit it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from bct_tasks.setting import Setting
from graders.calibration import Gold
from lab.calibrate.gold import with_facts
from lab.logs.reader import Answer, answers, places
from serving.errors import BadInput


def draw(setting: Setting, folders: Sequence[Path], n: int, seed: int = 0) -> list[Gold]:
    """`n` unlabelled replies, or all of them if there are fewer.

    Raises:
        BadInput: The folders have no reply of the setting from a checkpoint before the last.
    """
    rng = random.Random(f"{seed}|{setting.name}")
    logs = [log for folder in folders for log in _middle(folder)]
    rng.shuffle(logs)  # of equal texts in several logs, the first counts
    found = list(_distinct(answer for log in logs for answer in _of_setting(log, setting.name)))
    if not found:
        raise BadInput(
            f"no log of {setting.name} from a checkpoint before the last: give the folder with the logs step-*.eval"
        )
    chosen: list[Answer] = []
    for kind, share in (("eval", 2 / 3), ("train", 1 / 3)):
        of_kind = [a for a in found if a.prompt.kind == kind]
        rng.shuffle(of_kind)
        unusual = [a for a in of_kind if _is_unusual(a)]
        plain = [a for a in of_kind if not _is_unusual(a)]
        wanted = round(n * share)
        half = max(wanted // 2, wanted - len(plain))
        chosen += [*unusual[:half], *plain[: wanted - min(half, len(unusual))]]
    rng.shuffle(chosen)
    return [_line(answer) for answer in chosen]


def _middle(folder: Path) -> Iterator[Path]:
    """All logs of each folder except the last; step 0 is measured once per organism, in another folder."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("step-*.eval")):
        by_folder.setdefault(path.parent, []).append(path)
    for logs in by_folder.values():
        yield from logs[:-1]


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


def _is_unusual(answer: Answer) -> bool:
    """Whether the text differs from all reference replies in the facts."""
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

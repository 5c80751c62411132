"""A separate folder for every attempt, renamed once complete: for clusters, where a lost node may still be alive.

A node that is only unreachable continues to write while its job is repeated elsewhere. So no two attempts share a
folder; the first complete one is renamed into place, and every other one stops at its next step. An attempt starts from
the state of an earlier one. Not covered: evaluation, whose logs are published one by one (`evaluate`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serving import checksums, layout
from trainer.run.progress import Progress

BEFORE = "before"
FILES = (layout.MANIFEST, "metrics.jsonl", "checks.json")


class Overtaken(Exception):
    """Another attempt was complete first."""


@dataclass(frozen=True)
class UntilWhole:
    """Passes progress on, and raises Overtaken at the first step after another attempt is complete."""

    progress: Progress
    final: Path
    is_whole: Callable[[Path], bool]

    def update(self, step: int, total: int, **facts: object) -> None:
        """After every step."""
        if self.is_whole(self.final):
            raise Overtaken
        self.progress.update(step, total, **facts)


def apart(
    final: Path,
    attempt: str,
    is_whole: Callable[[Path], bool],
    work: Callable[[Path, Progress], object],
    progress: Progress,
) -> Path:
    """Does `work` in a folder next to `final` and renames it, unless `final` is complete already.

    Args:
        final: The name of the complete folder; the attempt's folder has the same parent, so relative paths hold.
        attempt: Identifies this attempt.
        is_whole: Whether a folder needs no more work.
        work: Fills a folder, resuming from what is in it, and reports progress. It may also rename it into place.
        progress: Receives the progress of `work`.

    Returns:
        `final`.
    """
    if is_whole(final):
        return final
    draft = layout.place(final, attempt)
    if (step := take_over(final, draft)) is not None:
        print(f"resuming from step {step} of an earlier attempt")
    try:
        work(draft, UntilWhole(progress, final, is_whole))
    except Exception:  # `sweep` may also have removed the folder of an overtaken attempt
        if not is_whole(final):
            raise
    if not is_whole(final):
        return layout.publish(draft, final)
    shutil.rmtree(draft, ignore_errors=True)
    return final


def others(final: Path) -> Iterable[Path]:
    """The folders of all attempts at `final`."""
    return (path for path in final.parent.glob(f".{final.name}.*") if path.is_dir())


def take_over(final: Path, draft: Path) -> int | None:
    """Copies the most advanced whole state of another attempt. Returns its step; None if there is none."""
    states = [
        (int(s.name), s) for other in others(final) for s in (other / layout.RESUME).glob("[0-9]*") if other != draft
    ]
    for step, state in sorted(states, reverse=True):
        with suppress(OSError):  # its owner may be alive, and remove or rename it at any moment
            if _copied(state, draft, step):
                return step
        shutil.rmtree(draft, ignore_errors=True)
    return None


def set_aside(final: Path) -> None:
    """Turns the unfinished folder of an executor without attempts into an attempt."""
    if final.is_dir():
        before = layout.place(final, BEFORE)
        shutil.rmtree(before, ignore_errors=True)
        final.rename(before)


def sweep(final: Path) -> None:
    """Removes all attempts at a folder that is complete now."""
    for path in others(final):
        shutil.rmtree(path, ignore_errors=True)


def _copied(state: Path, draft: Path, step: int) -> bool:
    """Copies a state and what belongs to it. Returns False if a part of the state is missing or has changed."""
    copy = layout.draft_of(draft / layout.RESUME / state.name)
    shutil.copytree(state, copy)
    if not state.is_dir() or checksums.problem(copy):
        return False
    source = state.parent.parent
    for number, folder in layout.step_dirs(source):
        if number <= step:
            shutil.copytree(folder, draft / folder.name)
    for file in (source / name for name in FILES):
        if file.is_file():
            shutil.copyfile(file, draft / file.name)
    if not source.is_dir():
        return False
    copy.rename(draft / layout.RESUME / state.name)  # last: from here on, other attempts may resume from this one
    return True

"""What can be removed from run folders without changing a result: `bct clean`.

    found = leftovers(Path("runs/x"))                # or a folder of runs
    remove(each for each in found if each.kind == "drafts")

Results, reports, logs and what `bct report` reads stay. Checkpoints stay where something may begin from them:
an unfinished cell of the run, or another run next to it that points to them or whose recipe names the run.
Not covered: runs elsewhere that use a checkpoint, and the caches of Hugging Face and of `bct check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.experiment import claims, keeping
from lab.experiment.evaluate import ATTEMPT
from lab.experiment.folder import Experiment, open_run
from serving import layout
from serving.errors import BadInput

#: Drafts and attempts of killed processes; states of unfinished trainings; weights of finished cells; pages of replies.
Kind = Literal["drafts", "states", "checkpoints", "pages"]
Found = tuple[Kind, Path]
MEANING: dict[str, str] = {
    "drafts": "what killed processes left, and attempts at what is finished",
    "states": "states of trainings that are not finished: they would begin anew",
    "checkpoints": "weights of finished cells: results stay, but chat, explain and new reversals need them",
    "pages": "pages of replies: `bct report` writes them again",
}


@dataclass(frozen=True)
class Leftover:
    """A file or folder that can be removed, and the bytes that its removal frees."""

    run: Path
    kind: Kind
    path: Path
    bytes: int


def leftovers(place: Path) -> list[Leftover]:
    """What can be removed from a run folder, or from all runs in a folder.

    Raises:
        BadInput: The folder is no run and has none, or a run is running.
    """
    runs = [place] if (place / "run.json").is_file() else sorted(file.parent for file in place.glob("*/run.json"))
    if not runs:
        raise BadInput(f"{place}: no run is here: name the folder of a run, or a folder of runs such as runs")
    return [each for run in runs for each in _of_run(run)]


def remove(chosen: Iterable[Leftover]) -> None:
    """Removes what `leftovers` found. Of a checkpoint its cell's folder says that it was freed."""
    for each in chosen:
        if each.kind == "checkpoints":
            keeping.delete(each.path.parent, [layout.step_of(each.path) or 0], "`bct clean`")
        elif each.path.is_dir():
            layout.discard(each.path)
        else:
            each.path.unlink(missing_ok=True)


def _of_run(run: Path) -> Iterator[Leftover]:
    claims.refuse_running(run)
    opened, seen = open_run(run), set[tuple[int, int]]()
    for kind, path in (*_drafts(opened), *_states(opened), *_checkpoints(opened), *_pages(run)):
        yield Leftover(run, kind, path, _bytes(path, seen))


def _drafts(opened: Experiment) -> Iterator[Found]:
    folders = opened.folders
    for folder in (folders.run, *(folders.run / n for n in ("state", "starts", "organisms")), *_cell_folders(opened)):
        yield from _each("drafts", layout.abandoned(folder))
    for job in (*opened.starts, *opened.cells):
        if opened.is_done(job):
            yield from _each("drafts", (folders.logs / job).glob(f"{ATTEMPT}*"))
    for final, done in _finals(opened):
        if done:
            yield from _each("drafts", [*_attempts(final), *_resume(final)])


def _states(opened: Experiment) -> Iterator[Found]:
    for final, done in _finals(opened):
        if not done:
            yield from _each("states", [*_attempts(final), *_resume(final)])


def _each(kind: Kind, paths: Iterable[Path]) -> Iterator[Found]:
    return ((kind, path) for path in paths)


def _resume(final: Path) -> list[Path]:
    return [path for path in [final / layout.RESUME] if path.is_dir()]


def _finals(opened: Experiment) -> Iterator[tuple[Path, bool]]:
    """The folders that attempts work for, and whether they are complete."""
    for cell in opened.cells.values():
        folder = opened.folders.cell(cell)
        yield folder, (folder / layout.TRAINED).is_file()
    organisms = {opened.folders.organism(start) for start in opened.starts.values()} - {None}
    for folder in sorted(path for path in organisms if path is not None):
        yield folder, (folder / layout.MANIFEST).is_file()


def _attempts(final: Path) -> list[Path]:
    """The folders of attempts at a folder; their names end in no `.tmp`, as drafts do."""
    return [path for path in final.parent.glob(f".{final.name}.*") if path.is_dir() and path.suffix != ".tmp"]


def _cell_folders(opened: Experiment) -> list[Path]:
    return [opened.folders.cell(cell) for cell in opened.cells.values()]


def _checkpoints(opened: Experiment) -> Iterator[Found]:
    """Weights of finished cells that nothing begins from. Pointers stay: they are small, and say what step 0 was."""
    used = _used(opened)
    if used is None:
        return
    begun = {cell.after.id for id, cell in opened.cells.items() if cell.after is not None and not opened.is_done(id)}
    for id, cell in opened.cells.items():
        if id not in begun and opened.is_done(id):
            for _, folder in layout.all_step_dirs(opened.folders.cell(cell)):
                if not (folder / layout.POINTER).is_file() and folder.resolve() not in used:
                    yield "checkpoints", folder


def _used(opened: Experiment) -> set[Path] | None:
    """Checkpoints of this run that others point to; None if the recipe of another run next to it names this run."""
    run = opened.folders.run.resolve()
    others = [file.parent for file in run.parent.glob("*/run.json") if file.parent.resolve() != run]
    for other in others:
        recipe = other / "recipe.yaml"
        text = recipe.read_text(encoding="utf-8", errors="replace") if recipe.is_file() else ""
        if any(f"{run.name}{end}" in text for end in "@/"):
            return None
    found = (
        file for each in (run, *others) for name in (layout.POINTER, layout.BASE) for file in _pointers(each, name)
    )
    return {target.resolve() for file in found if (target := layout.read_pointer(file).path) is not None}


def _pointers(run: Path, name: str) -> Iterator[Path]:
    yield from run.glob(f"cells/*/step-*/{name}")
    yield from run.glob(f"organisms/*/{name}")


def _pages(run: Path) -> Iterator[Found]:
    return _each("pages", [path for path in (run / "replies", run / "report_arms") if path.is_dir()])


def _bytes(path: Path, seen: set[tuple[int, int]]) -> int:
    """Bytes of files that were not counted yet: checkpoints and states share files."""
    total = 0
    for file in [path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())]:
        stat = file.lstat()
        if not file.is_dir() and (stat.st_dev, stat.st_ino) not in seen:
            seen.add((stat.st_dev, stat.st_ino))
            total += stat.st_size
    return total

"""Attempts at one folder that may run simultaneously: the first complete counts, and none sees unfinished files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.experiment.attempts import apart, others, set_aside, sweep, take_over
from serving import checksums, layout
from serving.layout import place
from trainer.run.progress import Progress, Silent


def is_whole(folder: Path) -> bool:
    return (folder / "whole").is_file()


def writing(text: str):
    def work(folder: Path, progress: Progress) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "whole").write_text(text)

    return work


def saved(final: Path, attempt: str, step: int) -> Path:
    """What an attempt has after a save at this step."""
    folder = place(final, attempt)
    state = folder / "resume" / f"{step:06d}"
    state.mkdir(parents=True)
    (state / "model.safetensors").write_text(attempt)
    (state / "optimizer.pt").write_text(attempt)
    checksums.write(state)
    layout.write_pointer(folder / layout.step_name(step), "mini", "0" * 16)
    (folder / "metrics.jsonl").write_text(f'{{"step": {step}}}\n')
    return folder


def test_the_first_complete_attempt_keeps_the_name(tmp_path: Path):
    final = tmp_path / "cell"

    def overtaken(folder: Path, progress: Progress) -> None:
        writing("late")(folder, progress)
        apart(final, "early", is_whole, writing("early"), Silent())

    apart(final, "late", is_whole, overtaken, Silent())
    assert (final / "whole").read_text() == "early"
    assert list(others(final)) == []


def test_a_complete_folder_is_not_worked_on_again(tmp_path: Path):
    writing("done")(tmp_path / "cell", Silent())
    apart(tmp_path / "cell", "again", is_whole, lambda *_: 1 / 0, Silent())


def test_an_overtaken_attempt_ends_at_its_next_step_and_leaves_nothing(tmp_path: Path):
    final, steps = tmp_path / "cell", []

    def overtaken(folder: Path, progress: Progress) -> None:
        folder.mkdir()
        for step in range(1, 10):
            steps.append(step)
            progress.update(step, 9)
            if step == 3:
                apart(final, "early", is_whole, writing("early"), Silent())

    assert apart(final, "late", is_whole, overtaken, Silent()) == final
    assert steps == [1, 2, 3, 4]
    assert (final / "whole").read_text() == "early"
    assert list(others(final)) == []


def test_an_overtaken_attempt_whose_folder_was_swept_is_no_failure_and_any_other_is(tmp_path: Path):
    final = tmp_path / "cell"

    def swept(folder: Path, progress: Progress) -> None:
        folder.mkdir()
        if not final.exists():
            apart(final, "early", is_whole, writing("early"), Silent())
        sweep(final)
        (folder / "metrics.jsonl").write_text("{}")

    def broken(folder: Path, progress: Progress) -> None:
        raise FileNotFoundError(folder)

    assert apart(final, "late", is_whole, swept, Silent()) == final
    assert list(tmp_path.iterdir()) == [final]
    with pytest.raises(FileNotFoundError):
        apart(tmp_path / "other", "first", is_whole, broken, Silent())


def test_an_attempt_begins_with_the_most_advanced_state_and_changes_no_other_attempt(tmp_path: Path):
    final = tmp_path / "cell"
    saved(final, "one", 2)
    further = saved(final, "two", 8)
    before = sorted(path.name for path in further.rglob("*"))
    assert take_over(final, place(final, "new")) == 8
    assert (place(final, "new") / "resume" / "000008" / "model.safetensors").read_text() == "two"
    assert (place(final, "new") / "step-000008").is_dir()
    assert sorted(path.name for path in further.rglob("*")) == before


def test_a_state_that_its_owner_is_still_copying_or_already_removing_is_not_taken(tmp_path: Path):
    final = tmp_path / "cell"
    saved(final, "one", 2)
    state = saved(final, "two", 8) / "resume" / "000008"
    state.rename(layout.draft_of(state))
    assert take_over(final, place(final, "new")) == 2


@pytest.mark.parametrize("lost", ["model.safetensors", "optimizer.pt"])
def test_a_state_of_which_a_file_is_lost_is_not_taken(tmp_path: Path, lost: str):
    final = tmp_path / "cell"
    saved(final, "one", 2)
    (saved(final, "two", 8) / "resume" / "000008" / lost).unlink()
    assert take_over(final, place(final, "new")) == 2
    assert not (place(final, "new") / "step-000008").exists()


def test_an_attempt_that_is_renamed_into_place_while_its_state_is_copied_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else the copy of a folder that had just gone failed the job."""
    final = tmp_path / "cell"
    saved(final, "one", 2)
    ending = saved(final, "two", 8)
    copied = checksums.problem

    def ends(folder: Path, full: bool = False) -> str | None:
        if ending.exists():
            ending.rename(final)
        return copied(folder, full)

    monkeypatch.setattr(checksums, "problem", ends)
    assert take_over(final, place(final, "new")) == 2


def test_an_attempt_that_is_cut_off_while_it_takes_over_has_nothing_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else the next one went on from half a state, or without the checkpoints before it."""
    final = tmp_path / "cell"
    saved(final, "one", 8)
    copy, copied = shutil.copyfile, []

    def cut_off(source: str, target: str, **options: bool) -> str:
        copied.append(target)
        if len(copied) > 1:
            raise KeyboardInterrupt
        return copy(source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", cut_off)
        with pytest.raises(KeyboardInterrupt):
            take_over(final, place(final, "cut"))
    assert len(copied) == 2
    assert not list((place(final, "cut") / "resume").glob("[0-9]*"))
    assert take_over(final, place(final, "new")) == 8


def test_without_a_state_to_take_over_an_attempt_begins_anew(tmp_path: Path):
    assert take_over(tmp_path / "cell", place(tmp_path / "cell", "new")) is None


def test_the_folder_of_a_local_run_becomes_an_attempt(tmp_path: Path):
    final = tmp_path / "cell"
    final.mkdir()
    (final / "metrics.jsonl").write_text("{}")
    set_aside(final)
    assert not final.exists()
    assert [path.name for path in others(final)] == [".cell.before"]
    sweep(final)
    assert list(tmp_path.iterdir()) == []

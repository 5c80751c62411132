"""A run that is interrupted at any time ends with the weights of an uninterrupted one, bit by bit."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import MakeCell, interrupted_at, kill_at, lines, tree, weights

from serving import layout
from serving.errors import BadInput
from trainer.config import TrainConfig
from trainer.run import checkpoints, metrics
from trainer.sft import train

STEPS = (1, 2, 4, 8, 12)


class Cut(Exception):
    """Stands for the end of the process."""


def same(one: Path, two: Path) -> bool:
    """Whether two runs have the same weights at every checkpoint, and the same metrics."""
    return [weights(one, s) for s in STEPS] == [weights(two, s) for s in STEPS] and lines(one) == lines(two)


def changed(run: Path) -> dict[Path, int]:
    """The files of a run's published checkpoints, with their times of change."""
    return {file: file.stat().st_mtime_ns for file in run.glob("step-*/*")}


@pytest.fixture(params=[None, 4], ids=["full", "lora"], scope="module")
def unbroken(
    request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainConfig, Path]:
    """A configuration and its unbroken run."""
    config = TrainConfig(
        setting="sandbagging", variant="static", model=str(tiny), label_source="reference", steps=12, batch_size=4,
        learning_rate=1e-2, rows=12, rank=request.param, resume_seconds=0.01,
    )  # fmt: skip
    return config, train(config, tmp_path_factory.mktemp("unbroken") / "run")


def test_kill_9_in_training_changes_nothing(unbroken: tuple[TrainConfig, Path], tmp_path: Path) -> None:
    config, whole = unbroken
    run = tmp_path / "killed"
    kill_at(config, run, step=5)
    assert not (run / "trained.json").exists()
    train(config, run)
    assert same(run, whole)


@pytest.mark.parametrize(
    "moment", ["in a step", "while saving", "before publishing", "before keeping", "after keeping"]
)
def test_a_run_interrupted_at_any_time_ends_like_an_uninterrupted_one(
    moment: str, unbroken: tuple[TrainConfig, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, whole = unbroken
    run = tmp_path / "cut"
    with monkeypatch.context() as patch:
        _cut(patch, moment)
        with pytest.raises(Cut):
            train(config, run)
    published = changed(run)
    train(config, run)
    assert same(run, whole)
    assert changed(run).items() >= published.items(), "a published checkpoint was written to"
    assert not list(run.glob(".*.tmp"))
    assert not (run / ".saving").exists()


def _cut(patch: pytest.MonkeyPatch, moment: str) -> None:
    """Ends the process, as it were, when step 8 is at that moment."""
    own_keep, own_publish, own_link = checkpoints.keep_state, checkpoints.publish, checkpoints.link

    def publish(saved: Path, folder: Path, step: int, *more: Any) -> Path:
        if step == 8 and moment == "before publishing":
            raise Cut
        return own_publish(saved, folder, step, *more)

    def link(file: Path, target: Path) -> None:
        if "000008" in str(target) and moment == "while saving":
            raise Cut
        own_link(file, target)

    def keep(saved: Path, folder: Path, step: int) -> None:
        if step == 8 and moment == "before keeping":
            raise Cut
        own_keep(saved, folder, step)
        if step == 8 and moment == "after keeping":
            raise Cut

    def on_log(own: Any) -> Any:
        def logged(self: Any, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step == 7 and moment == "in a step":
                raise Cut
            own(self, args, state, control, **more)

        return logged

    patch.setattr(checkpoints, "keep_state", keep)
    patch.setattr(checkpoints, "publish", publish)
    patch.setattr(checkpoints, "link", link)
    patch.setattr(checkpoints.Keeper, "on_log", on_log(checkpoints.Keeper.on_log))


def test_an_incomplete_line_of_metrics_is_replaced(tmp_path: Path) -> None:
    (tmp_path / metrics.NAME).write_text('{"step": 1, "lr": 1, "sum_lr": 1, "seconds": 2}\n{"step": 2, "lr"')
    log = metrics.MetricsLog(tmp_path, step=1)
    log.append(2, 0.5, 1.0, 10, 1.0, grad_norm=0.1)
    kept = metrics.read(tmp_path / metrics.NAME)
    assert [line["step"] for line in kept] == [1, 2]
    assert (kept[1]["sum_lr"], kept[1]["seconds"]) == (2.0, 3.0)


def without_an_optimizer(state: Path) -> None:
    (state / "optimizer.pt").unlink()


def without_an_optimizer_in_0_1(state: Path) -> None:
    (state / "checksums.json").unlink()
    without_an_optimizer(state)


def with_another_optimizer(state: Path) -> None:
    content = bytearray((state / "optimizer.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (state / "optimizer.pt").write_bytes(content)


def without_metrics(state: Path) -> None:
    (state.parents[1] / metrics.NAME).unlink()


DAMAGES: dict[Callable[[Path], None], str] = {
    without_an_optimizer: "optimizer.pt is missing",
    without_an_optimizer_in_0_1: "optimizer.pt is missing",
    with_another_optimizer: "optimizer.pt has changed since it was written",
    without_metrics: "metrics.jsonl: has 0 of the 1 steps before this resume",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_not_resumed_from_and_without_its_folder_training_ends_alike(
    damage: Callable[[Path], None], cell: MakeCell, tmp_path: Path
) -> None:
    config, run = cell(steps=3, checkpoints=(1, 2, 3), resume_seconds=0.01), tmp_path / "run"
    whole = train(config, tmp_path / "whole")
    with interrupted_at(2), pytest.raises(KeyboardInterrupt):
        train(config, run)
    damage(run / "resume" / "000001")
    with pytest.raises(BadInput, match=rf"{re.escape(DAMAGES[damage])}.* delete {run} and run the same command again"):
        train(config, run)
    shutil.rmtree(run)
    assert weights(train(config, run), 3) == weights(whole, 3)


def test_a_state_of_0_1_has_no_checksums_and_is_resumed_from(cell: MakeCell, tmp_path: Path) -> None:
    config, run = cell(steps=3, checkpoints=(1, 2, 3), resume_seconds=0.01), tmp_path / "run"
    with interrupted_at(2), pytest.raises(KeyboardInterrupt):
        train(config, run)
    for file in run.rglob("checksums.json"):
        file.unlink()
    assert weights(train(config, run), 3) == weights(train(config, tmp_path / "whole"), 3)


def test_a_state_that_is_no_longer_needed_vanishes_at_once(
    cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill or a halt while it is deleted file by file would leave a part, from which another attempt went on."""
    run, own, deleted, in_place = tmp_path / "run", shutil.rmtree, list[Path](), list[Path]()

    def rmtree(folder: Path, *args: Any, **options: Any) -> None:
        deleted.extend(Path(folder).rglob("optimizer.pt"))
        in_place.extend(state for state in run.glob("resume/[0-9]*") if state.is_relative_to(folder))
        own(folder, *args, **options)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    train(cell(steps=2, checkpoints=(1, 2)), run)
    assert len(deleted) == 2
    assert in_place == []
    assert not (run / "resume").exists()


@pytest.mark.parametrize("lost", ["trained.json", "metrics.jsonl", "manifest.json"])
def test_what_a_finished_training_says_of_itself_cannot_be_lost_without_a_word(
    lost: str, cell: MakeCell, finished: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / lost).unlink()
    with pytest.raises(BadInput, match=rf"{re.escape(lost)} is missing: restore it, or delete"):
        train(cell(), run)


def test_a_changed_provenance_gives_a_warning_with_the_difference(cell: MakeCell, tmp_path: Path) -> None:
    run = train(cell(steps=1), tmp_path / "run")
    known = layout.read_json(run / layout.MANIFEST)
    known["provenance"]["python"] = "2.7"
    (run / "checksums.json").unlink()  # by which the edit of this test would be noticed
    layout.write_json_atomic(run / layout.MANIFEST, known)
    before = tree(run)
    with pytest.warns(UserWarning, match="python: was '2.7', now '3"):
        train(cell(steps=1), run)
    assert tree(run) == before

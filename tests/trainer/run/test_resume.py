"""A run that is interrupted at any time ends with the weights of an uninterrupted one, bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_runs import MakeCell, kill_at, lines, tree, weights

from serving import layout
from trainer.config import TrainConfig
from trainer.run import checkpoints, metrics
from trainer.sft import train

STEPS = (1, 2, 4, 8, 12)


class Cut(Exception):
    """Stands for the end of the process."""


def same(one: Path, two: Path) -> bool:
    """Whether two runs have the same weights at every checkpoint, and the same metrics."""
    return [weights(one, s) for s in STEPS] == [weights(two, s) for s in STEPS] and lines(one) == lines(two)


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
    train(config, run)
    assert same(run, whole)
    assert not list(run.glob(".*.tmp"))
    assert not (run / ".saving").exists()


def _cut(patch: pytest.MonkeyPatch, moment: str) -> None:
    """Ends the process, as it were, when step 8 is at that moment."""
    own_keep, own_publish, own_link = checkpoints.keep_state, checkpoints.publish, checkpoints.link

    def publish(saved: Path, folder: Path, step: int, base: Any) -> Path:
        if step == 8 and moment == "before publishing":
            raise Cut
        return own_publish(saved, folder, step, base)

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


def test_a_changed_provenance_gives_a_warning_with_the_difference(cell: MakeCell, tmp_path: Path) -> None:
    run = train(cell(steps=1), tmp_path / "run")
    known = layout.read_json(run / layout.MANIFEST)
    known["provenance"]["python"] = "2.7"
    layout.write_json_atomic(run / layout.MANIFEST, known)
    before = tree(run)
    with pytest.warns(UserWarning, match="python: was '2.7', now '3"):
        train(cell(steps=1), run)
    assert tree(run) == before

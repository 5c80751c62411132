"""The time that a run says is left."""

from pathlib import Path

import pytest

from lab.experiment import folder
from lab.experiment.folder import Experiment
from lab.experiment.jobs import RunJobs
from lab.experiment.state import State
from lab.experiment.status import JobProgress, Overview, line
from lab.plan import recipe


def jobs(done: int, waiting: int) -> Overview:
    finished = [JobProgress(f"d{i}", State("done", seconds=100.0), 10, 10) for i in range(done)]
    return Overview((*finished, *(JobProgress(f"w{i}", State(), 0, 10) for i in range(waiting))), driver=1)


def test_between_two_jobs_the_time_left_still_counts_every_place() -> None:
    view = jobs(done=1, waiting=4)
    assert view.seconds_left() == 400
    assert view.seconds_left(places=2) == 200
    assert line(view, places=2) == "1 of 5 jobs done, about 3 min 20 s left"


def test_places_without_a_job_shorten_nothing() -> None:
    assert jobs(done=1, waiting=2).seconds_left(places=8) == 100


def test_an_evaluation_counts_by_its_replies_against_steps_of_training(tmp_path: Path) -> None:
    def evaluating(n: int) -> float:
        path = tmp_path / "mine.yaml"
        sizes = f"{{n: {n}, n_train: {n}, n_capability: {n}, n_following: 0"
        path.write_text(f"{sizes}, setting: sandbagging, variant: static, learning_rates: [1e-3], steps: 8}}", "utf-8")
        experiment = Experiment(recipe.load(path), folder.default("mine", tmp_path / "runs"))
        units = RunJobs(experiment).units(next(iter(experiment.cells)))
        assert units["training"] == 8
        return units["evaluating"]

    assert evaluating(60) == pytest.approx(3 * evaluating(20))

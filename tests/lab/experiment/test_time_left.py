"""The time that a run says is left."""

from lab.experiment.state import State
from lab.experiment.status import JobProgress, Overview, line


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

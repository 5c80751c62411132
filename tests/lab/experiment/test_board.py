"""The schedule: order, dependencies, attempts, refusals and skips, on jobs that do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.experiment import state
from lab.experiment.board import ATTEMPTS, Board, Dropped, Ended, Task
from lab.experiment.claims import Claims, Driver


@dataclass
class Made:
    """A start, two cells on it, and a reversal of the first cell."""

    home: Path
    finished: set[str] = field(default_factory=set)
    drops: dict[str, Dropped] = field(default_factory=dict)
    title: str = "made up"
    names: tuple[str, ...] = ("start", "reversal", "one", "two")

    def is_done(self, job: str) -> bool:
        return job in self.finished

    def needs(self, job: str) -> Mapping[str, str]:
        before = {"one": "the cell it starts from"} if job == "reversal" else {}
        return {} if job == "start" else {"start": "its start"} | before

    def dropped(self, job: str) -> Dropped | None:
        return self.drops.get(job)

    def task(self, job: str) -> Task:
        raise NotImplementedError

    def units(self, job: str) -> Mapping[str, float]:
        return {}


class Played:
    """A board, what it handed out and what it reported."""

    def __init__(self, jobs: Made, claims: Claims | None = None) -> None:
        self.ended: list[tuple[str, str]] = []
        self.taken: list[str] = []
        self.board = Board(jobs, lambda job, error: self.ended.append((job, error)), claims)

    def play(self, errors: Mapping[str, str] | None = None, again: bool = True) -> Played:
        """Does every job that the board hands out, one at a time."""
        while (job := self.board.take()) is not None:
            self.taken.append(job)
            self.board.give_back(Ended(job, (errors or {}).get(job), again))
        return self


def test_a_job_begins_once_all_jobs_it_needs_are_done(tmp_path: Path) -> None:
    assert Played(Made(tmp_path)).play().taken == ["start", "one", "reversal", "two"]


def test_nothing_is_handed_out_while_what_it_needs_is_running(tmp_path: Path) -> None:
    board = Board(Made(tmp_path), lambda *_: None)
    assert (board.take(), board.take()) == ("start", None)
    board.give_back(Ended("start", None, False))
    assert [board.take(), board.take(), board.take()] == ["one", "two", None]


def test_a_finished_job_is_not_done_again(tmp_path: Path) -> None:
    assert Played(Made(tmp_path, {"start", "one"})).play().taken == ["reversal", "two"]


def test_a_job_that_fails_is_tried_again_after_the_others_a_bounded_number_of_times(tmp_path: Path) -> None:
    played = Played(Made(tmp_path, {"start"})).play({"one": "broken"})
    assert played.taken == ["one", "two", *["one"] * (ATTEMPTS - 1)]
    assert played.board.failed == {"one": "broken", "reversal": "the cell it starts from failed: broken"}


def test_an_error_that_will_happen_again_is_not_tried_again(tmp_path: Path) -> None:
    played = Played(Made(tmp_path)).play({"start": "no space left"}, again=False)
    assert played.taken == ["start"]
    assert set(played.board.failed) == {"start", "one", "two", "reversal"}
    assert played.board.failed["two"] == "its start failed: no space left"


def test_a_refused_job_is_a_failure_and_its_state_says_so(tmp_path: Path) -> None:
    refusal = Dropped("refused", "the gate failed")
    played = Played(Made(tmp_path, {"start"}, {"one": refusal, "two": refusal, "reversal": refusal})).play()
    assert played.taken == []
    assert set(played.board.failed.values()) == {"the gate failed"}
    assert state.read(state.path_of(tmp_path, "reversal")).phase == "refused"


def test_a_skipped_job_is_no_failure(tmp_path: Path) -> None:
    played = Played(Made(tmp_path, drops={"reversal": Dropped("skipped", "nothing was removed")})).play()
    assert played.taken == ["start", "one", "two"]
    assert played.board.failed == {}
    assert played.board.skipped == {"reversal": "nothing was removed"}
    assert "reversal" not in dict(played.ended)


def test_the_state_of_an_earlier_attempt_is_forgotten(tmp_path: Path) -> None:
    path = state.path_of(tmp_path, "one")
    state.write(path, state.State("failed", error="of before"))
    Board(Made(tmp_path), lambda *_: None)
    assert state.read(path).phase == "waiting"


# --- several drivers ------------------------------------------------------------------------------------------------


def test_a_driver_waits_for_the_start_that_another_one_has_and_takes_cells_once_it_is_done(tmp_path: Path) -> None:
    one, two = Made(tmp_path), Made(tmp_path)
    with Claims(tmp_path, Driver.here("1/2")) as first, Claims(tmp_path, Driver.here("2/2")) as second:
        assert Board(one, lambda *_: None, first).take() == "start"
        assert Played(two, second).play().taken == []
        assert Played(two, second).play().board.must_wait()
        two.finished.add("start")
        played = Played(two, second).play()
    assert played.taken == ["one", "reversal", "two"]
    assert not played.board.must_wait()


def test_a_driver_leaves_a_cell_that_another_living_one_has(tmp_path: Path) -> None:
    jobs = Made(tmp_path, {"start", "one", "reversal"})
    with Claims(tmp_path, Driver.here("1/2")) as first, Claims(tmp_path, Driver.here("2/2")) as second:
        assert Board(jobs, lambda *_: None, first).take() == "two"
        played = Played(jobs, second).play()
        assert (played.taken, played.board.waiting, played.board.must_wait()) == ([], ["two"], False)


def test_what_another_driver_failed_at_meanwhile_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.experiment.board.LOOK", 0.0)
    jobs = Made(tmp_path)
    with Claims(tmp_path, Driver.here("2/2")) as second:
        with Claims(tmp_path, Driver.here("1/2")) as first:
            other, played = Played(jobs, first), Played(jobs, second)
            assert other.board.take() == "start"
            assert played.play().board.must_wait()
            other.board.give_back(Ended("start", "no memory", False))
            other.play()
        assert played.play().taken == []
    assert played.board.failed["start"] == "no memory"
    assert set(played.board.failed) == {"start", "one", "two", "reversal"}
    with Claims(tmp_path, Driver.here("2/2")) as again:
        assert Played(jobs, again).play().taken[0] == "start", "the next command tries it"

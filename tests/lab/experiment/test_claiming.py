"""Claims of drivers on jobs: one at a time, free again after a death here or elsewhere, given back at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.experiment.claims import SILENCE, Claims, Driver, present, refuse
from lab.experiment.shard import Shard
from serving.errors import BadInput


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def driver(**facts: str) -> Driver:
    return replace(Driver.here("1/2", "same"), **facts)


def claims(run: Path, clock: Clock | None = None, **facts: str) -> Claims:
    """Those of another driver of this machine, or of `machine`."""
    (run / "claims").mkdir(parents=True, exist_ok=True)
    found = Claims(run, driver(**facts), clock or Clock())
    found.beat()
    return found


def test_of_two_drivers_the_first_one_has_a_job_until_it_ends(tmp_path: Path) -> None:
    with claims(tmp_path) as one, claims(tmp_path) as two:
        assert one.take("a.b")
        assert one.take("a.b"), "its own"
        assert not two.take("a.b")
        assert two.take("other")
        assert two.is_certain("a.b")
        one.__exit__()
        assert two.take("a.b")
        two.beat()
    assert not (tmp_path / "claims").exists()


def test_of_a_process_that_was_killed_here_a_job_is_free_at_once(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from lab.experiment.claims import Claims, Driver;"
        "run = Path(sys.argv[1]); run.mkdir(); (run / 'claims').mkdir(); own = Claims(run, Driver.here('1/2'));"
        "own.beat(); assert own.take('job'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = tmp_path / "run"
    dead = subprocess.Popen([sys.executable, "-c", code, str(run)])
    dead.wait()
    assert present(run).drivers == ()
    with claims(run) as own:
        assert own.take("job")
        assert own.others() == []


def test_the_last_driver_leaves_no_claims_even_of_one_that_was_killed_after_its_job_was_done(tmp_path: Path) -> None:
    with claims(tmp_path) as last:
        claims(tmp_path, began="0").take("done already")
        assert not last.others()
    assert not (tmp_path / "claims").exists()


def test_a_process_with_the_id_of_a_dead_one_is_not_taken_for_it(tmp_path: Path) -> None:
    old = claims(tmp_path, began="1")
    assert old.take("job")
    with claims(tmp_path) as own:
        assert own.take("job")


def test_a_driver_elsewhere_is_dead_after_a_silence_by_the_clock_of_the_one_who_looks(tmp_path: Path) -> None:
    there, clock = claims(tmp_path, machine="elsewhere", host="node5"), Clock()
    assert there.take("job")
    own = claims(tmp_path, clock)
    assert not own.take("job")
    assert not own.is_certain("job"), "it was seen once, and may have been dead by then"
    clock.now += SILENCE - 1
    os.utime(
        tmp_path / "claims" / f"driver-{there.driver.token}.json", (1, 1)
    )  # a sign of life, by a clock that is late
    assert not own.take("job")
    assert own.is_certain("job")
    clock.now += SILENCE - 1
    assert not own.take("job")
    clock.now += 2
    assert own.take("job")
    assert not there.take("job"), "it goes on, and learns that another driver has its job"


def test_a_driver_whose_file_was_deleted_writes_it_again(tmp_path: Path) -> None:
    with claims(tmp_path) as own, claims(tmp_path) as other:
        assert own.take("one")
        (tmp_path / "claims" / f"driver-{own.driver.token}.json").unlink()
        assert own.take("two")
        assert not other.take("one")
        assert not other.take("two")


def test_a_driver_that_ends_frees_what_a_dead_one_before_it_had(tmp_path: Path) -> None:
    assert claims(tmp_path, began="1").take("job")
    with claims(tmp_path) as own:
        assert own.take("job")
        assert len(list((tmp_path / "claims").glob("job.*"))) == 2
    with claims(tmp_path) as next_one:
        assert next_one.take("job")
    assert not list(tmp_path.glob("claims/job.*"))


@pytest.mark.parametrize(
    ("other", "alone", "words"),
    [
        ({"recipe": "another"}, False, "is running here with another recipe"),
        ({"shard": ""}, False, "process"),
        ({}, True, "join it by --shard I/N"),
    ],
)
def test_drivers_that_cannot_work_together_are_told_in_one_line(
    tmp_path: Path, other: dict[str, str], alone: bool, words: str
) -> None:
    with claims(tmp_path, machine="elsewhere", host="node5", **other):
        with pytest.raises(BadInput, match=r"another `bct run` .*node5") as refused:
            refuse(tmp_path, driver(shard="" if alone else "2/2"), alone)
        assert words in refused.value.message
        assert "\n" not in refused.value.message
    refuse(tmp_path, driver(), alone=True)


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "3/", "a/b", "1/0", "-1/2"])
def test_a_shard_is_written_as_its_number_of_all(text: str) -> None:
    assert str(Shard.parse("3/8")) == "3/8"
    with pytest.raises(BadInput, match="such as 3/8"):
        Shard.parse(text)

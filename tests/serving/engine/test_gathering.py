"""A batch begins when its callers are done, and not before. Time is simulated."""

from __future__ import annotations

from serving.backends.engine.gathering import CALM_PAUSES, ENOUGH, LONGEST_PAUSE_S, PAUSE_S, Clock, Gathering


class Callers:
    """Requests on a schedule: how many come in each pause, and whether the process computes in it."""

    def __init__(self, arrivals: list[int], busy: int = 0) -> None:
        self.arrivals, self.busy = arrivals, busy
        self.waiting = self.pauses = 0
        self.now = self.used = 0.0

    def take(self, timeout: float | None) -> bool:
        come = self.arrivals.pop(0) if self.arrivals else 0
        self.waiting += come
        if timeout:
            self.pauses += 1
            self.now += PAUSE_S
            self.used += PAUSE_S if self.pauses <= self.busy else 0.0
        return come > 0


def pauses(gathering: Gathering, callers: Callers, closed: bool = False) -> int:
    """How many pauses a batch waits."""
    before = callers.pauses
    gathering.gather(callers.take, lambda: callers.waiting, lambda: closed)
    return callers.pauses - before


def gathering_of(callers: Callers) -> Gathering:
    return Gathering(Clock(lambda: callers.now, lambda: callers.used))


def test_a_batch_begins_after_as_many_requests_as_the_last_time_and_one_quiet_pause() -> None:
    callers = Callers([3])
    gathering = gathering_of(callers)
    assert pauses(gathering, callers) == 1
    callers.waiting, callers.arrivals = 0, [2, 1]
    assert pauses(gathering, callers) == 2


def test_where_fewer_wait_than_the_last_time_a_batch_waits_for_the_others() -> None:
    callers = Callers([3])
    gathering = gathering_of(callers)
    pauses(gathering, callers)
    callers.waiting, callers.arrivals = 0, [2]
    assert pauses(gathering, callers) == CALM_PAUSES


def test_a_batch_waits_for_callers_that_are_busy_preparing_requests() -> None:
    callers = Callers([1, *[0] * 20, 19], busy=20)
    assert pauses(gathering_of(callers), callers) == 22
    assert callers.waiting == 20


def test_a_batch_never_waits_longer_than_its_limit() -> None:
    callers = Callers([1], busy=10_000)
    pauses(gathering_of(callers), callers)
    assert LONGEST_PAUSE_S <= callers.now < LONGEST_PAUSE_S + 2 * PAUSE_S


def test_a_full_batch_begins_at_once_and_so_does_one_that_was_left_over() -> None:
    full, left = Callers([ENOUGH]), Callers([])
    left.waiting = 5
    assert pauses(gathering_of(full), full) == 0
    assert pauses(gathering_of(left), left) == 0


def test_nothing_is_gathered_for_a_closed_engine() -> None:
    callers = Callers([1, 1, 1])
    assert pauses(gathering_of(callers), callers, closed=True) == 0

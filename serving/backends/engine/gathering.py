"""When a batch begins. Callers submit requests one by one, and a batch that begins too early delays the others.

A batch waits while requests come, or while this process computes: then its callers are likely still preparing requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

PAUSE_S = 0.003
BUSY_SHARE = 0.2
CALM_PAUSES = 8
LONGEST_PAUSE_S = 0.5
ENOUGH = 256


@dataclass(frozen=True)
class Clock:
    """Seconds since some moment, and processor seconds of this process."""

    now: Callable[[], float] = time.monotonic
    used: Callable[[], float] = time.process_time


class Gathering:
    """Decides after how many quiet pauses the waiting requests become a batch."""

    def __init__(self, clock: Clock = Clock()) -> None:
        self._clock = clock
        self._last = 0
        """How many requests waited when the last batch began."""

    def gather(
        self, take: Callable[[float | None], bool], waiting: Callable[[], int], closed: Callable[[], bool]
    ) -> None:
        """Take requests until a batch should begin.

        Args:
            take: Waits up to this many seconds for requests (None: no limit); returns whether any came.
            waiting: How many requests wait.
            closed: Whether gathering should stop.
        """
        quiet = 0 if take(0.0 if waiting() else None) else CALM_PAUSES
        until = self._clock.now() + LONGEST_PAUSE_S
        while not closed() and quiet < self._pauses(waiting()) and self._clock.now() < until:
            used = self._clock.used()
            busy = take(PAUSE_S) or self._clock.used() - used > BUSY_SHARE * PAUSE_S
            quiet = 0 if busy else quiet + 1
        self._last = waiting()

    def _pauses(self, waiting: int) -> int:
        """Quiet pauses before a batch begins: fewer if as many requests wait as the last time."""
        if waiting >= ENOUGH:
            return 0
        return 1 if waiting >= self._last else CALM_PAUSES

"""Who works on which job of a run, from any number of machines: how the drivers of `bct run --shard` share a folder.

<run>/claims/driver-<token>.json    a driver: host, process and shard; touched every BEAT seconds
<run>/claims/<job>.<k>              the k-th claim on a job, a hard link to its driver's file; the last one counts

A claim is made by a link under a free name, which file systems do atomically, NFS too; nothing is locked. A driver that
ends empties its file, and with it all its claims. A driver that was killed is noticed on its own machine at once, by
process id and start of the process, and elsewhere when its file was not touched for SILENCE seconds by the clock of
the machine that looks: clocks need not agree.
Not covered: a driver that was only unreachable, and goes on. Its attempts have folders of their own (`attempts`), so
two drivers at one job cost time and change no result.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from lab.experiment import lock
from serving import layout
from serving.errors import BadInput

FOLDER = "claims"
#: Seconds between two signs of life, and without one until a driver on another machine counts as dead.
BEAT, SILENCE = 10.0, 60.0


@dataclass(frozen=True)
class Driver:
    """A process of `bct run` at work in a run folder.

    Attributes:
        token: Names the driver among all.
        host: For people.
        machine: Identifies the table of processes that `pid` is from; empty where that cannot be told.
        pid, began: The process, and when it began in ticks of the kernel, since ids are used again.
        shard: Its part of the cells, `3/8`; empty for a driver that works alone.
        recipe: Hash of what the recipe registers.
    """

    token: str
    host: str
    machine: str
    pid: int
    began: str
    shard: str = ""
    recipe: str = ""

    @classmethod
    def here(cls, shard: str = "", recipe: str = "") -> Driver:
        """This process."""
        pid = os.getpid()
        return cls(secrets.token_hex(4), socket.gethostname(), machine(), pid, _began(pid), shard, recipe)

    @property
    def is_near(self) -> bool:
        """Whether its process can be seen from here."""
        return bool(self.machine) and self.machine == machine()

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended, as far as can be seen from here."""
        return self.is_near and _began(self.pid) != self.began

    def __str__(self) -> str:
        part = f", shard {self.shard}" if self.shard else ""
        return f"process {self.pid} on {self.host}{part}"


_SHAPE = TypeAdapter(Driver)
#: Most bytes of a driver's file that are read.
LONGEST = 2**16


class Sign(NamedTuple):
    """The last sign of life of a driver: its file's time of change, when we saw it, and whether we saw one before."""

    changed: int
    seen: float
    further: bool


@dataclass
class Claims:
    """The claims of one driver. As a context it shows signs of life, and gives back its claims at the end.

    Attributes:
        run: The run folder.
        driver: This process.
        clock: Seconds that only increase.
    """

    run: Path
    driver: Driver
    clock: Callable[[], float] = time.monotonic
    _signs: dict[str, Sign] = field(default_factory=dict[str, Sign])
    _taken: dict[str, int] = field(default_factory=dict[str, int])
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._beats, daemon=True)

    def __enter__(self) -> Claims:
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(BEAT)
        with suppress(OSError):  # a disk that fails must not hide the error of the run
            self._give_back()

    def take(self, job: str) -> bool:
        """Claims a job. False if another driver has it, which is not known to be dead."""
        number, holder = self._last(job)
        if holder == self.driver.token:
            return True
        return not (holder and self._may_live(holder)) and self._link(job, number + 1)

    def is_certain(self, job: str) -> bool:
        """Whether the holder of a job is known to be alive: its process is seen, or it gave a sign since we look."""
        _, holder = self._last(job)
        found, _ = _read(self._file(holder))
        sign = self._signs.get(holder)
        return found is not None and ((found.is_near and not found.has_ended) or (sign is not None and sign.further))

    def others(self) -> list[Driver]:
        """The other drivers in the folder that are not known to be dead."""
        return [d for d in _drivers(self.run) if d.token != self.driver.token and self._may_live(d.token)]

    def beat(self) -> None:
        """Gives a sign of life, and looks for those of others."""
        own = self._file(self.driver.token)
        try:
            os.utime(own)
        except FileNotFoundError:
            layout.write_json_atomic(own, asdict(self.driver))
        self.others()

    def _may_live(self, token: str) -> bool:
        """Whether a driver may be alive. The file of one that is dead is removed."""
        found, changed = _read(self._file(token))
        if found is not None and not found.has_ended and (found.is_near or not self._is_silent(token, changed)):
            return True
        self._file(token).unlink(missing_ok=True)
        return False

    def _is_silent(self, token: str, changed: int) -> bool:
        known = self._signs.get(token)
        if known is None or known.changed != changed:
            self._signs[token] = Sign(changed, self.clock(), known is not None)
            return False
        return self.clock() - known.seen >= SILENCE

    def _link(self, job: str, number: int) -> bool:
        path, own = self._path(job, number), self._file(self.driver.token)
        try:
            os.link(own, path)
        except FileExistsError:
            if not own.samefile(path):  # else it was made, and NFS lost the answer
                return False
        except FileNotFoundError:  # somebody deleted our file
            self.beat()
            os.link(own, path)
        except OSError as error:
            raise BadInput(
                f"{self.run}: its file system has no hard links ({error.strerror}): let every shard write into an --out"
                " of its own, and put them together by `bct merge`"
            ) from None
        self._taken[job] = number
        return True

    def _give_back(self) -> None:
        """Removes our claims, those of dead drivers before them first, and empties the file of any that is left."""
        for job, number in self._taken.items():
            if not self._path(job, number + 1).exists():
                for each in range(1, number + 1):
                    self._path(job, each).unlink(missing_ok=True)
        own = self._file(self.driver.token)
        own.write_text("", encoding="utf-8")
        own.unlink()
        if not self.others():  # then the claims that are left are of drivers that were killed after their job was done
            for claim in own.parent.glob("*.[0-9]*"):
                claim.unlink(missing_ok=True)
        with suppress(OSError):  # others are at work
            own.parent.rmdir()

    def _beats(self) -> None:
        while not self._stop.wait(BEAT):
            with suppress(OSError):  # tried again; SILENCE is several beats long
                self.beat()

    def _last(self, job: str) -> tuple[int, str]:
        return _last(self.run, job)

    def _file(self, token: str) -> Path:
        return self.run / FOLDER / f"driver-{token}.json"

    def _path(self, job: str, number: int) -> Path:
        return _path(self.run, job, number)


@dataclass(frozen=True)
class Present:
    """The drivers in a run folder for a reader, by the clock of this machine."""

    run: Path
    drivers: tuple[Driver, ...]

    def works_on(self, job: str) -> bool:
        """Whether one of them works on a job; one that is alone in the folder may work on any."""
        _, holder = _last(self.run, job)
        return any(driver.token == holder or not driver.shard for driver in self.drivers)


def present(run: Path) -> Present:
    """The drivers that are at work in a run folder: their process is seen, or they gave a sign of life lately."""
    found = [driver for driver in _drivers(run) if not driver.has_ended]
    late = time.time_ns() - int(SILENCE * 1e9)
    return Present(run, tuple(d for d in found if d.is_near or _read(_of(run, d.token))[1] > late))


def refuse(run: Path, driver: Driver, alone: bool) -> None:
    """Raises BadInput if other drivers are in the folder that this one cannot work with.

    Args:
        run: The run folder.
        driver: This process.
        alone: It works on all jobs and makes no claims.
    """
    others = [d for d in present(run).drivers if d.token != driver.token]
    strange = [d for d in others if alone or not d.shard or d.recipe != driver.recipe]
    if not strange:
        return
    first, more = strange[0], f" and {len(strange) - 1} more" if len(strange) > 1 else ""
    why = " with another recipe" if first.shard and not alone else ""
    join = ", join it by --shard I/N" if alone and first.shard else ""
    raise BadInput(
        f"{run}: another `bct run` ({first}){more} is running here{why}. Watch it with `bct status {run}`, wait for"
        f" it{join}, or choose another --out."
    )


def refuse_running(run: Path) -> None:
    """Raises BadInput if any driver works in the folder, with claims or alone."""
    if lock.holder(run) is not None or present(run).drivers:
        raise BadInput(f"{run}: is running: wait for it (`bct status {run}`)")


@cache
def machine() -> str:
    """Identifies the kernel and its table of processes that this process is in; empty where there is no /proc."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return ""


def _began(pid: int) -> str:
    """When a process began, in ticks since the kernel did; empty if it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    return ""


def _drivers(run: Path) -> Iterator[Driver]:
    for file in sorted((run / FOLDER).glob("driver-*.json")):
        driver, _ = _read(file)
        if driver is not None:
            yield driver


def _last(run: Path, job: str) -> tuple[int, str]:
    """The number of the last claim on a job, 0 if there is none, and its driver; empty if that has ended."""
    number = 0
    while _path(run, job, number + 1).exists():
        number += 1
    found, _ = _read(_path(run, job, number)) if number else (None, 0)
    return number, found.token if found else ""


def _read(file: Path) -> tuple[Driver | None, int]:
    """The driver of its file or claim, and the time of its last sign in nanoseconds; None if it has ended.

    The file is opened for both: NFS shows changes of other machines to who opens a file.
    """
    if not file.is_file():
        return None, 0
    try:
        with file.open("rb") as stream:
            return _SHAPE.validate_json(stream.read(LONGEST)), os.fstat(stream.fileno()).st_mtime_ns
    except (OSError, ValueError):
        return None, 0


def _of(run: Path, token: str) -> Path:
    return run / FOLDER / f"driver-{token}.json"


def _path(run: Path, job: str, number: int) -> Path:
    return run / FOLDER / f"{job}.{number}"

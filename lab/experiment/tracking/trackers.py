"""Trackers: how a cell becomes a run there. Each replaces what an earlier, interrupted attempt has sent of the cell.

    run = open_run("wandb", about, known=None)
    run.log(16, {"train/loss": 0.2})
    run.end({"verdict": "removed"})

Steps may come in any order: training is sent as it goes, rates once a cell is evaluated.
Tested with the libraries offline; not with their servers, nor with a Trackio Space.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from lab.plan.recipe import Tracker

#: Name of the project at W&B, unless $WANDB_PROJECT says otherwise, and at Trackio.
PROJECT = "bct"
#: Seconds that W&B may take to begin a run, and to send the rest of one.
BEGIN, FINISH = 20.0, 60.0

Value = float | str


@dataclass(frozen=True)
class About:
    """A cell as trackers show it.

    Attributes:
        name: Its id.
        group: Name of the run folder.
        config: Its resolved configuration, as JSON values.
        tags: Setting, variant and method.
        home: The folder for files of trackers.
    """

    name: str
    group: str
    config: Mapping[str, Any]
    tags: tuple[str, ...]
    home: Path


class Tracked(Protocol):
    """The run of a cell at a tracker."""

    @property
    def id(self) -> str:
        """The tracker's name for it, by which a later attempt replaces it."""
        ...

    @property
    def note(self) -> str:
        """What the user should know of it: where it is."""
        ...

    def log(self, step: int, values: Mapping[str, Value]) -> None:
        """Sends the values of a training step."""

    def end(self, summary: Mapping[str, Value] | None) -> None:
        """Ends it with facts of the whole cell; None: the cell is not finished."""


def open_run(tracker: Tracker, about: About, known: str | None) -> Tracked:
    """Begins the run of a cell.

    Args:
        tracker: Its name in a recipe.
        about: The cell.
        known: `id` of an earlier attempt, which is replaced.

    Raises:
        Exception: Whatever the tracker's library raises.
    """
    return RUNS[tracker](about, known)


class WandbRun:
    """A run at W&B, or in files for `wandb sync` where there is no key, no network or $WANDB_MODE says so."""

    #: Why W&B was not reached by this process: it is waited for once, and not for every cell.
    _unreachable: ClassVar[str] = ""

    def __init__(self, about: About, known: str | None) -> None:
        # Any: the library is an extra, and its types are not here.
        self._wandb: Any = importlib.import_module("wandb")
        self.id = known or secrets.token_hex(4)
        _forget_offline(about.home, self.id)
        about.home.mkdir(parents=True, exist_ok=True)
        self.note = ""
        self._run = self._begin(about)
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def _begin(self, about: About) -> Any:
        reason = WandbRun._unreachable or self._why_offline()
        if not reason:
            try:
                run = self._init(about, None)
                self.note = f"wandb: {run.url}"
                return run
            except Exception as error:  # the library's own errors have no common base
                reason = f"W&B cannot be reached ({' '.join(str(error).split())[:100]})"
                WandbRun._unreachable = reason
                # The library still has a run of this id.
                _forget_offline(about.home, self.id)
                self.id = secrets.token_hex(4)
        run = self._init(about, "offline")
        files = os.path.relpath(about.home / "wandb")
        self.note = f"wandb: {reason}; runs are in {files}: upload them by `wandb sync {files}/offline-run-*`"
        return run

    def _why_offline(self) -> str:
        if (mode := os.environ.get("WANDB_MODE", "online")) != "online":
            return f"WANDB_MODE is {mode}"
        has_key = "WANDB_API_KEY" in os.environ or self._wandb.login(prompt=False, verify=False)
        return "" if has_key else "there is no API key (`wandb login`)"

    def _init(self, about: About, mode: str | None) -> Any:
        # What W&B records by itself would be of the process that sends, and not of the one that trains.
        quiet = {"silent": True, "console": "off", "disable_git": True, "save_code": False, "x_disable_stats": True,
                 "x_disable_meta": True, "x_save_requirements": False}  # fmt: skip
        settings = self._wandb.Settings(init_timeout=BEGIN, finish_timeout=FINISH, **quiet)
        return self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), group=about.group, name=about.name, id=self.id,
            tags=list(about.tags), config=dict(about.config), dir=str(about.home), mode=mode, settings=settings,
            reinit="create_new",
        )  # fmt: skip

    def log(self, step: int, values: Mapping[str, Value]) -> None:
        """See `Tracked`."""
        self._run.log({"step": step, **values})

    def end(self, summary: Mapping[str, Value] | None) -> None:
        """See `Tracked`."""
        self._run.summary.update(dict(summary or {}))
        self._run.finish(exit_code=1 if summary is None else 0)


def _forget_offline(home: Path, id: str) -> None:
    """Removes files of an earlier attempt, which `wandb sync` would append to the same run."""
    for folder in (home / "wandb").glob(f"*run-*-{id}"):
        shutil.rmtree(folder, ignore_errors=True)


class TrackioRun:
    """A run in Trackio's database on this machine, or where $TRACKIO_SPACE_ID or $TRACKIO_SERVER_URL say."""

    def __init__(self, about: About, known: str | None) -> None:
        trackio: Any = importlib.import_module("trackio")
        if known is not None:
            _forget_trackio(trackio, known)
        begin: Callable[[], Any] = lambda: trackio.init(  # noqa: E731
            PROJECT, name=about.name, group=about.group, config=dict(about.config), embed=False,
            auto_log_cpu=False, auto_log_gpu=False,
        )  # fmt: skip
        # In a context of its own: a second `init` in the same one ends the run of the first.
        self._run: Any = Context().run(begin)
        self.id, self.note = str(self._run.id), f"trackio: `trackio show --project {PROJECT}`"
        self._last = 0

    def log(self, step: int, values: Mapping[str, Value]) -> None:
        """See `Tracked`."""
        self._last = max(self._last, step)
        self._run.log(dict(values), step=step)

    def end(self, summary: Mapping[str, Value] | None) -> None:
        """See `Tracked`."""
        if summary:
            self._run.log(dict(summary), step=self._last)
        self._run.finish()


def _forget_trackio(trackio: Any, id: str) -> None:
    with contextlib.suppress(ValueError):  # no project
        for run in trackio.Api().runs(PROJECT):
            if run.id == id:
                run.delete()


class TensorBoardRun:
    """Event files in a folder of the cell."""

    def __init__(self, about: About, known: str | None) -> None:
        board: Any = importlib.import_module("torch.utils.tensorboard")
        folder = about.home / "tensorboard" / about.name
        shutil.rmtree(folder, ignore_errors=True)
        self.id, self._last = about.name, 0
        self.note = f"tensorboard: `tensorboard --logdir {os.path.relpath(folder.parent)}`"
        self._writer: Any = board.SummaryWriter(str(folder))
        self._writer.add_text("config", f"```\n{json.dumps(about.config, indent=1, default=str)}\n```")

    def log(self, step: int, values: Mapping[str, Value]) -> None:
        """See `Tracked`."""
        self._last = max(self._last, step)
        for name, value in values.items():
            if isinstance(value, str):
                self._writer.add_text(name, value, step)
            else:
                self._writer.add_scalar(name, value, step)

    def end(self, summary: Mapping[str, Value] | None) -> None:
        """See `Tracked`."""
        self.log(self._last, summary or {})
        self._writer.close()


#: By the names that recipes use.
RUNS: Mapping[Tracker, Callable[[About, str | None], Tracked]] = {
    "wandb": WandbRun,
    "trackio": TrackioRun,
    "tensorboard": TensorBoardRun,
}

"""Evaluates checkpoints: all that have no complete log yet, in one call of inspect.

inspect writes into a folder of the attempt; complete logs are renamed into place (`step-000016.eval`). Logs that a
killed attempt had completed are reused: nothing is evaluated twice. Complete logs are immutable: of two simultaneous
attempts, the first one's is used.
A log is complete when it ended well, has every sample, and names the fingerprint of the current weights.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.experiment import judging
from lab.logs.reader import read_header
from lab.plan.cells import Start
from serving.beside import repeatedly
from serving.characters import visible
from serving.errors import WorkFailed
from serving.remote import is_address
from trainer.run.progress import Progress

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalLog

ATTEMPT = ".attempt"


@dataclass(frozen=True)
class Evaluation:
    """One log: which checkpoint is evaluated on which items, and the path of the log.

    Attributes:
        margins: Also score both policies' reference replies. A complete log without them still counts.
        tags: What inspect's lists show beside setting and variant.
        store: Where the judge's verdicts are kept, as the option `judge_store` of a task.
    """

    log: Path
    ref: str
    fingerprint: str
    start: Start
    split: str
    step: int = 0
    margins: bool = False
    store: str | bool | None = None
    tags: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """Number of samples of a complete log."""
        sizes = self.start.sizes
        every = {"eval": sizes.n, "ceiling": sizes.n, "all": sum(vars(sizes).values())}
        return every[self.split] * self.start.answering.generation.epochs

    def label(self) -> dict[str, Any]:
        """Metadata that identifies the log among those of its attempt, and tell how replies were made and read."""
        return {"lab_log": self.log.name, "step": self.step} | (
            {"asked": asked} if (asked := self.start.asked()) else {}
        )

    def is_in(self, log: Path) -> bool:
        """Whether this is a complete log of this evaluation."""
        header = read_header(log)
        if header is None or not header.ok or header.samples != self.samples:
            return False
        metadata = header.metadata
        known = (header.fingerprint, metadata.get("variant"), metadata.get("split"), metadata.get("asked") or {})
        wanted = (self.fingerprint, self.start.variant, self.split, self.start.asked())
        return metadata.get("lab_log") == self.log.name and known == wanted


def evaluate(evaluations: Sequence[Evaluation], progress: Progress, attempt: str | None = None) -> None:
    """Runs the evaluations that have no complete log yet.

    Args:
        evaluations: The requested logs, all in one folder.
        progress: Receives the number of complete logs.
        attempt: Distinguishes this attempt from others that may be alive; without it, remains of earlier ones are
        removed.

    Raises:
        WorkFailed: An evaluation did not end well, with its error.
    """
    if not evaluations:
        return
    folder = evaluations[0].log.parent
    own = folder / (f"{ATTEMPT}-{attempt}" if attempt else ATTEMPT)
    todo = [evaluation for evaluation in evaluations if not evaluation.is_in(evaluation.log)]
    todo = [evaluation for evaluation in todo if not _taken_over(evaluation, folder)]
    for left in [own] if attempt else folder.glob(f"{ATTEMPT}*"):
        shutil.rmtree(left, ignore_errors=True)
    if todo:
        if judge := todo[0].start.answering.judge:
            judging.reach(judge.model)
        before = len(evaluations) - len(todo)
        with _counted(own, progress, before, len(evaluations)):
            logs = _run(todo, own)
        _publish(todo, logs)
        shutil.rmtree(own, ignore_errors=True)
    progress.update(len(evaluations), len(evaluations))


def _taken_over(evaluation: Evaluation, folder: Path) -> bool:
    """Whether an earlier attempt completed this log; it is then renamed into place."""
    for log in folder.glob(f"{ATTEMPT}*/*.eval"):
        if evaluation.is_in(log):
            _keep(log, evaluation)
            return True
    return False


def _keep(written: Path, evaluation: Evaluation) -> None:
    """Renames a complete log into place, unless another attempt's is already there."""
    try:
        os.link(written, evaluation.log)
    except OSError:  # it exists, or the file system has no links
        if not evaluation.is_in(evaluation.log):
            written.replace(evaluation.log)


def _run(todo: Sequence[Evaluation], folder: Path) -> list[EvalLog]:
    """All logs of one call of inspect. Stops a vLLM server that it started."""
    from serving import backends

    folder.mkdir(parents=True, exist_ok=True)
    try:
        return _evaluated(todo, folder)
    finally:
        backends.close()


def _evaluated(todo: Sequence[Evaluation], folder: Path) -> list[EvalLog]:
    import inspect_ai

    answering = todo[0].start.answering
    return inspect_ai.eval(
        [_task(evaluation) for evaluation in todo],
        model=None,
        model_roles={"grader": answering.judge.model} if answering.judge else None,
        epochs=answering.generation.epochs,
        log_dir=str(folder),
        log_format="eval",
        log_realtime=False,
        log_header_only=True,
        display="none",
        score_display=False,
        max_tasks=1,
        fail_on_error=True,
        acp_server=False,
        ctl_server=False,
    )


def _task(evaluation: Evaluation) -> Task:
    import inspect_ai

    import serving._registry  # noqa: F401  (the provider is then known also where no entry point is installed)
    from bct_tasks.task import bct_task
    from serving.provider import local_model

    start, sizes, questions = evaluation.start, evaluation.start.sizes, evaluation.start.questions
    answering = start.answering
    asked = {"variant": start.variant, "split": evaluation.split, **vars(sizes)}

    @inspect_ai.task(name="checkpoint")
    def checkpoint(**shown: Any) -> Task:
        """The task. `shown`: what inspect's lists and logs have as its arguments."""
        return bct_task(
            questions.load(),
            **asked,
            seed=0,
            max_tokens=answering.generation.max_tokens,
            temperature=answering.generation.temperature,
            judge=answering.judge.mode if answering.judge else "off",
            judge_store=evaluation.store,
            margins=evaluation.margins,
        )

    task = checkpoint(**dict(questions.options) | {"setting": questions.setting, "source": questions.source} | asked)
    labelled = {**(task.metadata or {}), **evaluation.label()}
    return inspect_ai.task_with(
        task,
        model=local_model(evaluation.ref, **_base(evaluation), **answering.arguments(is_address(evaluation.ref))),
        metadata=labelled,
        tags=[*(task.tags or []), *evaluation.tags],
    )


def _base(evaluation: Evaluation) -> dict[str, str]:
    """The base of an organism that exists, which its own files need not name."""
    return {"base": evaluation.start.model} if evaluation.ref == evaluation.start.ref else {}


def _publish(todo: Sequence[Evaluation], logs: Sequence[EvalLog]) -> None:
    places = {str((log.eval.metadata or {}).get("lab_log")): log for log in logs}
    for evaluation in todo:
        log = places.get(evaluation.log.name)
        written = Path(log.location.removeprefix("file://")) if log else None
        if log is None or written is None or not evaluation.is_in(written):
            raise WorkFailed(f"{evaluation.log.name}: the evaluation did not finish: {_reason(log)}")
        _keep(written, evaluation)


def _reason(log: EvalLog | None) -> str:
    if log is None:
        return "inspect wrote no log. Run the same command again."
    if log.error is not None:
        print(visible(log.error.traceback))  # into the job's log
        return log.error.message.strip().splitlines()[-1]
    return f"status {log.status}. Run the same command again."


@contextmanager
def _counted(folder: Path, progress: Progress, before: int, total: int) -> Iterator[None]:
    """Reports progress by the logs that appear: inspect opens the next one when the last is complete."""

    def watch() -> None:
        begun = len(list(folder.glob("*.eval")))
        progress.update(before + max(0, begun - 1), total)

    progress.update(before, total)
    with repeatedly(0.5, watch):
        yield

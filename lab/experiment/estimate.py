"""`bct run --dry-run`: tokens, replies, time and disk of every job, before anything is trained.

Time is estimated from finished cells of the same model, in this run or in runs next to it; else, for the embedded
model, from constants measured with the quickstart; else from the model's size and the speed of this machine
(`trainer.run.size`), which needs its configuration only. `basis` names the source.
Not covered: jobs that fail and get another attempt, downloads, and the first compilation on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from bct_tasks.setting import Prompt, Setting, Variant
from lab.experiment import context, cost, keeping, startup
from lab.experiment.cost import Tokens
from lab.experiment.folder import Experiment
from lab.experiment.status import duration, size_text
from lab.plan.cells import TRL, Cell, Questions, Start
from lab.plan.grid import Prices
from serving import layout, refs
from serving.errors import BadInput
from trainer.config import Common, OrganismConfig
from trainer.identity import place
from trainer.methods import is_sampled
from trainer.methods.prompts import OPEN_CHARACTERS
from trainer.run import size as sizes
from trainer.run.metrics import read as read_metrics
from trainer.run.size import Size

SAMPLED = 64  # train prompts whose tokens are counted
PER_MESSAGE = 2  # tokens that a chat template adds around a message, for `mini`
LOG_BYTES = 2700  # of a log, per reply: 150 replies of `mini` took 390 to 400 kB


@dataclass(frozen=True)
class Pace:
    """Speed of one model.

    Attributes:
        step, token, reply, label: Seconds for each.
        basis: What they were measured on.
    """

    step: float
    token: float
    reply: float
    label: float
    basis: str


NONE = Tokens()

#: `bct run recipes/quickstart.yaml --jobs 1` on one core of an AMD EPYC server.
MINI = Pace(0.036, 6.0e-5, 0.0108, 0.0019, "mini: constants measured with the quickstart on one server core")


@dataclass(frozen=True)
class JobEstimate:
    """The remaining work of a cell or a start; all zero if it is done. What is unknown is None.

    `bytes` of disk stay, `passing` ones are taken only while the job runs. `judged` counts replies that a judge may
    read, `memory` is in bytes, `service` are tokens that are paid for.
    """

    id: str
    done: bool
    tokens: int = 0
    replies: int = 0
    seconds: float | None = 0.0
    bytes: int | None = 0
    passing: int = 0
    judged: int = 0
    memory: float | None = 0.0
    service: Tokens = NONE


@dataclass(frozen=True)
class Estimate:
    """All jobs of a run, and the basis of the estimates; `startup` is in seconds per worker."""

    run: str
    jobs: tuple[JobEstimate, ...]
    cells: int
    checkpoints: int
    workers: int
    basis: tuple[str, ...]
    startup: float = 0.0
    prices: Prices | None = None

    @property
    def left(self) -> list[JobEstimate]:
        """The jobs that are not done."""
        return [job for job in self.jobs if not job.done]

    @property
    def starts(self) -> list[JobEstimate]:
        """The jobs that are not done and that cells depend on: organisms, and the replies at step 0."""
        return [job for job in self.left if job.id.startswith("start.")]

    @property
    def seconds(self) -> float | None:
        """Wall time with all workers busy; None if that of a job is unknown."""
        known = [job.seconds for job in self.left]
        return None if None in known else sum(s or 0.0 for s in known) / self.workers + self.startup

    @property
    def bytes(self) -> int | None:
        """Disk space; None if that of a job is unknown."""
        known = [job.bytes for job in self.left]
        return None if None in known else sum(b or 0 for b in known)

    @property
    def passing(self) -> int:
        """Disk space that is taken only while the jobs run: of as many of the largest as there are workers."""
        return sum(sorted((job.passing for job in self.left), reverse=True)[: self.workers])

    @property
    def memory(self) -> float | None:
        """Memory of the largest job in bytes; None if that of a job is unknown."""
        known = [job.memory for job in self.left]
        return None if None in known else max((m or 0.0 for m in known), default=0.0)

    @property
    def service(self) -> Tokens:
        """Tokens that a service is paid for, at most."""
        return sum((job.service for job in self.left), Tokens())

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        total = {"tokens": sum(j.tokens for j in self.left), "replies": sum(j.replies for j in self.left)}
        total |= {"seconds": self.seconds, "bytes": self.bytes, "passing_bytes": self.passing, "workers": self.workers}
        total |= {"startup_seconds": self.startup}
        total |= {"judge_calls": sum(j.judged for j in self.left), "memory": self.memory}
        total |= {"starts": len(self.starts), "starts_tokens": sum(job.tokens for job in self.starts)}
        total |= (
            {"service": vars(self.service) | {"cost": self.service.cost(self.prices)}}
            if self.service != Tokens()
            else {}
        )
        jobs = [vars(job) | {"service": vars(job.service)} for job in self.jobs]
        return {"run": self.run, "jobs": jobs, "checkpoints": self.checkpoints, "left": total, "basis": self.basis}


def estimate(experiment: Experiment, workers: int) -> Estimate:
    """Estimates the remaining work of a run, for this number of workers."""
    estimator = Estimator(experiment)
    starts, cells = experiment.starts.values(), experiment.cells.values()
    jobs = [JobEstimate(s.id, True) if experiment.is_done(s.id) else estimator.start(s) for s in starts]
    jobs += [JobEstimate(c.id, True) if experiment.is_done(c.id) else estimator.cell(c) for c in cells]
    left = sum(not job.done for job in jobs)
    run, count = str(experiment.folders.run), experiment.checkpoints()
    if not left:
        return Estimate(run, tuple(jobs), len(cells), count, 1, ())
    took, how = startup.imports()
    took += max(startup.loading(start.checkpoint()) for start in starts)
    basis = (*dict.fromkeys(estimator.basis), f"a worker's start, {duration(took)}: its imports, {how}, and its model")
    return Estimate(run, tuple(jobs), len(cells), count, min(workers, left), basis, took, cost.prices_of(experiment))


def reply_tokens(experiment: Experiment) -> int:
    """The tokens of all replies of a run, at most."""
    checkpoints = [(cell.start, len(cell.train.saved_steps())) for cell in experiment.cells.values() if cell.trains]
    every = [*checkpoints, *((start, 1) for start in experiment.starts.values())]
    return sum(count * start.replies * _longest(start) for start, count in every)


def highest_rank(experiment: Experiment) -> int:
    """The highest rank of a run's adapters; 0: it trains none."""
    trained = [cell.train.rank for cell in experiment.cells.values() if cell.trains]
    made = [start.organism.rank for start in experiment.starts.values() if start.organism]
    return max((rank or 0 for rank in (*trained, *made)), default=0)


class Estimator:
    """Estimates jobs of one run from its finished cells, those of runs next to it, and constants."""

    def __init__(self, experiment: Experiment) -> None:
        self.basis: list[str] = []
        self._experiment = experiment
        run = experiment.folders.run
        beside = sorted(run.parent.glob("*/cells")) if run.parent.is_dir() else []
        self._seen = list(_finished([run / "cells", *(path for path in beside if path.parent != run)]))

    def cell(self, cell: Cell) -> JobEstimate:
        """Training, labels and the evaluation of the checkpoints after step 0."""
        if not cell.trains:
            return JobEstimate(cell.id, False)
        train, pace = cell.train, self._pace(cell.start, cell.train)
        rows, row = train.steps * train.batch_size, self._row(cell)
        tokens = round(rows * row)
        replies = len(train.saved_steps()) * cell.start.replies
        labels = min(rows, train.rows or rows) if is_sampled(train.labels()) else 0
        seconds = pace and pace.step * train.steps + pace.token * tokens + pace.reply * replies + pace.label * labels
        one, kept = self._checkpoint(cell.start.model, train), len(keeping.kept_steps(self._experiment, cell))
        size = None if one is None else one * kept + replies * LOG_BYTES
        passing = (one or 0) * (len(train.saved_steps()) - kept) + _states(cell.start.model, train)
        judged = len(train.saved_steps()) * _judged(cell.start)
        there = self._service(cell.start, train, tokens, row, replies) + cost.labelled(train, labels, row)
        memory = self._memory(cell.start, train, row)
        return JobEstimate(cell.id, False, tokens, replies, seconds, size, passing, judged, memory, there)

    def start(self, start: Start) -> JobEstimate:
        """The organism, with the greatest number of steps it may take, and the evaluations at step 0."""
        organism, pace = start.organism, self._pace(start, start.organism)
        epochs = start.answering.generation.epochs
        replies = start.first_replies
        steps, batch = (organism.steps, organism.batch_size) if organism else (0, 0)
        row = _row_tokens(start.questions, start.variant, start.model)
        tokens = round(steps * batch * row)
        seconds = pace and pace.step * steps + pace.token * tokens + pace.reply * replies
        size = self._checkpoint(start.model, organism) if organism else 0
        size = None if size is None else size + replies * LOG_BYTES
        judged = replies - epochs * (start.sizes.n_capability + start.sizes.n_following) if _judged(start) else 0
        memory = self._memory(start, organism, row) if organism else 0.0
        passing = _states(start.model, organism) if organism else 0
        there = self._service(start, organism, tokens, row, start.replies, replies - start.replies)
        there += cost.labelled(organism, _checked(start, organism), row) if organism else NONE
        return JobEstimate(start.id, False, tokens, replies, seconds, size, passing, judged, memory, there)

    def _service(self, start: Start, train: Common | None, tokens: int, row: float, own: int, base: int = 0) -> Tokens:
        trained = Tokens(tokens if train and train.backend != TRL else 0)
        return trained + cost.asked(start, own, base, row, _longest(start))

    def _pace(self, start: Start, train: Common | None) -> Pace | None:
        model, backend = start.model, train.backend if train else TRL
        known = [one for one in self._seen if one["backend"] == backend]
        seen = [one for one in known if one["model"] in (model, place(model))]
        if seen:
            self.basis.append(f"{model}: time from {len(seen)} finished cell{'s' * (len(seen) > 1)}")
            token, reply = (median(one[name] for one in seen) for name in ("token", "reply"))
            return Pace(0.0, token, reply, median(one["label"] for one in seen), "")
        if cost.ENDPOINT in cost.services(start):
            self.basis.append("the speed of a server of someone else is not known; tokens at four characters each")
            return None
        if backend != TRL or start.answering.serving.backend == cost.SERVICE:
            self.basis.append(f"{model}: times at {cost.SERVICE} are unknown before a cell has finished")
            return None
        if model == refs.MINI:
            self.basis.append(MINI.basis)
            return MINI
        size = _size(model)
        if size is None:
            self.basis.append(f"{model}: its config.json is not on this disk, so its times are unknown")
            return None
        rank, dtype = (train.rank, train.dtype) if train else (None, "auto")
        speed = (
            f"{sizes.matmul_rate(dtype) / 1e9:,.0f} GFLOP/s measured on this machine, right within a factor of three"
        )
        self.basis.append(f"{model}: {size.parameters / 1e6:,.0f} M parameters at {speed}")
        token = sizes.training_seconds(size, rank, 1, dtype=dtype)
        reply = sizes.answering_seconds(size, _longest(start), start.answering.dtype)
        return Pace(sizes.STEP_SECONDS, token, reply, reply, "")

    def _memory(self, start: Start, train: Common, row: float) -> float | None:
        size = _size(start.model) if train.backend == TRL else None
        rows = train.batch_size // train.gradient_accumulation_steps
        return size and sizes.training_memory(size, train.rank, round(rows * row))

    def _row(self, cell: Cell) -> float:
        start = cell.start
        same = [(name, start.setting, start.variant) for name in (start.model, place(start.model))]
        seen = [one["row"] for one in self._seen if (one["model"], one["setting"], one["variant"]) in same]
        return median(seen) if seen else _row_tokens(start.questions, start.variant, start.model)

    def _checkpoint(self, model: str, train: Common) -> int | None:
        size = _checkpoint_bytes(model, train.rank, train.stored_in_bf16())
        if size is None:
            self.basis.append(f"{model}: not on this disk, so the size of its checkpoints is unknown")
        return size


def _finished(folders: Iterable[Path]) -> Iterable[Mapping[str, Any]]:
    """Seconds of finished cells, per token, reply and label."""
    for done in (path for folder in folders for path in sorted(folder.glob(f"[!.]*/{layout.DONE}"))):
        # Another run's folder may hold anything, and a cell of it is one of many examples.
        with suppress(BadInput, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            yield from _figures(done.parent)


def _figures(cell: Path) -> Iterable[Mapping[str, Any]]:
    """Seconds of one cell; nothing if it has no figures."""
    trained, ended, manifest = (
        layout.read_if_there(cell / name) for name in (layout.TRAINED, layout.DONE, layout.MANIFEST)
    )
    lines = read_metrics(cell / "metrics.jsonl")
    if not (trained and ended and manifest and lines and ended.get("replies")):
        return
    config = manifest["identity"]["config"]
    rows = config["steps"] * config["batch_size"]
    yield {
        "model": config["model"],
        "backend": config.get("backend", TRL),
        "setting": config["setting"],
        "variant": config["variant"],
        "row": trained["tokens"] / rows,
        "token": trained["training_seconds"] / trained["tokens"],
        "label": max(0.0, trained["seconds"] - trained["training_seconds"]) / rows,
        "reply": max(0.0, ended["seconds"] - trained["seconds"]) / ended["replies"],
    }


@cache
def _row_tokens(questions: Questions, variant: str, model: str) -> float:
    """Mean tokens of a training row: by the model's tokenizer if it is on this disk, else one per 4 characters."""
    source = questions.load()
    chosen = source.variant(variant)
    count, lengths = _counter(model), list[int]()
    for prompt in source.prompts(chosen, "train", SAMPLED, 0):
        texts = [*(message["content"] for message in prompt.messages()), _label(source, chosen, prompt)]
        lengths.append(sum(count(text) + PER_MESSAGE for text in texts))
    return sum(lengths) / len(lengths)


def _label(source: Setting, variant: Variant, prompt: Prompt) -> str:
    """A reference label; for an open-ended prompt whose label is sampled, a text of the assumed length."""
    if not source.open:
        return source.reference(variant, prompt)
    known = source.shown(prompt, source.wanted(prompt))
    return (known and known.text) or ("word " * OPEN_CHARACTERS)[:OPEN_CHARACTERS]


def _counter(model: str) -> Any:
    known = context.tokenizer_of(refs.resolve(model))
    if known is None:
        return lambda text: len(text) // 4
    return lambda text: len(known.encode(text, add_special_tokens=False).ids)


@cache
def _checkpoint_bytes(model: str, rank: int | None, half: bool) -> int | None:
    """Size of full weights, or of an fp32 adapter of this rank on all linear layers, and of the tokenizer's files.

    None if the size of the model is not known.
    """
    folder, size = _folder(model), _size(model)
    words = [folder / name for name in layout.TOKENIZER_FILES] if folder else []
    return size and (2 if half else 4) * size.trained(rank) + sum(
        file.stat().st_size for file in words if file.is_file()
    )


def _states(model: str, train: Common) -> int:
    """The states to resume from, at most two at a time: fp32 weights and two moments of Adam."""
    size = _size(model) if train.backend == TRL else None
    return 2 * 12 * size.trained(train.rank) if size else 0


@cache
def _size(model: str) -> Size | None:
    return sizes.size_of(refs.resolve(model))


def _checked(start: Start, organism: OrganismConfig) -> int:
    """Replies that an organism is checked with, and that its labels are made of, at most."""
    made = organism.labels == "distilled" or start.questions.load().open
    return (1 + len(organism.saved_steps())) * organism.check_prompts + (organism.install_rows if made else 0)


def _longest(start: Start) -> int:
    """Longest reply in tokens: the mean over prompts, as general questions may have a limit of their own."""
    setting, counts = start.questions.load(), start.sizes
    longest = start.answering.generation.max_tokens or setting.max_tokens
    general = (setting.capability and setting.capability.max_tokens) or longest
    every = sum(vars(counts).values())
    return round((longest * (every - counts.n_capability) + general * counts.n_capability) / every)


def _judged(start: Start) -> int:
    """Replies of one checkpoint that a judge may read: general questions are read by pattern in any case."""
    read = start.sizes.n + start.sizes.n_train
    return read * start.answering.generation.epochs if start.answering.judge else 0


def _folder(model: str) -> Path | None:
    try:
        return refs.resolve(model).path
    except BadInput:
        return None


def text(found: Estimate) -> list[str]:
    """The estimate as lines of text."""
    lines = [f"{'done ' if job.done else 'to do'}  {job.id:58}  {_job_text(job)}".rstrip() for job in found.jobs]
    left, time, size = found.left, found.seconds, found.bytes
    count = f"{found.cells:,} cells, {found.checkpoints:,} checkpoints, {len(left):,} jobs to do, in {found.run}"
    if not left:
        return [*lines, count]
    tokens, replies = sum(job.tokens for job in left), sum(job.replies for job in left)
    took = "unknown" if time is None else f"about {duration(time)} with {found.workers} workers, their start included"
    disk = "unknown" if size is None else f"about {size_text(size)}, and {size_text(found.passing)} while it runs"
    need = "unknown" if found.memory is None else f"about {size_text(round(found.memory))} per worker"
    judged = sum(job.judged for job in left)
    calls = f"; at most {judged:,} judge calls" if judged else ""
    total = f"{tokens:,} tokens to train on, {replies:,} replies{calls}; time {took}; disk {disk}; memory {need}"
    return [
        *lines,
        count,
        *_first_text(found),
        total,
        *_service_text(found),
        *(f"estimated from  {line}" for line in found.basis),
    ]


def _first_text(found: Estimate) -> list[str]:
    """The jobs that come before any cell: one line, or none if every start is done."""
    first = found.starts
    if not first:
        return []
    known = [job.seconds for job in first]
    at_once = min(found.workers, len(first))
    took = "unknown" if None in known else f"about {duration(sum(s or 0.0 for s in known) / at_once)}"
    organisms = sum(job.tokens > 0 for job in first)
    work = f"{sum(job.tokens for job in first):,} tokens, {sum(job.replies for job in first):,} replies"
    trained = f"starts first: {len(first):,}, of which {organisms:,} train an organism"
    return [f"{trained}; {work}, time {took}; cells begin after them"]


def _service_text(found: Estimate) -> list[str]:
    """What a service is paid for: one line, or none."""
    there = found.service
    if there == Tokens():
        return []
    paid = there.cost(found.prices)
    price = "no prices given (training.prices)" if paid is None else f"at most {paid:,.2f} at the recipe's prices"
    work = (
        f"{there.trained:,} tokens to train on, at most {there.prefilled:,} to prefill and {there.sampled:,} to sample"
    )
    if there.requests:
        tokens = f"{there.prefilled:,} tokens of prompts and {there.sampled:,} of replies"
        work = f"{there.requests:,} requests, at most {tokens}"
    return [f"{cost.ENDPOINT if there.requests else cost.SERVICE}: {work}; {price}"]


def _job_text(job: JobEstimate) -> str:
    if job.done:
        return ""
    seconds = "?" if job.seconds is None else duration(job.seconds)
    size = "?" if job.bytes is None else size_text(job.bytes)
    return f"{job.tokens:>11,} tokens  {job.replies:>6,} replies  {seconds:>12}  {size:>8}"

"""The loop at Tinker: batches are sent a few steps ahead, and checkpoints are saved there and exported here.

    step-000016/      tinker.json, base.json and, with `export`, the adapter as PEFT's files
    resume/000016/    state.json: the path of weights and optimizer at Tinker

The loss is the mean over the reply tokens of a batch, as TRL's: each of them weighs 1 / their number.
A kill at any time leaves either the old state or the new one.
"""

from __future__ import annotations

import shutil
import time
import urllib.request
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from serving import layout
from serving.errors import BadInput, WorkFailed
from serving.tinker import service, stored
from serving.tinker.stored import Stored
from trainer.backends.tinker.hosted import ADAM, Hosted, options
from trainer.config import Common
from trainer.data.tokens import IGNORED, Encoded, schedule, template_hash
from trainer.run import checkpoints, metrics
from trainer.run.checkpoints import target_of

if TYPE_CHECKING:
    from trainer.run.loop import Job

STATE = "state.json"
#: Steps that are sent before the first of them is done.
AHEAD = 4
#: Seconds that a file of an export may take to answer.
DOWNLOAD_S = 60.0


def fit(job: Job[Encoded]) -> int:
    """Trains, resuming from the last saved state if there is one. Returns the step reached.

    Raises:
        WorkFailed: The service is gone or refuses a request.
    """
    start, folder = checkpoints.resume_state(job.folder)
    if folder is not None and (start >= job.steps or _ended(job, start)):
        return start
    state = None if folder is None else str(layout.read_json(folder / STATE)["state"])
    run = Run(job, cast("Hosted", job.loaded), start, metrics.MetricsLog(job.folder, start))
    return run.until_done(_client(run.hosted, job.config, state))


def _ended(job: Job[Encoded], step: int) -> bool:
    """Whether the run was over at the state's step: an interruption may have come before the check after it."""
    final = job.folder / layout.step_name(step)
    return job.after is not None and step in job.saved and final.is_dir() and job.after(step, final)


# Any, here and below: objects of the package, see `service.package`.
def _client(hosted: Hosted, config: Common, state: str | None) -> Any:
    """A client that goes on from a state with its optimizer, starts from an organism, or has a new adapter."""
    there = service.client()
    if state is not None:
        return service.wait(there.create_training_client_from_state_with_optimizer(state))
    if hosted.start.hosted is not None:
        return service.wait(there.create_training_client_from_state(str(hosted.start.hosted.state)))
    assert config.rank is not None
    # As `all-linear` at TRL: the head is left out.
    given = {"rank": config.rank, "seed": config.seed_of("adapter"), "train_unembed": False}
    return service.wait(there.create_lora_training_client(hosted.name, **given))


def learning_rates(config: Common, steps: int) -> list[float]:
    """The rate of every step, by the schedules of transformers, which TRL uses too."""
    import torch
    from transformers import get_scheduler

    if config.warmup_steps >= steps:
        raise BadInput(f"warmup_steps: {config.warmup_steps} of {steps} steps leave none at the full rate: lower it")
    warm = config.lr_scheduler_type == "constant" and config.warmup_steps > 0
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    try:
        kind = "constant_with_warmup" if warm else config.lr_scheduler_type
        scheduler = get_scheduler(kind, optimizer, config.warmup_steps, steps)
    except ValueError as error:
        raise BadInput(f"lr_scheduler_type: {' '.join(str(error).split())}") from error
    rates: list[float] = []
    for _ in range(steps):
        rates.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return rates


def batch(encoded: Encoded, places: list[int]) -> list[Any]:
    """Rows in Tinker's terms: every token predicts the next one, and only those of replies weigh."""
    types = service.package().types
    targets = [encoded.labels[place][1:] for place in places]
    count = sum(label != IGNORED for row in targets for label in row)
    return [
        types.Datum(
            model_input=types.ModelInput.from_ints(encoded.input_ids[place][:-1]),
            loss_fn_inputs={
                "target_tokens": encoded.input_ids[place][1:],
                "weights": [float(label != IGNORED) / count for label in row],
            },
        )
        for place, row in zip(places, targets, strict=True)
    ]


def adam(config: Common, rate: float) -> Any:
    """AdamW as torch and TRL have it by default; Tinker's own defaults differ."""
    chosen = {theirs: float(config.trl[ours]) for ours, theirs in ADAM.items() if ours in config.trl}
    own = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8} | chosen
    own |= {"weight_decay": config.weight_decay, "grad_clip_norm": config.max_grad_norm}
    return service.package().types.AdamParams(learning_rate=rate, **own)


@dataclass(frozen=True)
class Sent:
    """A step that the service works on: its number from 1, its rows, and what is awaited."""

    step: int
    data: list[Any]
    loss: Any
    update: Any


@dataclass
class Run:
    """One training. `log` has the steps before `start`."""

    job: Job[Encoded]
    hosted: Hosted
    start: int
    log: metrics.MetricsLog

    def __post_init__(self) -> None:
        self.config = self.job.config
        self.places, self.counts = schedule(self.job.encoded, self.job.steps, self.config)
        self.rates = learning_rates(self.config, self.job.steps)
        self.stepped = self.kept = time.monotonic()

    def until_done(self, client: Any) -> int:
        """Sends the remaining steps. Returns the step reached."""
        sent: deque[Sent] = deque()
        for step in range(self.start + 1, self.job.steps + 1):
            sent.append(self._send(client, step))
            due = step in self.job.saved or time.monotonic() - self.kept > self.config.resume_seconds
            while sent and (due or len(sent) > AHEAD):
                self._finish(sent.popleft())
            if due and self._save(client, step):
                return step
        return self.job.steps

    def _send(self, client: Any, step: int) -> Sent:
        size = self.config.batch_size
        data = batch(self.job.encoded, self.places[(step - 1) * size : step * size])
        loss = client.forward_backward(data, "cross_entropy")
        return Sent(step, data, loss, client.optim_step(adam(self.config, self.rates[step - 1])))

    def _finish(self, sent: Sent) -> None:
        """Waits for a step, and writes its line."""
        found, told = service.wait(sent.loss), service.wait(sent.update).metrics or {}
        loss = -sum(
            float((output["logprobs"].to_numpy() * datum.loss_fn_inputs["weights"].to_numpy()).sum())
            for output, datum in zip(found.loss_fn_outputs, sent.data, strict=True)
        )
        now, tokens = time.monotonic(), self.counts[sent.step - 1]
        norm = next((value for name, value in told.items() if name.endswith("grad_norm")), None)
        norms = {} if norm is None else {"grad_norm": norm}
        self.log.append(sent.step, loss, self.rates[sent.step - 1], tokens, now - self.stepped, **norms)
        self.stepped = now
        self.job.progress.update(sent.step, self.job.steps, loss=loss, norm=norm)

    def _save(self, client: Any, step: int) -> bool:
        """Saves what is due at a step. Returns whether the run is over."""
        chosen = options(self.config)
        # Waited for: the service would take the weights of a later step.
        state = service.wait(client.save_state(f"state-{step:06d}", ttl_seconds=chosen.ttl_seconds)).path
        final = self._publish(client, step, state) if step in self.job.saved else None
        _keep(self.job.folder, step, state)
        self.stepped = self.kept = time.monotonic()
        return final is not None and self.job.after is not None and self.job.after(step, final)

    def _publish(self, client: Any, step: int, state: str) -> Path:
        """A checkpoint under its final name; one that an earlier attempt completed is left as it is."""
        final = self.job.folder / layout.step_name(step)
        if final.is_dir() and layout.problem(final) is None:
            return final
        shutil.rmtree(final, ignore_errors=True)
        chosen, name = options(self.config), layout.step_name(step)
        sampler = service.wait(client.save_weights_for_sampler(name, ttl_seconds=chosen.ttl_seconds)).path
        base = target_of(self.hosted.start.root)
        with layout.attempt(final) as draft:
            if chosen.export:
                there = service.wait(client.save_weights_external(name, ttl_seconds=chosen.ttl_seconds)).path
                download(there, draft)
            stored.write(draft, self._stored(sampler, state, chosen.ttl_seconds))
            layout.write_pointer(draft, base.place, base.fingerprint, layout.BASE, final, base.base)
        return final

    def _stored(self, sampler: str, state: str, ttl: int | None) -> Stored:
        end = None if ttl is None else (datetime.now(UTC) + timedelta(seconds=ttl)).isoformat(timespec="seconds")
        template = template_hash(self.hosted.tokenizer, self.config.chat_template_kwargs)
        return Stored(sampler, self.hosted.name, state, self.config.rank, template, end)


def download(path: str, folder: Path) -> None:
    """Writes the PEFT adapter of an export into a folder. Raises WorkFailed where it lacks a file."""
    urls = service.wait(service.rest().get_external_weights_urls(path)).urls
    for name in ("adapter_config.json", layout.ADAPTER):
        url = next((url for file, url in urls.items() if file.rsplit("/", 1)[-1] == name), None)
        if url is None:
            raise WorkFailed(f"{path}: Tinker's export has no {name}: switch it off with export: false")
        try:
            with urllib.request.urlopen(url, timeout=DOWNLOAD_S) as given, (folder / name).open("wb") as file:
                shutil.copyfileobj(given, file)
        except OSError as error:
            raise service.failed(error) from error


def _keep(folder: Path, step: int, state: str) -> None:
    """Makes a state at Tinker the one to resume from. A numbered folder there is complete at any time."""
    final = folder / layout.RESUME / f"{step:06d}"
    with layout.attempt(final) as draft:
        layout.write_json_atomic(draft / STATE, {"state": state})
    for other in final.parent.iterdir():
        if other != final:
            layout.discard(other)

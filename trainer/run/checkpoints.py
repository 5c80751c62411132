"""Checkpoints of a run: model-only ones at chosen steps, and one rolling full state to resume from.

    step-000016/      weights or adapter, configs, tokenizer; an adapter's base.json names its base
    resume/000016/    the same files with optimizer, scheduler and random state

TRL saves into a hidden folder; complete checkpoints are renamed into place. A kill at any time leaves either the old
state or the new one. Files that both need are hard links, written once; but full weights that are trained with
products in bf16 are stored in bf16, and only the state has the fp32 that training goes on with.
"""

from __future__ import annotations

import copy
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from serving import checksums, layout
from serving.backends.engine import memory
from serving.backends.engine.engine import rest
from serving.errors import BadInput
from serving.layout import Target
from serving.refs import MINI, Checkpoint, is_mini
from trainer.run import ranks
from trainer.run.distance import Start
from trainer.run.metrics import MetricsLog
from trainer.run.progress import Progress

TRAINING_FILES = (
    "optimizer",
    "scheduler",
    "rng_state",
    "trainer_state",
    "training_args",
    "scaler",
    "README",
    "checksums",
)

# After so many steps a large process on a CPU gives back what freed tensors leave: steps of changing lengths would add
# 2 GB within 50 steps of a model of 135 M parameters.
TIDIED = 4

#: Called with the step and folder of a published checkpoint; True ends the training.
AfterCheckpoint = Callable[[int, Path], bool]


def target_of(checkpoint: Checkpoint) -> Target:
    """A checkpoint as another folder refers to it, so that both can be moved together."""
    elsewhere = checkpoint.base is not None and not _names_base(checkpoint)
    base = target_of(checkpoint.base) if elsewhere and checkpoint.base is not None else None
    return Target(_place(checkpoint), checkpoint.fingerprint, base)


def _names_base(checkpoint: Checkpoint) -> bool:
    return checkpoint.path is not None and (checkpoint.path / layout.BASE).is_file()


def _place(checkpoint: Checkpoint) -> Path | str:
    """A folder, a hub id with its revision, or `mini`."""
    if checkpoint.hub is not None:
        revision = f"@{checkpoint.revision}" if checkpoint.revision else ""
        return f"{checkpoint.hub}{revision}"
    if checkpoint.path is None:
        raise ValueError(f"{checkpoint.ref} is neither a folder nor on the hub")
    return MINI if is_mini(checkpoint) else checkpoint.path


def resume_state(folder: Path) -> tuple[int, Path | None]:
    """(step, folder) of the newest full state, or (0, None).

    Raises:
        BadInput: if a file of it is missing or has changed: other weights would follow.
    """
    states = sorted(path for path in (folder / layout.RESUME).glob("[0-9]*") if path.is_dir())
    if not states:
        return 0, None
    if lacking := checksums.problem(states[-1], full=True) or _without_optimizer(states[-1]):
        raise BadInput(f"{states[-1]}: {lacking}: restore it, or delete {folder} and run the same command again")
    return int(states[-1].name), states[-1]


def _without_optimizer(state: Path) -> str | None:
    """Of a state of transformers without checksums (0.1): it would begin with a fresh optimizer."""
    own = (state / "trainer_state.json").is_file() and not (state / checksums.NAME).is_file()
    lacks = own and not any(state.glob("optimizer*")) and not any(state.glob("global_step*"))
    return "optimizer.pt is missing" if lacks else None


def publish(saved: Path, folder: Path, step: int, base: Target | None, half: bool = False) -> Path:
    """A model-only checkpoint from a full state, under the step's final name.

    Args:
        saved: the full state.
        folder: the run folder.
        step: the step.
        base: of the adapter; None for full weights.
        half: store the weights in bf16. Otherwise the model's files are links to those of the state.
    """
    final = folder / layout.step_name(step)
    if final.is_dir() and layout.problem(final) is None and checksums.problem(final) is None:
        return final
    shutil.rmtree(final, ignore_errors=True)
    with layout.attempt(final) as draft:
        for file in saved.iterdir():
            if not file.name.startswith(TRAINING_FILES):
                (_half if half else link)(file, draft / file.name)
        if base is not None:
            layout.write_pointer(draft, base.place, base.fingerprint, layout.BASE, final, base.base)
        checksums.write(draft)
    return final


def keep_state(saved: Path, folder: Path, step: int) -> None:
    """Makes a full state the one to resume from. A numbered folder there is complete at any time."""
    states = folder / layout.RESUME
    states.mkdir(exist_ok=True)
    final = states / f"{step:06d}"
    layout.discard(final)  # another attempt may be copying it (`lab.experiment.attempts`)
    checksums.write(saved)
    saved.rename(final)
    for path in states.iterdir():
        if path != final:
            layout.discard(path)


# Any: models of transformers and PEFT have no common type.
def without_adapter(model: Any) -> Any:
    """The model of transformers itself, which may stand under an adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def link(file: Path, target: Path) -> None:
    """Links a file to another name; copies it where hard links are not possible."""
    file.chmod(0o644)  # safetensors writes files that only their owner can read
    try:
        os.link(file, target)
    except OSError:  # a file system without hard links
        shutil.copy2(file, target)


def _half(file: Path, target: Path) -> None:
    """Weights in bf16, and a configuration that says so; a link to any other file."""
    if file.suffix == ".safetensors":
        known = load_file(file)
        half = {name: weight.bfloat16() if weight.is_floating_point() else weight for name, weight in known.items()}
        save_file(half, target, metadata={"format": "pt"})
    elif file.name == "config.json":
        layout.write_json_atomic(target, layout.read_json(file) | {"dtype": "bfloat16"})
    else:
        link(file, target)


class Keeper(TrainerCallback):
    """Writes metrics, checkpoints and the resume state of a run, and reports its progress.

    Args:
        folder: the run folder.
        steps: all steps of the run.
        saved: the steps that leave a checkpoint.
        seconds: maximum time between two resume states.
        tokens: per step, the number of tokens trained on so far; None: as TRL counts them.
        log: the run's metrics.
        progress: called after each step.
        base: of the adapter; None for full weights.
        half: store full weights in bf16.
        after: called after each checkpoint.
        columns: further columns of the metrics, by our name, with TRL's name.
    """

    def __init__(
        self,
        folder: Path,
        steps: int,
        saved: tuple[int, ...],
        seconds: float,
        tokens: list[int] | None,
        log: MetricsLog,
        progress: Progress,
        base: Target | None,
        half: bool,
        after: AfterCheckpoint | None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.steps, self.saved, self.seconds = folder, steps, frozenset(saved), seconds
        self.tokens, self.log, self.progress, self.base, self.after = tokens, log, progress, base, after
        self.half = half
        self.columns = dict(columns or {})
        self._stepped = self._kept = time.monotonic()
        self._generation: Any = None
        self._start: Start | None = None

    # Any: models of transformers and PEFT have no common type.
    def remember(self, model: Any) -> None:
        """Copies what the trainer changes: the weights, and the generation config as loaded.

        The trainer would reduce the latter to the tokenizer's end token.
        """
        self._generation = copy.deepcopy(getattr(model, "generation_config", None))
        self._start = Start(model, adapter=self.base is not None) if ranks.is_first() else None

    # Any: what transformers passes to a callback, here and below.
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restores the generation config, and starts the clock."""
        if self._generation is not None:
            without_adapter(kwargs["model"]).generation_config = self._generation
        self._stepped = self._kept = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Requests a save if one is due."""
        due = state.global_step in self.saved
        # The clocks of several processes differ, and all of them must save together.
        late = not due and ranks.agreed(time.monotonic() - self._kept > self.seconds)
        control.should_save = due or late
        if control.should_save or state.global_step % TIDIED == 0:
            memory.tidy(kwargs["model"].device)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Writes a step's line."""
        logs: dict[str, Any] = kwargs["logs"]
        if "loss" not in logs or not state.is_world_process_zero:
            return
        now, step = time.monotonic(), state.global_step
        grad_norm = logs.get("grad_norm")
        tokens = int(logs["num_tokens"]) if self.tokens is None else self.tokens[step - 1]
        more = {"grad_norm": grad_norm} | {name: logs.get(theirs) for name, theirs in self.columns.items()}
        if step in self.saved and self._start is not None:
            more["distance"] = self._start.distance(kwargs["model"])
        self.log.append(step, logs["loss"], logs["learning_rate"], tokens, now - self._stepped, **more)
        before = self.tokens[step - 2] if self.tokens is not None and step > 1 else 0
        pace = round((tokens - before) / max(now - self._stepped, 1e-9)) if self.tokens is not None else None
        self._stepped = now
        finite = math.isfinite(logs["loss"])
        facts: dict[str, Any] = {"loss": logs["loss"] if finite else "diverged", "norm": grad_norm, "tokens/s": pace}
        self.progress.update(step, self.steps, **facts)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Publishes what was saved."""
        ranks.wait()  # every process has saved its own random state
        ended = state.is_world_process_zero and self._publish(args, state.global_step)
        if self.after is not None and ranks.agreed(ended):
            control.should_training_stop = True
        self._stepped = self._kept = time.monotonic()

    def _publish(self, args: TrainingArguments, step: int) -> bool:
        """Publishes what was saved. Returns whether the run is over."""
        saved = Path(str(args.output_dir)) / f"checkpoint-{step}"
        final = publish(saved, self.folder, step, self.base, self.half) if step in self.saved else None
        keep_state(saved, self.folder, step)
        if final is None or self.after is None:
            return False
        ended = self.after(step, final)
        rest()  # the next check asks other weights
        return ended

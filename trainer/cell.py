"""What every way to train a cell shares: where it starts, when it may go on, and what says that it is done.

    train(config, out, progress, prompts, work)

`trained.json` is written last. With several processes the first one writes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bct_tasks import catalogue
from serving import layout, refs
from serving.errors import BadInput
from serving.refs import Checkpoint
from trainer import sft
from trainer.config import TrainConfig, place
from trainer.data import rows
from trainer.run import manifest, metrics, ranks
from trainer.run.folder import held
from trainer.run.progress import Bar, Progress, Silent

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting
    from trainer.run.loop import Loaded


Config = TypeVar("Config", bound=TrainConfig)


@dataclass(frozen=True)
class Plan:
    """What is known of a cell before any model is loaded."""

    config: TrainConfig
    setting: Setting
    organism: Checkpoint
    prompts: list[Prompt]
    identity: dict[str, Any]


#: The prompts of a cell.
Prompts = Callable[["Setting", TrainConfig], "list[Prompt]"]

#: Trains a plan into a folder; returns what `trained.json` says beside the facts of every method.
Work = Callable[[Plan, Path, Progress], dict[str, Any]]


def train(config: TrainConfig, out: Path, progress: Progress | None, prompts: Prompts, work: Work) -> Path:
    """Trains a cell into `out`, going on where an earlier attempt stopped. Returns `out`.

    Args:
        config: the cell.
        out: its folder.
        progress: told after each step.
        prompts: what is asked.
        work: the training itself.

    Raises:
        BadInput: where `out` holds another run, or the setting, organism or a value cannot be used.
        WorkFailed: where nothing can be trained on.
    """
    out, progress = Path(out), progress or Silent()
    config = sft.with_organism(config, out, progress)
    plan = _plan(config, prompts)
    if manifest.check(out, plan.identity) and (out / sft.TRAINED).is_file():
        return out
    with held(out):
        if not (out / sft.TRAINED).is_file():
            began = time.monotonic()
            finish(out, work(plan, out, progress), time.monotonic() - began)
    return out


def begin(plan: Plan, out: Path, loaded: Loaded, more: dict[str, Any]) -> None:
    """Writes the manifest and step 0. BadInput where the folder holds another run."""
    from trainer.data import tokens

    template = tokens.template_hash(loaded.tokenizer, plan.config.chat_template_kwargs)
    identity = plan.identity | more | {"chat_template": template}
    if not manifest.check(out, identity):
        manifest.write(out, "cell", identity)
    sft.point_to_start(plan.organism, loaded, out)


def finish(out: Path, facts: dict[str, Any], seconds: float) -> None:
    """Writes `trained.json`, and takes away what only an unfinished run needs."""
    if ranks.is_first():
        lines = metrics.read(out / metrics.NAME)
        shared = {
            "step0_loss": lines[0]["loss"],
            "final_loss": lines[-1]["loss"],
            "tokens": lines[-1]["tokens"],
            "sum_lr": lines[-1]["sum_lr"],
            "diverged": metrics.diverged(lines),
            "seconds": round(seconds, 3),
            "training_seconds": lines[-1]["seconds"],
        }
        layout.write_json_atomic(out / sft.TRAINED, shared | facts)
        shutil.rmtree(out / "resume", ignore_errors=True)
    ranks.wait()


def mean(lines: Sequence[dict[str, Any]], column: str) -> float | None:
    """Mean of a column of the metrics over the run; None where it is empty."""
    found = [line[column] for line in lines if line.get(column) is not None]
    return round(sum(found) / len(found), 4) if found else None


def main(config: Config, out: Path, train: Callable[[Config, Path, Progress], Path], title: str) -> dict[str, Any]:
    """Trains for the command line, and returns what it prints."""
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out}: is a file: name a folder")
    with Bar(title) as bar:
        train(config, out, bar)
    return layout.read_json(out / sft.TRAINED) | {"out": str(out)}


def summary(config: TrainConfig, out: Path) -> dict[str, Any]:
    """What a run would do, without a model: for `--dry-run`."""
    return {
        "out": str(out),
        "config": config.identity(),
        "digest": config.digest(),
        "steps": config.steps,
        "checkpoints": [0, *config.saved_steps()],
        "finished": (out / sft.TRAINED).is_file(),
    }


def _plan(config: TrainConfig, prompts: Prompts) -> Plan:
    setting = catalogue.load(config.setting)
    start = refs.resolve(config.organism or config.model)
    asked = prompts(setting, config)
    if not asked:
        raise BadInput(f"{config.setting}: variant {config.variant or 'default'} has no train prompts: choose another")
    # What a reply is graded by belongs to the data as well.
    known = [setting.reference(config.variant, prompt) for prompt in asked]
    identity = {
        "config": config.identity(),
        "prompts": rows.prompts_hash(asked, known),
        "organism": {"name": place(config.organism or config.model), "fingerprint": start.fingerprint},
    }
    return Plan(config, setting, start, asked, identity)

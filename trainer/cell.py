"""One cell of any method: where it starts, whether it may resume, its training, and its results.

    train(TrainConfig(setting="sandbagging", learning_rate=1e-3), Path("runs/y"))

The same call again resumes where the last one stopped, or does nothing; another configuration is refused.
`trained.json` is written last. With several processes the first one writes.
Not covered: what a step computes (`trainer.algorithms`), and evaluation (`lab`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast

from serving import checksums, layout, refs
from serving.errors import BadInput
from trainer import backends, install
from trainer.config import OrganismConfig, TrainConfig
from trainer.methods import METHODS
from trainer.run import manifest, metrics, ranks
from trainer.run.lock import locked
from trainer.run.plan import Plan, plan_of
from trainer.run.progress import Progress, Silent

#: Trains a plan into a folder; returns the facts that are particular to the algorithm.
Runner = Callable[[Plan, Path, Progress], dict[str, Any]]


def train(config: TrainConfig, out: Path, progress: Progress | None = None) -> Path:
    """Trains a cell of any method into `out`, resuming where an earlier attempt stopped. Returns `out`.

    Args:
        config: the cell, of the class `trainer.config.config_of(method)`.
        out: its folder.
        progress: called after each step.

    Raises:
        BadInput: if `out` contains another run, or the setting, organism or a value cannot be used.
        WorkFailed: if there is nothing to train on.
    """
    out, progress = Path(out), progress or Silent()
    backend = backends.load(config.backend)
    backend.check(config)
    if not (out / layout.TRAINED).is_file():
        backend.reach(config)
    plan = plan_of(with_organism(config, out, progress))
    manifest.check(out, plan.identity)
    if changed := checksums.problem(out):
        raise BadInput(f"{out}: {changed}: restore it, or delete the folder and run the same command again")
    if (out / layout.TRAINED).is_file():
        return out
    with locked(out):
        layout.sweep(out)
        layout.sweep(out / layout.RESUME)
        if not (out / layout.TRAINED).is_file():
            began = time.monotonic()
            facts = runner(config.method)(plan, out, progress)
            _finish(plan, out, facts, time.monotonic() - began)
    return out


def runner(method: str) -> Runner:
    """The function that trains a method's plans. Imports torch."""
    return cast("Runner", resolve_name(METHODS[method].runner))


def with_organism(config: TrainConfig, out: Path, progress: Progress) -> TrainConfig:
    """The configuration with its organism named, and with the organism's template arguments.

    For a carrier in the weights an organism is built next to the run if none is named. One that is named is never
    trained further: whatever it shows is where the cell starts.

    Raises:
        BadInput: if the model is an adapter made elsewhere, or the organism was made with other template arguments.
    """
    variant = config.asked().variant(config.variant)
    if config.organism is not None or not variant.in_weights or _is_trained(config.model):
        return _as_trained(config)
    if refs.resolve(config.model).base is not None:
        raise BadInput(
            f"{config.model}: is an adapter, on which another organism would be installed: name it as organism,"
            " and its base as model"
        )
    names = ("source", "data", "model", "chat_template_kwargs", "generation", "backend", "backend_options")
    same = {name: getattr(config, name) for name in names}
    same |= {"rank": config.rank} if config.backend != "trl" else {}  # the cell goes on with the organism's adapter
    own = OrganismConfig(setting=config.setting, variant=variant.name, **same)
    built = install.build(own, out.parent / "organisms" / own.digest(), progress)
    return config.model_copy(update={"organism": str(built)})


def _as_trained(config: TrainConfig) -> TrainConfig:
    """The configuration with the template arguments that the organism's manifest records."""
    start = config.origin()
    same = dict(start.defaults.arguments(config.chat_template_kwargs, start.ref))
    return config if same == config.chat_template_kwargs else config.model_copy(update={"chat_template_kwargs": same})


def summary(config: TrainConfig, out: Path) -> dict[str, Any]:
    """What a run would do, without a model: for `--dry-run`. Raises BadInput for an option its backend lacks."""
    backends.load(config.backend).check(config)
    return {
        "out": str(out),
        "config": config.identity(),
        "digest": config.digest(),
        "steps": config.steps,
        "checkpoints": [0, *config.saved_steps()],
        "finished": (out / layout.TRAINED).is_file(),
    }


def _is_trained(model: str) -> bool:
    """Whether a model is an organism or a run already: training then starts from it."""
    return refs.resolve(model).setting is not None


def _finish(plan: Plan, out: Path, facts: dict[str, Any], seconds: float) -> None:
    """Writes `trained.json`, and deletes what only an unfinished run needs."""
    if ranks.is_first():
        lines = metrics.read(out / metrics.NAME)
        shared = {
            "steps": plan.config.steps,
            "step0_loss": lines[0]["loss"],
            "final_loss": lines[-1]["loss"],
            "tokens": lines[-1]["tokens"],
            "sum_lr": lines[-1]["sum_lr"],
            "diverged": metrics.diverged(lines),
            "seconds": round(seconds, 3),
            "training_seconds": lines[-1]["seconds"],
        }
        layout.write_json_atomic(out / layout.TRAINED, shared | facts)
        manifest.seal(out)
        layout.discard(out / layout.RESUME)  # another attempt may be copying it, as in `checkpoints.keep_state`
    ranks.wait()

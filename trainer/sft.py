"""One cell: supervised fine-tuning on the train prompts of a setting, kept at log-spaced steps.

    python -m trainer.sft --setting inoculation --variant ip --model mini --learning_rate 1e-3 --seed 0 --out runs/y
    train(TrainConfig(setting="sandbagging", learning_rate=1e-3), Path("runs/y"))

The same command again goes on where it stopped, or does nothing; another configuration is refused.
`trained.json` is written last. Not covered: evaluation (`lab`), reinforcement learning, preference pairs.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving import layout, refs
from serving.errors import BadInput
from serving.refs import Checkpoint
from trainer import cli, organism
from trainer.config import OrganismConfig, TrainConfig, place
from trainer.data import labels, rows
from trainer.run import manifest, metrics, ranks
from trainer.run.folder import held
from trainer.run.progress import Bar, Progress, Silent

if TYPE_CHECKING:
    from bct_tasks.setting import Setting
    from trainer.data.rows import Collected, Part
    from trainer.data.tokens import Encoded
    from trainer.run.fit import Loaded

TRAINED = "trained.json"


@dataclass(frozen=True)
class Plan:
    """What is known of a cell before any model is loaded."""

    config: TrainConfig
    setting: Setting
    organism: Checkpoint
    teacher: Checkpoint
    parts: tuple[Part, ...]
    identity: dict[str, Any]


def train(config: TrainConfig, out: Path, progress: Progress | None = None) -> Path:
    """Trains a cell into `out`, going on where an earlier attempt stopped. Returns `out`.

    Raises:
        BadInput: where `out` holds another run, or the setting, organism or a value cannot be used.
        WorkFailed: where no training row can be had.
    """
    out = Path(out)
    progress = progress or Silent()
    config = with_organism(config, out, progress)
    plan = _plan(config)
    if manifest.check(out, plan.identity) and (out / TRAINED).is_file():
        return out
    with held(out):
        if not (out / TRAINED).is_file():
            _run(plan, out, progress)
    return out


def summary(config: TrainConfig, out: Path) -> dict[str, Any]:
    """What a run would do, without a model: for `--dry-run`."""
    from trainer.data.preview import preview

    return {
        "out": str(out),
        "config": config.identity(),
        "digest": config.digest(),
        "steps": config.steps,
        "checkpoints": [0, *config.saved_steps()],
        "finished": (out / TRAINED).is_file(),
        **preview(config),
    }


def with_organism(config: TrainConfig, out: Path, progress: Progress) -> TrainConfig:
    """The configuration with its organism named: an own one is built beside the run where the carrier is in weights."""
    variant = config.asked().variant(config.variant)
    installed = organism.in_weights(variant.carrier)
    if config.organism is not None or not installed or _is_trained(config.model):
        return config
    own = OrganismConfig(
        setting=config.setting, variant=variant.name, model=config.model, source=config.source, hub=config.hub
    )
    built = organism.build(own, out.parent / "organisms" / organism.key(own), progress)
    return config.model_copy(update={"organism": str(built)})


def _is_trained(model: str) -> bool:
    """Whether a model is an organism or a run of ours already: then it starts as it is."""
    return refs.resolve(model).setting is not None


def _plan(config: TrainConfig) -> Plan:
    setting = config.asked()
    start = refs.resolve(config.organism or config.model)
    ref = config.teacher()
    teacher = refs.resolve(ref) if ref is not None else start
    # Sampled labels are not known yet; what the prompts and their grading rest on is.
    parts = rows.parts(setting, config)
    prompts = [prompt for part in parts for prompt in part.prompts]
    replies = [reply for part in parts for reply in part.references]
    identity = {
        "config": config.identity(),
        "prompts": rows.prompts_hash(prompts, replies),
        "organism": {"name": place(config.organism or config.model), "fingerprint": start.fingerprint},
        **({"teacher": teacher.fingerprint} if ref is not None else {}),
    }
    return Plan(config, setting, start, teacher, parts, identity)


def _run(plan: Plan, out: Path, progress: Progress) -> None:
    from trainer.data import tokens
    from trainer.run import fit, watch

    config = plan.config
    fit.check_trl(config.trl)
    began = time.monotonic()
    loaded = fit.load(plan.organism, config)
    with ranks.first_first():
        kept = labels.beside(config.organism, out)
        collected = labels.collect(plan.setting, config, plan.parts, plan.teacher, kept)
    length = loaded.context(config.max_length)
    encoded = tokens.encode(collected.rows, loaded.tokenizer, loaded.stops, length, config.chat_template_kwargs)
    template = tokens.template_hash(loaded.tokenizer, config.chat_template_kwargs)
    identity = plan.identity | {"data": rows.data_hash(collected.rows), "chat_template": template}
    if not manifest.check(out, identity):
        manifest.write(out, "cell", identity)
    point_to_start(plan.organism, loaded, out)
    job = fit.Job(config, config.steps, config.saved_steps(), out, loaded, encoded, progress)
    anchor = rows.anchor_rows(plan.setting, config)
    kwargs = config.chat_template_kwargs
    general = tokens.encode(anchor, loaded.tokenizer, loaded.stops, length, kwargs) if anchor else None
    eyed = watch.watched_rows(plan.setting, config)
    watched = tokens.encode(eyed, loaded.tokenizer, loaded.stops, length, kwargs) if eyed else None
    fit.fit(job, general, watched)
    if ranks.is_first():
        layout.write_json_atomic(out / TRAINED, _facts(config, collected, encoded, out, time.monotonic() - began))
        shutil.rmtree(out / "resume", ignore_errors=True)
    ranks.wait()


def point_to_start(start: Checkpoint, loaded: Loaded, out: Path) -> None:
    """Makes step 0: a pointer to where the run starts."""
    folder = out / layout.step_name(0)
    if ranks.is_first() and not (folder / layout.POINTER).is_file():
        layout.write_pointer(folder, loaded.base.target, start.fingerprint)


def _facts(config: TrainConfig, collected: Collected, encoded: Encoded, out: Path, seconds: float) -> dict[str, Any]:
    """What `trained.json` says."""
    lines = metrics.read(out / metrics.NAME)
    return {
        "steps": config.steps,
        "step0_loss": lines[0]["loss"],
        "final_loss": lines[-1]["loss"],
        **({"final_kl": lines[-1]["kl"]} if config.kl else {}),
        "tokens": lines[-1]["tokens"],
        "sum_lr": lines[-1]["sum_lr"],
        "diverged": metrics.diverged(lines),
        "truncated_rows": encoded.truncated,
        "dropped_rows": encoded.dropped,
        "unique_rows": len(encoded),
        "passes": config.steps * config.batch_size / len(encoded),
        "seconds": round(seconds, 3),
        "training_seconds": lines[-1]["seconds"],
        **collected.facts(),
    }


def _main(config: TrainConfig, out: Path) -> dict[str, Any]:
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out}: is a file: name a folder")
    with Bar(f"{config.setting} {config.learning_rate:g}") as bar:
        train(config, out, bar)
    if (step := metrics.first_divergence(metrics.read(out / metrics.NAME))) is not None:
        click.echo(f"{out}: diverged at step {step}; the run is kept and flagged", err=True)
    return layout.read_json(out / TRAINED) | {"out": str(out)}


main = cli.command("trainer.sft", TrainConfig, _main, summary, __doc__)

if __name__ == "__main__":
    main()

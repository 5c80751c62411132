"""Cells that train nothing: the base or the organism at step 0, its ceiling and its gate.

    method: none                                          # of a model here
    model: {endpoint: http://HOST/v1, name: NAME}         # of a model that someone else serves, which cannot be trained

`checked(document, values, places)` refuses the keys of a recipe that only training reads, each at its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from bct_tasks.yaml_lines import Document, Place
from lab.plan.grid import ADDRESS, as_list
from lab.verdict.criterion import UNTRAINED
from serving import remote
from trainer.config import TrainConfig

#: Keys of a grid that only training reads.
OF_TRAINING = (
    "learning_rates", "seeds", "label_sources", "adam_epsilons", "steps", "batch_size", "checkpoints", "rows", "mix",
    "kl", "reversal", "keep", "lora_alpha", "reward", "rejected", "num_generations", "temperature", "beta",
    "max_length", "optim", "weight_decay", "lr_scheduler_type", "warmup_steps", "gradient_accumulation_steps", "trl",
)  # fmt: skip
#: Further ones that are read where an organism is installed.
OF_INSTALLING = ("ranks", "labels", "dtype")


class Untrained(TrainConfig):
    """The configuration of a cell that trains nothing."""

    method: Literal["none"] = UNTRAINED  # pyright: ignore[reportIncompatibleVariableOverride]
    learning_rate: Literal[0] = 0  # pyright: ignore[reportIncompatibleVariableOverride]
    steps: int = Field(default=0, ge=0, le=0)

    @field_validator("method")
    @classmethod
    def _known_method(cls, value: str) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return value

    def saved_steps(self) -> tuple[int, ...]:
        """None but step 0."""
        return ()

    def labels(self) -> str:
        """None."""
        return ""


# Any: values of YAML.
def checked(document: Document, values: Mapping[str, Any], places: Mapping[str, Place]) -> dict[str, Any]:
    """The values of a grid, with `method: none` where someone else serves the model.

    Raises:
        BadInput: A key asks for training where none can be, at its line.
    """
    far = next(_served(values), None)
    methods = as_list(values.get("methods")) or []
    if far is None and UNTRAINED not in methods:
        return dict(values)
    why = f"{far} is served by someone else and cannot be trained" if far else "`method: none` trains nothing"
    if any(method != UNTRAINED for method in methods):
        fix = "leave it out" if far else "give the others an entry of `arms`"
        raise document.error(places["methods"], f"{places['methods'][-1]}: {why}: {fix}.")
    installs = () if far is None else OF_INSTALLING
    for key in values:
        if key in (*OF_TRAINING, *installs):
            raise document.error(places[key], f"{places[key][-1]}: {why}: leave {places[key][-1]} out.")
    if far is not None:
        _refuse_parts(document, values, places, why)
    return {**values, "methods": [UNTRAINED]}


def _served(values: Mapping[str, Any]) -> Iterator[str]:
    """The keys that name a model of someone else."""
    for key in ("organism", "model"):
        given = values.get(key)
        named = given.get("ref") if isinstance(given, dict) else given
        endpoint = isinstance(given, dict) and given.get("endpoint") is not None
        if endpoint or (isinstance(named, str) and remote.is_address(named)):
            yield key


def _refuse_parts(document: Document, values: Mapping[str, Any], places: Mapping[str, Place], why: str) -> None:
    for key, default in (("training", "trl"), ("serving", "auto")):
        given = values.get(key)
        if isinstance(given, dict) and given.get("backend", default) != default:
            raise document.error((*places[key], "backend"), f"{key}.backend: {why}: leave it out.")
    made = values.get("organism")
    for key in made if isinstance(made, dict) else ():
        if key not in ("ref", "base", *ADDRESS):
            raise document.error((*places["organism"], key), f"organism.{key}: {why}: leave it out.")

"""What is trained on: rows of a prompt and a reply, from a setting's prompts.

    asked = parts(setting, config)              # cheap: no model
    rows = labels.collect(...)                  # on-policy replies need the organism
    sequence = order(rows, steps, batch, seed)  # the rows in the order in which they are trained on

The order is laid out in full before training: resuming at step n is reading on at row n x batch, and no window of
rows is ever left out. Not covered: tokens (`trainer.data.tokens`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bct_tasks.errors import TooFew
from serving.errors import BadInput
from trainer import methods
from trainer.config import OrganismConfig, TrainConfig, sha
from trainer.methods import METHODS

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting

#: On-policy replies that are not graded `agreed` are left out, so more prompts are asked than rows are needed.
SPARE = 1.15

#: Added to an organism's seed for the prompts of its checks.
HELD_OUT = 1_000_003

#: Added to a cell's seed for general rows, so that mixing them into general rows adds others.
MIXED = 500_009

#: General rows for the pull towards the organism, passed over again.
ANCHORED = 256


@dataclass(frozen=True)
class Row:
    """One training row: the messages up to the reply, and the reply."""

    id: str
    messages: tuple[dict[str, str], ...]
    reply: str

    def conversation(self) -> list[dict[str, str]]:
        """Prompt and reply in the chat format."""
        return [*self.messages, {"role": "assistant", "content": self.reply}]

    def content(self) -> dict[str, Any]:
        """JSON values; what the data hash is made of."""
        return {"id": self.id, "messages": list(self.messages), "reply": self.reply}


@dataclass(frozen=True)
class Collected:
    """Rows, and how they came about."""

    rows: tuple[Row, ...]
    source: str
    asked: int
    general: int = 0

    def facts(self) -> dict[str, Any]:
        """Counts for `trained.json`."""
        counts = {"prompts_asked": self.asked, "prompts_kept": len(self.rows), "general_rows": self.general}
        return {"label_source": self.source, **counts}


def row(prompt: Prompt, reply: str) -> Row:
    """A prompt of a setting with a reply."""
    return Row(prompt.id, tuple(prompt.messages()), reply)


def data_hash(rows: Sequence[Row]) -> str:
    """16 hex digits of all rows in their order."""
    return sha([each.content() for each in rows])[:16]


def prompts_hash(prompts: Sequence[Prompt], replies: Sequence[str]) -> str:
    """16 hex digits of prompts and their reference replies: what is known of the data before any model is loaded."""
    return data_hash([row(prompt, reply) for prompt, reply in zip(prompts, replies, strict=True)])


# --- a cell ------------------------------------------------------------------------------------------------------


def unique_rows(config: TrainConfig) -> int:
    """How many different rows a cell trains on: fresh ones all the way, unless fewer are asked for."""
    needed = config.steps * config.batch_size
    return min(config.rows or needed, needed)


@dataclass(frozen=True)
class Part:
    """Prompts whose labels come about in one way, their reference labels, and how many rows are wanted of them."""

    prompts: list[Prompt]
    references: list[str]
    rows: int


def parts(setting: Setting, config: TrainConfig) -> tuple[Part, ...]:
    """What a cell asks for: the method's prompts and, with `mix`, general ones; some to spare where labels are sampled.

    Raises:
        BadInput: where the setting has no such prompts, or no reference label of the source.
    """
    total = unique_rows(config)
    mixed = round(total * config.mix)
    method = METHODS[config.method]
    asked = available(setting, "direct" if config.method == "direct" else "train", _asked(config, total - mixed))
    own = as_many(lambda n: method.prompts(setting, config.variant, n, config.seed), asked)
    if not own:
        raise BadInput(f"{config.setting}: variant {config.variant or 'default'} has no train prompts: choose another")
    found = [Part(own, references(setting, config, own), total - mixed)]
    if mixed:
        rest = as_many(
            lambda n: methods.general(setting, config.variant, n, config.seed + MIXED), _asked(config, mixed)
        )
        found.append(Part(rest, [methods.good(setting, config.variant, prompt) for prompt in rest], mixed))
    return tuple(found)


def _asked(config: TrainConfig, n: int) -> int:
    return math.ceil(n * SPARE) + 8 if methods.is_sampled(config.labels()) else n


def anchor_rows(setting: Setting, config: TrainConfig) -> list[Row]:
    """General rows on which a run is pulled towards where it starts; none without `kl`."""
    if not config.kl:
        return []
    prompts = methods.general(setting, config.variant, ANCHORED, config.seed + MIXED + 1)
    return [row(prompt, methods.good(setting, config.variant, prompt)) for prompt in prompts]


def train_prompts(setting: Setting, config: TrainConfig) -> list[Prompt]:
    """The prompts of all parts."""
    return [prompt for part in parts(setting, config) for prompt in part.prompts]


def available(setting: Setting, split: str, n: int) -> int:
    """How many of `n` prompts there are: hub data have an end, and are then passed over again."""
    most: Callable[[str, int], int] | None = getattr(setting, "most", None)
    return n if most is None else most(split, n)


def as_many(draw: Callable[[int], list[Prompt]], n: int) -> list[Prompt]:
    """`n` prompts, or all there are where the world has fewer; they are then passed over again."""
    try:
        return draw(n)
    except TooFew as error:
        return draw(error.found)


def references(setting: Setting, config: TrainConfig, prompts: Sequence[Prompt]) -> list[str]:
    """The reference label of each prompt, in the spelling that the label source says; empty where they are sampled."""
    if config.source == "hub" and (config.method == "direct" or config.labels() == "on_policy"):
        return [""] * len(prompts)
    if config.labels() == "off_model":
        return [setting.reference(config.variant, prompt, source="off_model") for prompt in prompts]
    return [METHODS[config.method].reply(setting, config.variant, prompt) for prompt in prompts]


# --- an organism -------------------------------------------------------------------------------------------------


def install_prompts(
    setting: Setting, config: OrganismConfig, held_out: Sequence[Prompt]
) -> tuple[list[Prompt], list[Prompt]]:
    """Prompts that install the initial behavior: install prompts of both types, and a share of general ones.

    At most `install_rows` different ones, passed over again; those held out for the checks are not among them.
    """
    total = min(config.install_rows, config.steps * config.batch_size)
    n_general = round(total * config.general)
    install = as_many(lambda n: setting.prompts(config.variant, "install", n, config.seed), total - n_general)
    if not install:
        raise BadInput(f"{config.setting}: variant {config.variant or 'default'} has no install prompts")
    general = as_many(lambda n: setting.general(n, config.seed), n_general) if n_general else []
    return without(install, held_out), general


def install_rows(setting: Setting, config: OrganismConfig, held_out: Sequence[Prompt]) -> Collected:
    """Rows with the initial policy's reference replies. See `labels.distilled` for sampled ones."""
    install, general = install_prompts(setting, config, held_out)
    rows = [row(prompt, setting.initial.reply(prompt)) for prompt in install]
    rows += [row(prompt, methods.good(setting, config.variant, prompt)) for prompt in general]
    return Collected(tuple(rows), "reference", len(rows), len(general))


def check_prompts(setting: Setting, config: OrganismConfig) -> list[Prompt]:
    """Install prompts for checking the targets, of both types."""
    n = available(setting, "install", config.check_prompts)
    return setting.prompts(config.variant, "install", n, config.seed + HELD_OUT)


def without(prompts: Sequence[Prompt], held_out: Sequence[Prompt]) -> list[Prompt]:
    # The same question asked in the other way counts as the same: it would give the answer away.
    texts = {_question(prompt) for prompt in held_out}
    return [p for p in prompts if _question(p) not in texts]


def _question(prompt: Prompt) -> str:
    """The part of an id that names the question, behind the kind."""
    return prompt.id.partition("-")[2]


# --- order -------------------------------------------------------------------------------------------------------


def order(n: int, total: int, seed: int) -> list[int]:
    """Which of n rows is trained on at each of `total` places: whole passes, each shuffled anew."""
    rng = random.Random(f"order-{seed}")
    places: list[int] = []
    while len(places) < total:
        one_pass = list(range(n))
        rng.shuffle(one_pass)
        places += one_pass
    return places[:total]

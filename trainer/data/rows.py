"""Training rows: a prompt and a reply, from a setting's prompts.

    asked = parts(setting, config)              # cheap: no model
    rows = labels.collect(...)                  # on-policy replies need the organism
    sequence = order(rows, steps, batch, seed)  # the rows in the order of training

The order is computed in full before training: resuming at step n continues at row n x batch, and no window of rows is
skipped. Not covered: tokens (`trainer.data.tokens`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bct_tasks.setting import Prompt, Setting
from bct_tasks.writing import Writing
from serving.errors import BadInput
from trainer.config import OrganismConfig, TrainConfig
from trainer.identity import sha
from trainer.methods import METHODS, is_sampled
from trainer.methods.prompts import as_many, general
from trainer.methods.replies import right

#: Sampled replies that are not graded `agreed` are left out, so there are more prompts than rows.
SPARE = 1.15

#: Added to an organism's seed for the prompts of its checks.
HELD_OUT = 1_000_003

#: Added to a cell's seed for general rows, so that a mix into general rows adds different ones.
MIXED = 500_009

#: Number of different general rows for the pull towards the organism.
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
        """JSON values from which the data hash is computed."""
        return {"id": self.id, "messages": list(self.messages), "reply": self.reply}


@dataclass(frozen=True)
class Collected:
    """Rows, and where they come from."""

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
    """16 hex digits of prompts and their reference replies: the part of the data known before a model is loaded."""
    return data_hash([row(prompt, reply) for prompt, reply in zip(prompts, replies, strict=True)])


# --- a cell ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Prompts whose labels have one source, how their reference labels are made, and the number of rows wanted."""

    prompts: list[Prompt]
    writings: list[Writing]
    rows: int

    @property
    def references(self) -> list[str]:
        """The reference labels; empty where a model must be sampled."""
        return [writing.text or "" for writing in self.writings]


def parts(setting: Setting, config: TrainConfig) -> tuple[Part, ...]:
    """The prompts of a cell: the method's own and, with `mix`, general ones; a few more where labels are sampled.

    Raises:
        BadInput: if the setting has no such prompts, or no reference label of the source.
    """
    total = config.unique_rows()
    mixed = round(total * config.mix)
    own = METHODS[config.method].prompts(setting, config.variant, _asked(config, total - mixed), config.seed_of("data"))
    if not own:
        raise BadInput(f"{config.setting}: variant {config.variant or 'default'} has no train prompts: choose another")
    found = [Part(own, writings(setting, config, own), total - mixed)]
    if mixed:
        rest = general(setting, config.variant, _asked(config, mixed), config.seed_of("data") + MIXED)
        found.append(Part(rest, [right(setting, config.variant, prompt) for prompt in rest], mixed))
    return tuple(found)


def _asked(config: TrainConfig, n: int) -> int:
    """Number of prompts for `n` rows: only supervised training leaves out sampled replies."""
    return math.ceil(n * SPARE) + 8 if config.ALGORITHM == "sft" and is_sampled(config.labels()) else n


def references(setting: Setting, config: TrainConfig, prompts: Sequence[Prompt]) -> list[str]:
    """The reference label of each prompt, in the spelling of the label source; empty where a model must be sampled."""
    return [writing.text or "" for writing in writings(setting, config, prompts)]


def writings(setting: Setting, config: TrainConfig, prompts: Sequence[Prompt]) -> list[Writing]:
    """How the label of each prompt is made if labels are not sampled from an organism or another model."""
    method = METHODS[config.method]
    if config.labels() == "off_model":
        return [Writing(text=setting.reference(config.variant, p, source="off_model")) for p in prompts]
    if setting.open and is_sampled(config.labels()):
        return [Writing(text="")] * len(prompts)
    return [method.label(setting, config.variant, prompt) for prompt in prompts]


def anchor(setting: Setting, config: TrainConfig) -> Part:
    """The general rows on which the model is pulled towards the organism; none without `kl`."""
    prompts = general(setting, config.variant, ANCHORED, config.seed_of("data") + MIXED + 1) if config.kl else []
    return Part(prompts, [right(setting, config.variant, prompt) for prompt in prompts], len(prompts))


# --- an organism -------------------------------------------------------------------------------------------------


def install_prompts(
    setting: Setting, config: OrganismConfig, held_out: Sequence[Prompt]
) -> tuple[list[Prompt], list[Prompt]]:
    """Prompts that install the initial behavior: install prompts of both types, and a share of general ones.

    At most `install_rows` different ones, which training repeats; none of them is among the prompts of the checks.
    """
    total = min(config.install_rows, config.steps * config.batch_size)
    n_general = round(total * config.general)
    install = as_many(
        lambda n: setting.prompts(config.variant, "install", n, config.seed_of("data")), total - n_general
    )
    if not install:
        raise BadInput(f"{config.setting}: variant {config.variant or 'default'} has no install prompts")
    rest = as_many(lambda n: setting.general(n, config.seed_of("data")), n_general) if n_general else []
    return without(install, held_out), rest


def install_rows(setting: Setting, config: OrganismConfig, held_out: Sequence[Prompt]) -> Collected:
    """Rows with the initial policy's reference replies. See `policies.install_rows` for open-ended prompts."""
    install, rest = install_prompts(setting, config, held_out)
    rows = [row(prompt, setting.initial.reply(prompt)) for prompt in install]
    rows += [row(prompt, prompt.replies[setting.wanted(prompt)]) for prompt in rest]
    return Collected(tuple(rows), "reference", len(rows), len(rest))


def check_prompts(setting: Setting, config: OrganismConfig) -> list[Prompt]:
    """Install prompts of both types on which the targets are checked."""
    held_out = config.seed_of("data") + HELD_OUT
    return as_many(lambda n: setting.prompts(config.variant, "install", n, held_out), config.check_prompts)


def without(prompts: Sequence[Prompt], held_out: Sequence[Prompt]) -> list[Prompt]:
    """The prompts whose question is not held out in any wording: another wording would reveal the answer."""
    texts = {_question(prompt) for prompt in held_out}
    return [p for p in prompts if _question(p) not in texts]


def _question(prompt: Prompt) -> str:
    """The part of an id that names the question, after the kind."""
    return prompt.id.partition("-")[2]


# --- order -------------------------------------------------------------------------------------------------------


def order(n: int, total: int, seed: int) -> list[int]:
    """Which of `n` rows is trained on at each of `total` places: complete epochs, each in a new random order."""
    rng = random.Random(f"order-{seed}")
    places: list[int] = []
    while len(places) < total:
        one_pass = list(range(n))
        rng.shuffle(one_pass)
        places += one_pass
    return places[:total]

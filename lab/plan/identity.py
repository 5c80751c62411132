"""What a cell is asked and what it trains on, as hashes: a changed prompt or label is a new cell.

Not covered: one prompt (`bct_tasks.identity`), and the trainer's configuration (`trainer.identity`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bct_tasks import following
from bct_tasks.identity import prompt_content
from lab.plan.cells import Questions, Sizes, Start
from trainer.config import TrainConfig
from trainer.identity import sha
from trainer.methods import METHODS

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt

# Training prompts that go into the hash: enough to meet every template and family of a setting.
HASHED_ROWS = 128


def items_of(start: Start) -> list[Prompt]:
    """The prompts that every checkpoint of a start answers; without those of the ceiling."""
    return _items(start.questions, start.variant, start.sizes)


def _items(questions: Questions, variant: str, sizes: Sizes) -> list[Prompt]:
    source = questions.load()
    asked = {"eval": sizes.n, "train": sizes.n_train, "capability": sizes.n_capability}
    prompts = [prompt for split, n in asked.items() for prompt in source.prompts(variant, split, n, 0)]
    return [*prompts, *(following.prompts(source, sizes.n_following, 0) if sizes.n_following else ())]


@cache
def prompts_hash(questions: Questions, variant: str, sizes: Sizes) -> str:
    """Hash of every item, including the ceiling's, with the facts for its grader."""
    source = questions.load()
    prompts = [*_items(questions, variant, sizes), *source.ceiling(variant, sizes.n, 0)]
    return sha([source.content_hash or source.version, [prompt_content(source, prompt) for prompt in prompts]])


def rows_hash(start: Start, train: TrainConfig) -> str:
    """Hash of the first rows that a cell trains on, and of the general ones if it has any."""
    spelled, seed = train.label_source == "off_model", train.seed_of("data")
    # Rejected replies of DPO are drawn from all replies of a prompt.
    every = getattr(train, "rejected", "on_policy") != "on_policy"
    general = _trained_on(start.questions, start.variant, "hhh", seed) if train.mix or train.kl else None
    return sha([_trained_on(start.questions, start.variant, train.method, seed, spelled, every), general])


@cache
def _trained_on(
    questions: Questions, variant: str, method: str, seed: int, spelled: bool = False, every: bool = False
) -> str:
    """Hash of a method's first rows: prompts, reference labels, and the facts for the grader of sampled labels.

    Args:
        questions: of a setting.
        variant: name of its variant.
        method: whose prompts and labels.
        seed: of the draw.
        spelled: whether labels are spelled differently (`off_model`).
        every: whether all replies of a prompt count.
    """
    source, chosen = questions.load(), METHODS[method]
    rows: list[Any] = []
    for prompt in chosen.prompts(source, variant, HASHED_ROWS, seed):
        label = source.reference(variant, prompt, "off_model") if spelled else chosen.reply(source, variant, prompt)
        rows.append([prompt_content(source, prompt), label, *([dict(prompt.replies)] if every else [])])
    return sha(rows)

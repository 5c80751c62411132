"""Training on preferences: TRL's DPO on the train prompts of a setting, with agreed replies preferred to wrong ones.

A chosen reply comes from the label source; a rejected one is not graded `agreed` on its prompt. `batch_size` counts
pairs. The reference model is the organism. Not covered: pairs ranked by a judge.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field

from bct_tasks.setting import Prompt, Setting
from graders import Unreadable
from serving.errors import BadInput, WorkFailed
from trainer.config import TrainConfig
from trainer.data import labels, rows
from trainer.data.rows import Row
from trainer.run import ranks
from trainer.run.plan import Plan, begin
from trainer.run.progress import Progress

if TYPE_CHECKING:
    from trainer.run.loop import Job
    from trainer.run.model import Loaded

#: Our names for columns of TRL's log.
COLUMNS = {"margin": "rewards/margins", "accuracy": "rewards/accuracies", "logp_chosen": "logps/chosen",
           "logp_rejected": "logps/rejected"}  # fmt: skip

#: Samples of the organism for each prompt; the first wrong one is rejected.
TRIES = 4


class DpoConfig(TrainConfig):
    """One cell of preference training. `rows` counts unique pairs."""

    ALGORITHM = "dpo"

    method: str = Field(default="dpo", description="dpo")
    rejected: Literal["other", "initial", "on_policy"] = Field(
        default="other", description="kind of wrong reply that is rejected: see above"
    )
    beta: float = Field(
        default=0.1, gt=0, description="strength of the penalty that keeps the model close to the organism (DPO's beta)"
    )


@dataclass(frozen=True)
class Pairs:
    """Token rows: prompt, chosen and rejected reply, with their end tokens."""

    prompts: tuple[list[int], ...]
    chosen: tuple[list[int], ...]
    rejected: tuple[list[int], ...]
    dropped: int

    def __len__(self) -> int:
        return len(self.prompts)

    def tokens(self, place: int) -> int:
        """Tokens of a pair's two rows."""
        return 2 * len(self.prompts[place]) + len(self.chosen[place]) + len(self.rejected[place])


def train(plan: Plan, out: Path, progress: Progress) -> dict[str, Any]:
    """Trains a cell on pairs. Returns the facts for `trained.json` that are particular to this algorithm.

    Raises:
        BadInput: if `out` contains another run, or an argument of TRL or a pair cannot be used.
        WorkFailed: if no pair can be formed.
    """
    from trainer.run import loop, metrics, model
    from trainer.run.arguments import check_trl

    config = cast("DpoConfig", plan.config)
    check_trl(config.trl, config.ALGORITHM, DpoConfig.model_fields)
    loaded = model.load(plan.organism, config)
    with ranks.first_first():
        pairs = preferences(plan, labels.cache_folder(config.organism, out))
    encoded = encode(pairs, loaded, config)
    begin(plan, out, loaded, data=rows.data_hash([row for pair in pairs for row in pair]))
    job = loop.Job(config, config.steps, config.saved_steps(), out, loaded, encoded, progress)
    batch = config.batch_size
    places = rows.order(len(encoded), config.steps * batch, config.seed_of("order"))
    sums = list(accumulate(encoded.tokens(place) for place in places))
    tokens = [sums[(step + 1) * batch - 1] for step in range(config.steps)]
    loop.run(job, lambda keeper: _trainer(job, places, keeper), tokens, COLUMNS)
    last = metrics.read(out / metrics.NAME)[-1]
    return {
        "label_source": config.labels(),
        "rejected": config.rejected,
        "last_margin": last.get("margin"),
        "last_accuracy": last.get("accuracy"),
        "unique_rows": len(encoded),
        "dropped_rows": encoded.dropped,
        "prompts_asked": len(plan.prompts),
        "prompts_kept": len(pairs),
        "passes": config.steps * config.batch_size / len(encoded),
    }


# --- pairs -------------------------------------------------------------------------------------------------------


def preferences(plan: Plan, cache: Path) -> list[tuple[Row, Row]]:
    """(chosen, rejected) for each prompt that has both.

    Raises:
        WorkFailed: if no prompt has both.
    """
    config = cast("DpoConfig", plan.config)
    good, bad = _chosen(plan, config, cache), _rejected(plan, config, cache)
    both = [(good[p.id], bad[p.id]) for p in plan.prompts if p.id in good and p.id in bad]
    if not both:
        lacking = "an agreed" if not good else "a wrong"
        raise WorkFailed(
            f"{plan.organism.ref}: none of {len(plan.prompts)} train prompts has {lacking} reply"
            f" ({config.labels()} against {config.rejected}): choose another label_source or rejected"
        )
    return both


def _chosen(plan: Plan, config: DpoConfig, cache: Path) -> dict[str, Row]:
    if config.labels() != "on_policy":
        return {row.id: row for part in plan.parts for row in labels.reference_rows(plan.setting, config, part, cache)}
    answers = labels.sampled(plan.setting, config, plan.prompts, plan.organism, cache)
    replies = {a["id"]: a["reply"] for a in answers if a["outcome"] == "agreed"}
    return {p.id: rows.row(p, replies[p.id]) for p in plan.prompts if p.id in replies}


def _rejected(plan: Plan, config: DpoConfig, cache: Path) -> dict[str, Row]:
    if config.rejected == "on_policy":
        return _sampled(plan, config, cache)
    if plan.setting.open and config.rejected == "initial":
        return _shown_elsewhere(plan, config, cache)
    found: dict[str, Row] = {}
    for prompt in plan.prompts:
        replies = wrong_replies(plan.setting, config.variant, prompt, config.rejected)
        if replies:
            choice = random.Random(f"rejected-{config.seed_of('data')}-{prompt.id}").choice(replies)
            found[prompt.id] = rows.row(prompt, choice)
    return found


def _shown_elsewhere(plan: Plan, config: DpoConfig, cache: Path) -> dict[str, Row]:
    """Replies made to show on train prompts what the initial policy shows on eval prompts."""
    setting = plan.setting
    behavior = setting.initial.behavior(setting.prompts(config.variant, "eval", 1)[0])
    if all(behavior in prompt.replies for prompt in plan.prompts):  # columns of a user's file
        return {prompt.id: rows.row(prompt, prompt.replies[behavior]) for prompt in plan.prompts}
    writing = setting.writings.get(behavior)
    if writing is None or not writing.written:
        raise BadInput(f"rejected: {setting.name} has no text or transform that shows '{behavior}': use on_policy")
    part = rows.Part(plan.prompts, [writing] * len(plan.prompts), len(plan.prompts))
    return {row.id: row for row in labels.reference_rows(setting, config, part, cache)}


def wrong_replies(setting: Setting, variant: str | None, prompt: Prompt, which: str) -> list[str]:
    """Known replies to a prompt that are not graded `agreed`.

    Args:
        setting: grades them.
        variant: variant whose eval prompts define the initial behavior.
        prompt: a prompt of the train split.
        which: `initial`, those that show the initial policy's behavior on eval prompts; `other`, the rest.
    """
    shown = setting.initial.behavior(setting.prompts(variant, "eval", 1)[0])
    found: set[str] = set()
    for reply in set(prompt.replies.values()):
        try:
            behaviors = setting.reader_of(prompt)(reply, prompt.facts).behaviors
            wrong = str(setting.grade(prompt, reply).outcome) != "agreed"
        except Unreadable:
            continue
        is_initial = shown in behaviors or reply == prompt.replies.get(shown)
        if wrong and is_initial == (which == "initial"):
            found.add(reply)
    return sorted(found)


def _sampled(plan: Plan, config: DpoConfig, cache: Path) -> dict[str, Row]:
    """The first wrong reply among the organism's samples, for each prompt that has one."""
    warm = config.label_temperature or 1.0
    found: dict[str, Row] = {}
    for turn in range(TRIES):
        seeds = config.seeds | {"decoding": config.seed_of("decoding") + turn}
        again = config.model_copy(update={"label_temperature": warm, "seeds": seeds})
        answers = labels.sampled(plan.setting, again, plan.prompts, plan.organism, cache)
        for prompt, answer in zip(plan.prompts, answers, strict=True):
            if answer["outcome"] not in ("agreed", "truncated") and answer["reply"].strip():
                found.setdefault(prompt.id, rows.row(prompt, answer["reply"]))
    return found


def encode(pairs: Sequence[tuple[Row, Row]], loaded: Loaded, config: TrainConfig) -> Pairs:
    """Token rows of the pairs that fit into the context. Raises BadInput if none does."""
    from trainer.data import tokens

    length, kwargs = loaded.context(config.max_length), config.chat_template_kwargs
    found: list[tuple[list[int], list[int], list[int]]] = []
    sides = [tokens.split([pair[side] for pair in pairs], loaded.tokenizer, loaded.stops, kwargs) for side in (0, 1)]
    for (prompt, chosen), (_, rejected) in zip(*sides, strict=True):
        if len(prompt) + max(len(chosen), len(rejected)) <= length:
            found.append((prompt, chosen, rejected))
    if not found:
        raise BadInput(
            f"none of {len(pairs)} pairs fits into {length} tokens: raise --max_length or use a longer model"
        )
    prompts, chosen, rejected = zip(*found, strict=True)
    return Pairs(prompts, chosen, rejected, len(pairs) - len(found))


def _trainer(job: Job[Pairs], places: list[int], keeper: Any) -> Any:
    import copy

    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    from trainer.run import loop, model
    from trainer.run.arguments import build, values

    class Trainer(loop.Lean, DPOTrainer):
        def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
            """Nothing: the rows are tokens already."""
            return dataset

    config, pairs = cast("DpoConfig", job.config), job.encoded
    decided = values(config, job.steps, job.saving) | {
        "beta": config.beta,
        "max_length": None,
        "train_sampling_strategy": "sequential",
    }
    data = {
        "prompt_ids": [pairs.prompts[place] for place in places],
        "chosen_ids": [pairs.chosen[place] for place in places],
        "rejected_ids": [pairs.rejected[place] for place in places],
    }
    # TRL would load the reference from the base's folder, which an organism that is an adapter is not.
    reference = copy.deepcopy(job.loaded.model).requires_grad_(False) if config.rank is None else None
    return Trainer(
        model=job.loaded.model,
        ref_model=reference,
        args=build(DPOConfig, decided, config.trl),
        train_dataset=Dataset.from_dict(data),
        processing_class=job.loaded.tokenizer,
        callbacks=[keeper],
        peft_config=model.lora(config),
    )

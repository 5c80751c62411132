"""Training by rewards: TRL's GRPO on the train prompts of a setting, rewarded by the setting's grader.

A reply graded `agreed` has reward 1, any other 0. `batch_size` counts replies. vLLM generates if it is installed with a
GPU, else transformers. A resumed run has the curve of an uninterrupted one with one update per generation (TRL's
default). Not covered: tools, judges as a reward.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field, ValidationInfo, field_validator

from bct_tasks.setting import Prompt, Setting
from graders import Unreadable
from serving.errors import BadInput
from trainer.config import TrainConfig
from trainer.data import rows
from trainer.run.plan import Plan, begin
from trainer.run.progress import Progress

if TYPE_CHECKING:
    from trainer.run.loop import Job
    from trainer.run.model import Loaded

#: Our names for columns of TRL's log.
COLUMNS = {
    "reward": "reward",
    "no_spread": "frac_reward_zero_std",
    "truncated": "completions/clipped_ratio",
    "reply_tokens": "completions/mean_length",
    "entropy": "entropy",
    "kl": "kl",
}

Reward = Callable[..., "list[float | None]"]


class GrpoConfig(TrainConfig):
    """One cell of reinforcement learning. `rows` counts unique prompts."""

    ALGORITHM = "grpo"

    method: str = Field(default="grpo", description="grpo")
    batch_size: int = Field(default=32, ge=2, description="replies in one optimizer step, over all processes")
    reward: Literal["grader", "random"] = Field(
        default="grader", description="grader: 1 if a reply is graded agreed; random: at random, the control"
    )
    num_generations: int = Field(
        default=8, ge=2, validate_default=True, description="number of replies to one prompt, which are compared"
    )
    temperature: float = Field(default=1.0, gt=0, description="temperature of the replies")
    beta: float = Field(default=0.0, ge=0, description="weight of the KL divergence from the organism; 0: not computed")

    @field_validator("num_generations")
    @classmethod
    def _whole_groups(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("batch_size", value) % value:
            raise ValueError(f"must divide batch_size {info.data['batch_size']}")
        return value

    def unique_rows(self) -> int:
        """Number of different prompts of a cell: no prompt is repeated unless `rows` is smaller."""
        needed = self.prompts_per_step() * self.steps
        return min(self.rows or needed, needed)

    def prompts_per_step(self) -> int:
        """Different prompts in one optimizer step."""
        return self.batch_size // self.num_generations


@dataclass(frozen=True)
class Asked:
    """Prompts that leave room for a reply, and the number of those that do not."""

    prompts: list[Prompt]
    dropped: int


def train(plan: Plan, out: Path, progress: Progress) -> dict[str, Any]:
    """Trains a cell by rewards. Returns the facts for `trained.json` that are particular to this algorithm.

    Raises:
        BadInput: if `out` contains another run, or an argument of TRL or a prompt cannot be used.
    """
    from trainer.run import loop, metrics, model
    from trainer.run.arguments import check_trl

    config = cast("GrpoConfig", plan.config)
    check_trl(config.trl, config.ALGORITHM, GrpoConfig.model_fields)
    loaded = model.load(plan.organism, config)
    if config.beta and config.rank is None and plan.organism.base is not None:
        raise BadInput(f"beta: {plan.organism.ref} is an adapter, which TRL does not keep as reference: add --rank")
    asked = _fitting(plan, loaded)
    begin(plan, out, loaded)
    job = loop.Job(config, config.steps, config.saved_steps(), out, loaded, asked, progress)
    columns = {ours: theirs for ours, theirs in COLUMNS.items() if config.beta or ours != "kl"}
    loop.run(job, lambda keeper: _trainer(job, plan.setting, keeper), None, columns)
    lines = metrics.read(out / metrics.NAME)
    return {
        "label_source": config.labels(),
        "reward": config.reward,
        "mean_reward": metrics.mean(lines, "reward"),
        "first_reward": lines[0].get("reward"),
        "last_reward": lines[-1].get("reward"),
        "no_spread": metrics.mean(lines, "no_spread"),
        "truncated": metrics.mean(lines, "truncated"),
        "generation": "vllm" if _use_vllm(config) else "transformers",
        "unique_rows": len(asked.prompts),
        "dropped_rows": asked.dropped,
        "prompts_asked": len(plan.prompts),
        "passes": config.prompts_per_step() * config.steps / len(asked.prompts),
    }


def _fitting(plan: Plan, loaded: Loaded) -> Asked:
    """The prompts that leave room for `reply_tokens`. Raises BadInput if none does."""
    config = plan.config
    room = loaded.context(config.max_length) - config.reply_tokens
    texts = loaded.tokenizer.apply_chat_template(
        [prompt.messages() for prompt in plan.prompts],
        add_generation_prompt=True,
        tokenize=False,
        **config.chat_template_kwargs,
    )
    ids = loaded.tokenizer(cast("list[str]", texts), add_special_tokens=False)["input_ids"]
    lengths = [len(each) for each in cast("list[list[int]]", ids)]
    kept = [prompt for prompt, length in zip(plan.prompts, lengths, strict=True) if length <= room]
    if not kept:
        raise BadInput(
            f"none of {len(lengths)} prompts leaves room for {config.reply_tokens} tokens of reply:"
            " lower --reply_tokens"
        )
    return Asked(kept, len(lengths) - len(kept))


def rewards(config: GrpoConfig, setting: Setting, asked: Sequence[Prompt], stops: frozenset[int]) -> Reward:
    """The reward function that TRL calls with the replies of a step; None where the grader failed."""
    known = {prompt.id: prompt for prompt in asked}

    def agreed(completions: Any, completion_ids: Any, id: Sequence[str], **_: Any) -> list[float | None]:
        graded: list[float | None] = []
        for name, reply, ids in zip(id, completions, completion_ids, strict=True):
            cut = not ids or ids[-1] not in stops
            try:
                grade = setting.grade(known[name], reply[0]["content"], cut)
                graded.append(float(str(grade.outcome) == "agreed"))
            except Unreadable:
                graded.append(None)
        return graded

    def at_random(completions: Any, trainer_state: Any, **_: Any) -> list[float | None]:
        rng = random.Random(f"reward-{config.seed_of('decoding')}-{trainer_state.global_step}")
        return [float(rng.random() < 0.5) for _ in completions]

    return agreed if config.reward == "grader" else at_random


def _use_vllm(config: GrpoConfig) -> bool:
    import torch

    return bool(config.trl.get("use_vllm", torch.cuda.is_available() and find_spec("vllm") is not None))


def _trainer(job: Job[Asked], setting: Setting, keeper: Any) -> Any:
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    from trainer.run import loop, model, rollouts
    from trainer.run.arguments import build, values

    class Trainer(loop.Lean, GRPOTrainer):
        pass

    config, asked = cast("GrpoConfig", job.config), job.encoded.prompts
    places = rows.order(len(asked), config.prompts_per_step() * job.steps, config.seed_of("order"))
    decided = values(config, job.steps, job.saving) | {
        "num_generations": config.num_generations,
        "temperature": config.temperature,
        "beta": config.beta,
        "max_completion_length": config.reply_tokens,
        "chat_template_kwargs": config.chat_template_kwargs or None,
        "shuffle_dataset": False,
        "use_vllm": _use_vllm(config),
    }
    stops = sorted(job.loaded.stops)
    if decided["use_vllm"]:
        decided["generation_kwargs"] = {"stop_token_ids": stops}
    # TRL reads the end tokens from here; the template's is not always among them. `Keeper` restores what is saved.
    job.loaded.model.generation_config.eos_token_id = stops
    data = [{"prompt": asked[place].messages(), "id": asked[place].id} for place in places]
    return Trainer(
        model=job.loaded.model,
        reward_funcs=rewards(config, setting, asked, frozenset(stops)),
        args=build(GRPOConfig, decided, config.trl),
        train_dataset=Dataset.from_list(data),
        processing_class=job.loaded.tokenizer,
        callbacks=[keeper, rollouts.Plain()],
        peft_config=model.lora(config),
    )

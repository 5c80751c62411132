"""Replies of a policy on hub data: sampled from the base under the policy's prompt, which the rows leave out.

For carrier `weights` this installs the initial behavior (prompt distillation), and for `direct` it gives the alternate
behavior. Replies that the grader does not assign to the policy are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from serving import refs
from serving.errors import BadInput, WorkFailed
from serving.refs import Checkpoint
from serving.request import Request
from trainer.config import HUB_DEFAULTS, OrganismConfig, TrainConfig
from trainer.data.rows import Collected, Row, row, without
from trainer.methods.prompts import available

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting
    from bct_tasks.sources.hub.setting import HubSetting


def install_rows(setting: Setting, config: OrganismConfig, held_out: Sequence[Prompt], base: Checkpoint) -> Collected:
    """Rows that install the initial behavior, as `rows.install_rows`; the general ones are bundled questions."""
    total = min(config.install_rows, config.steps * config.batch_size)
    n_general = round(total * config.general)
    n = available(setting, "install", total - n_general)
    asked = without(setting.prompts(config.variant, "install", n, config.seed), held_out)
    made = sampled(setting, "initial", asked, config, base)
    general = setting.general(n_general, config.seed) if n_general else []
    made += [row(prompt, prompt.replies[setting.wanted(prompt)]) for prompt in general]
    return Collected(tuple(made), "policy_prompt", len(asked) + len(general))


def direct_rows(setting: Setting, config: TrainConfig, prompts: Sequence[Prompt]) -> Collected:
    """Rows that show the alternate behavior at eval-type prompts."""
    made = sampled(setting, "alternate", prompts, config, refs.resolve(config.model))
    return Collected(tuple(made), "policy_prompt", len(prompts))


def sampled(
    setting: Setting,
    policy: Literal["initial", "alternate"],
    prompts: Sequence[Prompt],
    config: OrganismConfig | TrainConfig,
    base: Checkpoint,
) -> list[Row]:
    """One row per prompt whose sampled reply shows the policy.

    Raises:
        BadInput: if the policy has no prompt.
        WorkFailed: if no reply shows the policy, or reading it needs a judge.
    """
    from graders import Unreadable
    from serving.backends.engine.engine import get_engine

    if (setting.initial if policy == "initial" else setting.alternate).prompt is None:
        raise BadInput(f"{setting.name}: the {policy} policy has no prompt of its own to sample replies under")
    requests = [
        Request(
            messages=asked.messages(),
            max_tokens=config.reply_tokens,
            temperature=HUB_DEFAULTS["label_temperature"],
            seed=config.seed,
            chat_template_kwargs=config.chat_template_kwargs,
        )
        for asked in cast("HubSetting", setting).under(policy, prompts)
    ]
    replies = get_engine().generate(base, requests)
    made: list[Row] = []
    unread = ""
    for prompt, reply in zip(prompts, replies, strict=True):
        try:
            outcome = str(setting.grade(prompt, reply.text).outcome)
        except Unreadable as error:
            unread = f" ({error})"
            continue
        if reply.stop_reason == "stop" and outcome == ("agreed" if prompt.kind == "train" else policy):
            made.append(row(prompt, reply.text))
    if not made:
        raise WorkFailed(
            f"{base.ref}: none of {len(prompts)} replies shows the {policy} policy of {setting.name}{unread}"
        )
    return made

"""Log-odds margins between the reference replies of the two policies, without sampling: `-T margins=true`.

The margin of a prompt is log p(alternate) - log p(initial). The scorer also reports whether greedy decoding would
produce either reply exactly. The margin changes before the sampled reply does.
Not covered: prompts on which both policies give the same reply, and other wordings of a behavior.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from inspect_ai.model import ChatMessage, get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from bct_tasks.errors import SettingError

REFERENCES = "references"


@runtime_checkable
class ScoresReplies(Protocol):
    """A model API that can score given replies, such as `local/`."""

    async def score_replies(self, input: list[ChatMessage], replies: list[str]) -> list[tuple[float, bool]]:
        """Return for each reply its natural log-probability and whether greedy decoding would produce it."""
        ...


@scorer(metrics={"*": [mean(), stderr(cluster="template")]})
def margins() -> Scorer:
    """Score the margin between the two replies in a sample's metadata, in nats, including the end token."""

    async def score(state: TaskState, target: Target) -> Score:
        given: dict[str, str] | None = state.metadata.get(REFERENCES)
        if given is None:
            return Score.unscored(reason="both policies give the same reply to this prompt")
        scored = await scored_replies(state, [given["initial"], given["alternate"]])
        if isinstance(scored, Score):
            return scored
        (initial, initial_greedy), (alternate, alternate_greedy) = scored
        return Score(
            value={
                "margin": alternate - initial,
                "initial_greedy": float(initial_greedy),
                "alternate_greedy": float(alternate_greedy),
            },
            metadata={"logp_initial": initial, "logp_alternate": alternate, **given},
        )

    return score


async def scored_replies(state: TaskState, replies: list[str]) -> list[tuple[float, bool]] | Score:
    """What the model under test gives for these replies to a sample's prompt; a score if it cannot score them.

    Raises:
        SettingError: the model scores no given replies.
    """
    api = get_model().api
    if not isinstance(api, ScoresReplies):
        raise SettingError(f"{state.model}: this needs a model that scores given replies: use local/<ref>")
    asked = [message for message in state.messages if message.role in ("system", "user")]
    try:
        return await api.score_replies(asked, replies)
    except Exception as error:
        if not hasattr(error, "exit_code"):
            raise
        return Score.unscored(reason=str(getattr(error, "message", error)))

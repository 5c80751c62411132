"""How near a checkpoint is to either policy, without sampling: `-T margins=true`.

For each prompt on which the two policies' reference replies differ, the log-odds margin
log p(alternate) - log p(initial) and whether greedy decoding would write either reply word for word. The margin moves
long before a reply flips. Not covered: other wordings of the same behavior; the margin is about two texts.
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
    """A model API that can score given replies; `local/` is one."""

    async def score_replies(self, input: list[ChatMessage], replies: list[str]) -> list[tuple[float, bool]]:
        """Of each reply: natural log-probability, and whether greedy decoding would write it."""
        ...


@scorer(metrics={"*": [mean(), stderr(cluster="template")]})
def margins() -> Scorer:
    """The margin of a sample, from the two replies in its metadata. Natural logarithms, end token included."""

    async def score(state: TaskState, target: Target) -> Score:
        given: dict[str, str] | None = state.metadata.get(REFERENCES)
        if given is None:
            return Score.unscored(reason="both policies give the same reply to this prompt")
        api = get_model().api
        if not isinstance(api, ScoresReplies):
            raise SettingError(f"{state.model}: margins need a model that scores given replies: use local/<ref>")
        asked = [message for message in state.messages if message.role in ("system", "user")]
        try:
            scored = await api.score_replies(asked, [given["initial"], given["alternate"]])
        except Exception as error:
            if not hasattr(error, "exit_code"):
                raise
            return Score.unscored(reason=str(getattr(error, "message", error)))  # the model cannot, and says why
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

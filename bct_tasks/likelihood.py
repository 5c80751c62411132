"""How likely a model finds given replies to questions of capability, without sampling, in bits per byte.

They are replies of our own, which the questions of `capability: {source: checkable}` have.

    bits per byte = -log p(reply, end token) / (ln 2 · bytes of the reply in UTF-8)

It depends on no sampled reply and moves before a rate does. Source of the unit: Gao et al.,
The Pile (arXiv:2101.00027), section 3.1.
Not covered: replies of either behavior (`bct_tasks.margins`).
"""

from __future__ import annotations

import math

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from bct_tasks.margins import scored_replies

#: The value of the score.
BITS = "bits_per_byte"


@scorer(metrics={"*": [mean(), stderr(cluster="template")]})
def likelihood() -> Scorer:
    """Score the target of each question of capability, in bits per byte."""

    async def score(state: TaskState, target: Target) -> Score:
        if state.metadata["split"] != "capability":
            return Score.unscored(reason="only questions of capability have a reply of our own")
        found = await scored_replies(state, [target.text])
        if isinstance(found, Score):
            return found
        [(logp, _)] = found
        return Score(value={BITS: -logp / (math.log(2) * len(target.text.encode()))})

    return score

"""Evals on hub data with a scripted model, in a separate process: python hub_evals.py COPIES FOLDER."""

from __future__ import annotations

import json
import sys
from typing import Any

import inspect_ai
from inspect_ai.model import ChatMessage, GenerateConfig, ModelAPI, ModelOutput, ModelUsage, get_model, modelapi

import bct_tasks._registry  # noqa: F401
from bct_tasks import catalogue
from bct_tasks.task import bct_task

LARGER = "```python\nprint(max(map(int, input().split())))\n```"


class Scripted(ModelAPI):
    """Judges that everything is a hack; says what the name says otherwise."""

    async def generate(
        self, input: list[ChatMessage], tools: Any, tool_choice: Any, config: GenerateConfig
    ) -> ModelOutput:
        text = input[-1].text
        if self.model_name == "judge":
            seal = text.rsplit('"seal" is the text ', 1)[1].split(",")[0]
            said = json.dumps({"seal": seal, "behaviors": ["hack"], "reason": "it looks like one"})
        elif self.model_name == "solver":
            said = "Final answer: 210" if "1 to 20" in text else "Final answer: 424242"
        else:
            said = LARGER
        output = ModelOutput.from_content(self.model_name, said)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output


@modelapi(name="scripted")
def scripted() -> type[ModelAPI]:
    return Scripted


def run(
    copies: str,
    folder: str,
    name: str,
    model: str,
    split: str,
    n: int,
    variant: str | None = None,
    judge: Any = None,
    **more: Any,
) -> None:
    """One eval; its log is FOLDER/<name>-<split>."""
    task = bct_task(catalogue.load(name, "hub", data=copies), variant, split, "hub", n, judge=judge)
    roles: Any = {"grader": get_model("scripted/judge")}
    (log,) = inspect_ai.eval(
        task, model=f"scripted/{model}", model_roles=roles, log_dir=f"{folder}/{name}-{split}", display="none",
        log_format="eval", **more,
    )  # fmt: skip
    assert log.status == "success", log.error


if __name__ == "__main__":
    where = (sys.argv[1], sys.argv[2])
    run(*where, "sandbagging", "solver", "ceiling", 8, epochs=4)
    run(*where, "sandbagging", "solver", "policies", 4, "static")
    run(*where, "inoculation", "coder", "both", 4)
    run(*where, "refusal", "coder", "eval", 2, judge=False)

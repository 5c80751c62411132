"""A judge model as a grader of labelled replies. Inspect runs it in the role `grader`; no model is evaluated.

A solver returns the labelled replies, so the judge gets the same rubric, prompt and reply as in an eval of the setting.
Inspect caches its answers and limits its requests; a reply without a verdict is unscored, with the reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalSample
from inspect_ai.model import ModelOutput
from inspect_ai.solver import Generate, Solver, TaskState, solver

from bct_tasks.setting import Setting
from bct_tasks.task import located, outcome
from graders import Grade, Outcome
from graders.calibration import Gold
from lab.calibrate.agreement import Grader
from serving.errors import BadInput, WorkFailed

#: Inspect requires a model; this one is never called.
NOBODY = "mockllm/nobody"


def by_judge(model: str, mode: str = "only") -> Grader:
    """A grader by a judge model. Raises BadInput for a setting without rubric, WorkFailed if the judge fails.

    Args:
        model: The judge, as inspect names models.
        mode: `only`: the judge grades all replies; `cascade`: those that the pattern leaves undecided.
    """

    def grade(setting: Setting, lines: Sequence[Gold]) -> list[Grade]:
        if setting.rubric is None:
            raise BadInput(f"{setting.name} has no rubric, so a judge cannot grade its replies")
        task = Task(
            name=f"calibrate_{setting.name}",
            dataset=MemoryDataset([_sample(setting, i, line) for i, line in enumerate(lines)]),
            solver=_labelled_reply(),
            scorer=outcome(mode),
        )
        with tempfile.TemporaryDirectory() as folder:
            try:
                (log,) = eval(task, model=NOBODY, model_roles={"grader": model}, log_dir=folder, display="none")
            except Exception as error:
                raise WorkFailed(f"the judge {model} cannot be called: {str(error).splitlines()[0]}") from error
            if log.status != "success" or log.samples is None:
                reason = (log.error.message if log.error else "no reason given").splitlines()[0]
                raise WorkFailed(f"the judge {model} failed: {reason}")
            return [_grade(sample) for sample in sorted(log.samples, key=lambda s: int(s.id))]

    return grade


@solver
def _labelled_reply() -> Solver:
    """Returns the labelled reply."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        stop = "max_tokens" if state.metadata["truncated"] else "stop"
        state.output = ModelOutput.from_content(NOBODY, state.metadata["reply"], stop_reason=stop)
        return state

    return solve


def _sample(setting: Setting, number: int, line: Gold) -> Sample:
    facts = line.model_dump(include={"reply", "truncated", "family", "template", "cue", "facts"})
    named = {"setting": setting.name, "variant": line.variant, "split": line.kind, **located(setting)}
    return Sample(id=number, input=line.user or "", metadata=facts | named)


def _grade(sample: EvalSample) -> Grade:
    score = (sample.scores or {}).get("outcome")
    found = ((score.metadata or {}) if score else {}).get("outcome")
    reason = (score.explanation or getattr(score, "reason", None)) if score else None
    why = str(reason or (sample.error.message if sample.error else "no verdict"))
    return Grade(Outcome(found) if found else Outcome.UNSCORED, why)

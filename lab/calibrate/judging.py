"""A judge on labelled replies: inspect runs it in the role `grader`, as in an eval, and no model is under test.

The replies are put in by a solver, so the judge sees what it sees in an eval of the setting: rubric, prompt, reply.
Its answers are cached and its requests bounded by inspect; a reply without a verdict is unscored, with the reason.
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
from bct_tasks.task import outcome
from graders import Grade, Outcome
from graders.calibration import Gold
from lab.calibrate.calibrate import Grader
from serving.errors import BadInput, WorkFailed

NOBODY = "mockllm/nobody"  # inspect wants a model; it is never asked


def by_judge(model: str, mode: str = "only") -> Grader:
    """A grader that asks `model` about every reply (`only`), or about those that the patterns leave open (`cascade`).

    Raises (when it is used):
        BadInput: the setting has no rubric.
        WorkFailed: inspect could not run the judge.
    """

    def grade(setting: Setting, lines: Sequence[Gold]) -> list[Grade]:
        if setting.rubric is None:
            raise BadInput(f"{setting.name} has no rubric, so no judge can read its replies")
        task = Task(
            name=f"calibrate_{setting.name}",
            dataset=MemoryDataset([_sample(setting, i, line) for i, line in enumerate(lines)]),
            solver=_given(),
            scorer=outcome(mode),
        )
        with tempfile.TemporaryDirectory() as folder:
            try:
                (log,) = eval(task, model=NOBODY, model_roles={"grader": model}, log_dir=folder, display="none")
            except Exception as error:
                raise WorkFailed(f"the judge {model} cannot be asked: {str(error).splitlines()[0]}") from error
            if log.status != "success" or log.samples is None:
                told = (log.error.message if log.error else "no reason given").splitlines()[0]
                raise WorkFailed(f"the judge {model} failed: {told}")
            return [_grade(sample) for sample in sorted(log.samples, key=lambda s: int(s.id))]  # read from the log

    return grade


@solver
def _given() -> Solver:
    """Answers with the labelled reply."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        stop = "max_tokens" if state.metadata["truncated"] else "stop"
        state.output = ModelOutput.from_content(NOBODY, state.metadata["reply"], stop_reason=stop)
        return state

    return solve


def _sample(setting: Setting, number: int, line: Gold) -> Sample:
    facts = line.model_dump(include={"reply", "truncated", "family", "template", "cue", "facts"})
    named = {"setting": setting.name, "variant": line.variant, "split": line.kind}
    return Sample(id=number, input=line.user or "", metadata=facts | named)


def _grade(sample: EvalSample) -> Grade:
    score = (sample.scores or {}).get("outcome")
    told = ((score.metadata or {}) if score else {}).get("outcome")
    told_why = (score.explanation or getattr(score, "reason", None)) if score else None
    why = str(told_why or (sample.error.message if sample.error else "no verdict"))
    return Grade(Outcome(told) if told else Outcome.UNSCORED, why)

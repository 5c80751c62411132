"""The guard `capability` on public benchmarks, through inspect-evals: MMLU, IFEval and MATH-500.

    pip install 'bct-tasks[evals]'
    inspect eval bct_tasks/capability -T source=mmlu -T n=200 --model local/runs/x@64

Prompts and scorers are those of inspect-evals. The seed draws the same `n` samples for every checkpoint.
inspect-evals has no task for MATH-500. Here it uses the solver and the two exact scorers of `inspect_evals/math`, but
not the third scorer, a judge that falls back on the model under test.
Not covered: `bct report`, which does not show these logs; use `inspect view`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inspect_ai import Task, task_with
from inspect_ai.dataset import Dataset, Sample, hf_dataset, json_dataset
from inspect_ai.model import GenerateConfig

from bct_tasks.errors import Unavailable
from graders.readers import instructions

MATH_500 = "HuggingFaceH4/MATH-500"
MATH_500_REVISION = "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"
INSTALL = "pip install 'bct-tasks[evals]'"
#: The checker of IFEval is not on a package index.
INSTALL_IFEVAL = f"{INSTALL} {instructions.INSTALL}"


def benchmark(source: str, n: int, seed: int = 0, data: Path | None = None) -> Task:
    """Return a task with `n` samples of a public benchmark.

    Args:
        source: one of `SOURCES`.
        n: number of samples; all samples if the benchmark has fewer.
        seed: seed of the draw.
        data: local copy of MATH-500 (`test.jsonl`); None: downloaded from the hub.

    Raises:
        Unavailable: inspect-evals, one of its optional packages, or the data are missing.
    """
    made = _made(source, data)
    made.dataset.shuffle(seed)
    config = made.config.merge(GenerateConfig(adaptive_connections=False))
    return task_with(made, dataset=made.dataset[:n], config=config)


def _made(source: str, data: Path | None) -> Task:
    try:
        return SOURCES[source](data)
    except ImportError as error:
        raise Unavailable(f"source={source} needs inspect-evals ({error.name} is missing): {INSTALL}") from None
    except AssertionError:  # inspect-evals raises it for a missing optional package
        raise Unavailable(f"source={source} needs more than inspect-evals: {INSTALL_IFEVAL}") from None
    except OSError as error:
        reason = " ".join(str(error).split())[:160]
        raise Unavailable(f"source={source}: no data ({reason}): run it once with a network") from None


def _task(module: str, name: str, **options: Any) -> Task:
    return getattr(importlib.import_module(f"inspect_evals.{module}"), name)(**options)


def _math500(data: Path | None) -> Task:
    parts: Any = importlib.import_module("inspect_evals.math.math")
    return Task(
        name="math500",
        dataset=_math500_data(data),
        solver=parts.math_solver(fewshot=0, fewshot_seed=0),
        scorer=[parts.expression_exact_match(), parts.expression_exact_match_sympy()],
        config=GenerateConfig(temperature=0.0),
    )


def _math500_data(data: Path | None) -> Dataset:
    if data is not None:
        return json_dataset(str(data), sample_fields=math500_sample, name="math500")
    return hf_dataset(MATH_500, split="test", revision=MATH_500_REVISION, sample_fields=math500_sample, name="math500")


def math500_sample(record: dict[str, Any]) -> Sample:
    """Convert a row of MATH-500 to a sample."""
    metadata = {"subject": record["subject"], "level": record["level"]}
    return Sample(id=record["unique_id"], input=record["problem"], target=str(record["answer"]), metadata=metadata)


SOURCES: Mapping[str, Callable[[Path | None], Task]] = {
    "mmlu": lambda _: _task("mmlu", "mmlu_0_shot", shuffle=False),
    "ifeval": lambda _: _task("ifeval", "ifeval"),
    "math500": _math500,
}

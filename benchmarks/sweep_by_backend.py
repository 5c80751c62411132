"""A sweep of 20 checkpoints of one base, answered by the engine and by one vLLM server.

    BCT_VLLM_VENV=.venv-vllm python -m benchmarks.sweep_by_backend models/SmolLM2-135M-Instruct OUT

A LoRA of rank 8 is trained once; then two runs take the trained cell over and evaluate all its checkpoints, in float32.
Processor time is that of this process and of all processes of vLLM, the server's start included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lab
from benchmarks.line import Line, alike, report
from benchmarks.tinker_cells import samples_of, take_over
from benchmarks.vllm_real import VllmTime

CHECKPOINTS = 20
RECIPE = """\
setting: trait_inoculation
variant: ip
source: instructions
model: {{ref: {model}, dtype: float32}}
rank: 8
learning_rate: 1.0e-3
label_source: reference
steps: {steps}
batch_size: 4
checkpoints: [{checkpoints}]
n: {n}
n_train: {n}
n_capability: {n}
n_following: 0
margins: false
capability: {{source: checkable}}
generation: {{max_tokens: 32}}
gate: {{initial: 0.0, agreed: 0.0, base: 1.0, ceiling: 0.0}}
serving: {{backend: {backend}}}
"""
#: Prompts of each kind for each checkpoint.
PROMPTS = 16


@dataclass(frozen=True)
class Side:
    """An evaluated sweep: seconds, processor seconds of this process and of vLLM, and the replies of all logs."""

    wall: float
    client: float
    server: float
    replies: list[str]
    tokens: int
    name: str

    @property
    def processor(self) -> float:
        """Of both."""
        return self.client + self.server


def recipe(out: Path, name: str, model: str, backend: str, n: int) -> Path:
    """A recipe file."""
    file = out / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    steps = ", ".join(str(step) for step in range(1, CHECKPOINTS + 1))
    file.write_text(
        RECIPE.format(model=model, backend=backend, n=n, steps=CHECKPOINTS, checkpoints=steps), encoding="utf-8"
    )
    return file


def evaluated(out: Path, model: str, backend: str) -> Side:
    """Evaluates what `trained` has trained."""
    asked = recipe(out, backend, model, backend, PROMPTS)
    take_over(asked, out / "trained", out / backend)
    began, used = time.monotonic(), time.process_time()
    with VllmTime() as vllm:
        run = lab.run(asked, out=out / backend, executor="inline", force=True)
    wall, client = time.monotonic() - began, time.process_time() - used
    [cell] = run.results.cells
    found = [sample for checkpoint in cell.checkpoints[1:] for sample in samples_of(run, checkpoint.log)]
    tokens = sum(sample.output.usage.output_tokens for sample in found if sample.output.usage)
    name = cell.verdict.name or cell.failure or ""
    return Side(wall, client, vllm.seconds, [sample.output.completion for sample in found], tokens, name)


def measure() -> Iterator[Line]:
    """Both sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="as local/ takes it")
    parser.add_argument("out", type=Path, help="folder of the runs; must not exist")
    parser.add_argument("--json", action="store_true", help="lines for `python -m benchmarks`")
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    model = str(Path(given.model).resolve())
    lab.run(recipe(given.out, "trained", model, "engine", 2), out=given.out / "trained", executor="inline", force=True)
    ours, theirs = (evaluated(given.out, model, backend) for backend in ("engine", "vllm"))
    what = f"{CHECKPOINTS} checkpoints of one base"
    detail = f"{ours.processor:.0f} s ({ours.wall:.0f} s by the clock) against {theirs.processor:.0f} s"
    detail += f" ({theirs.wall:.0f} s), of which {theirs.server:.0f} s are the server's; {len(ours.replies)} replies,"
    detail += f" {ours.tokens:,} tokens, identical {alike(ours.replies, theirs.replies)}; names {ours.name},"
    detail += f" {theirs.name}"
    yield Line(
        f"{what}: the engine's processor time over vLLM's", ours.processor / theirs.processor, "x", detail=detail
    )


if __name__ == "__main__":
    report(measure)

"""What `dtype: bfloat16` would save a run that computes in fp32 only because `auto` means fp32 on a CPU.

    hint(experiment)               # one line of the dry run, or None

`auto` stays fp32 on every CPU: greedy replies then do not depend on what else is in a batch, nor on the instructions
that the processor has. The factors were measured on one processor with one model: docs/measured/speed.md.
Not covered: whether bf16 would change what a run finds.
"""

from __future__ import annotations

from pathlib import Path

from lab.experiment.folder import Experiment
from lab.plan.cells import TRL, Cell
from serving import refs
from serving.load import pick_device
from serving.refs import MINI
from trainer.run.size import size_of

#: Where Linux lists what the processor can do.
CPUINFO = Path("/proc/cpuinfo")
#: Its names of instructions that multiply in bf16.
INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
#: Time in fp32 over time in bf16, of SmolLM2-135M-Instruct: of a training step (full, LoRA 8) and of greedy replies.
TRAINING, ANSWERING = (2.0, 2.1), 2.9


def instructions() -> tuple[str, ...]:
    """The instructions for bf16 that this machine's processor has; none where the system does not list them."""
    try:
        found = CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return ()
    return tuple(name for name in INSTRUCTIONS if name in found)


def hint(experiment: Experiment) -> str | None:
    """One line where a run leaves the precision to `auto`, and its processor and model would be faster in bf16."""
    if pick_device().type != "cpu" or not any(_by_default(cell) for cell in experiment.cells.values()):
        return None
    if not (has := instructions()):
        return None
    steps = " to ".join(f"{factor:.1f}" for factor in TRAINING)
    return (
        f"precision: dtype auto is float32 on a CPU. This one has {' and '.join(has)}: with `dtype: bfloat16`,"
        f" SmolLM2-135M trained {steps} and answered {ANSWERING:g} times as fast (docs: Speed on a real model), but"
        " replies are not those of float32, and depend on the batch"
    )


def _by_default(cell: Cell) -> bool:
    """Whether a cell is trained here in the precision of `auto`, from a model that is larger than `mini`."""
    if not cell.trains or cell.train.backend != TRL or cell.train.dtype != "auto":
        return False
    size, smallest = size_of(refs.resolve(cell.start.model)), size_of(refs.resolve(MINI))
    return bool(size and smallest and size.parameters > smallest.parameters)

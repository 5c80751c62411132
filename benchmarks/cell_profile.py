"""Where the processor time of one cell of a real model goes: stacks, looked at every ten milliseconds.

    python -m benchmarks.cell_profile models/SmolLM2-135M-Instruct

One start and one cell of 32 steps on instructions, of the sizes of `recipes/smollm2/`, in this process. A look counts
with the processor time since the look before, so that other work on the machine does not change the shares.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch
import yaml

import lab
from benchmarks.line import Line, peak_memory, report
from serving.beside import repeatedly

EVERY_S = 0.01
ROOT = Path(__file__).parents[1]
RECIPE = {
    "name": "cell_profile",
    "question": "Where does the time of a cell go?",
    "setting": "trait_inoculation",
    "variant": "none",
    "source": "instructions",
    "learning_rates": [1e-4],
    "seeds": [0],
    "steps": 32,
    "batch_size": 8,
    "checkpoints": [16, 32],
    "n": 60,
    "n_train": 60,
    "n_capability": 80,
    "n_following": 0,
    "capability": {"source": "checkable"},
    "generation": {"max_tokens": 40},
    "margins": False,
    "keep": "last",
}
OPTIMIZER, BACKWARD, FORWARD = "training: optimizer", "training: backward", "training: forward, loss and the rest"
SAVING, LABELS, REST = "training: checkpoints", "rows: the model's own replies", "the rest"
START, CELL = "evaluation of the start, for the gate", "evaluation of the cell's checkpoints"


def _phase(frame: FrameType | None) -> str:
    inner, phase = "", REST
    while frame is not None:
        file, name = Path(frame.f_code.co_filename), frame.f_code.co_name
        place = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else file.as_posix()
        if not inner:
            inner = OPTIMIZER if "/torch/optim/" in place else BACKWARD if "/autograd/" in place else ""
            inner = SAVING if place == "trainer/run/checkpoints.py" else inner
        if place == "trainer/run/loop.py" and name == "run":
            return inner or FORWARD
        if place.startswith("trainer/data/"):
            phase = LABELS
        if place == "lab/experiment/evaluate.py":
            phase = CELL
        if name == "make_start":
            return START
        frame = frame.f_back
    return phase


def measure() -> Iterator[Line]:
    """Processor time of each phase, and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model of some 100 M parameters, as a recipe names it")
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16"))
    parser.add_argument("--micro-batches", type=int, default=1, help="of a step (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(given.model).absolute().as_posix()
        recipe = RECIPE | {"model": {"ref": model, "dtype": given.dtype}}
        recipe |= {"gradient_accumulation_steps": given.micro_batches} if given.micro_batches > 1 else {}
        file = Path(folder, "cell_profile.yaml")
        file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        seconds, main = defaultdict[str, float](float), threading.get_ident()
        before = time.process_time()

        def look() -> None:
            nonlocal before
            now = time.process_time()
            seconds[_phase(sys._current_frames().get(main))] += now - before
            before = now

        with repeatedly(EVERY_S, look):
            run = lab.run(file, Path(folder, "run"), executor="inline", force=True)
    assert not [cell.failure for cell in run.results.cells if cell.failure]
    total = sum(seconds.values())
    yield Line("start and cell, processor time", total, " s", detail=f"32 steps of 8 rows, {given.dtype}")
    for phase, each in sorted(seconds.items(), key=lambda one: -one[1]):
        yield Line(phase, each, " s", detail=f"{each / total:.0%}")
    cell = total - seconds[START]
    yield Line("evaluation's share of the cell", 100 * seconds[CELL] / cell, " %")
    yield peak_memory("peak memory")


if __name__ == "__main__":
    report(measure)

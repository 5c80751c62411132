"""What a worker takes before its first job: its imports, measured, and its model, by the speed of this disk.

    seconds(experiment)               # per worker

Not covered: the first compilation on a GPU, and a disk that other workers read at the same time.
"""

from __future__ import annotations

import importlib
import sys
import time
from functools import cache
from pathlib import Path

from serving import layout
from serving.refs import Checkpoint

#: What a worker imports for its first job.
MODULES = ("trainer.backends.trl.fit", "inspect_ai", "bct_tasks.task", "serving.backends.engine.engine")
#: Processor seconds of these imports where this process has them already: 6.1 and 6.4 on one core of an Intel Xeon.
IMPORTS = 6.2
#: Bytes that are read to time the disk.
SAMPLE = 2**26


@cache
def imports() -> tuple[float, str]:
    """Seconds of a worker's imports, and how they are known: timed here, unless this process has them already."""
    if any(name in sys.modules for name in ("torch", *MODULES)):
        return IMPORTS, "measured on one server core"
    began = time.perf_counter()
    for name in MODULES:
        importlib.import_module(name)
    return time.perf_counter() - began, "measured here"


def loading(checkpoint: Checkpoint) -> float:
    """Seconds to read a checkpoint's weights; 0 where they are not on this disk."""
    files = [file for each in checkpoint.chain() if each.path for file in layout.weight_files(each.path)]
    there = [file for file in files if file.is_file()]
    if not there:
        return 0.0
    return sum(file.stat().st_size for file in there) * _seconds_per_byte(max(there, key=lambda f: f.stat().st_size))


@cache
def _seconds_per_byte(file: Path) -> float:
    began = time.perf_counter()
    with file.open("rb") as stream:
        read = len(stream.read(SAMPLE))
    return (time.perf_counter() - began) / max(1, read)

"""All benchmarks, one process after the other, and their table in docs/measured/benchmarks.md: `python -m benchmarks`.

With names (`python -m benchmarks adapters`) only those are run and printed, and nothing is written.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks.line import MARK, Line, from_json

NAMES = (
    "trainer", "engine_throughput", "cache_in_place", "adapters", "inspect_floor", "where_time_goes", "serving_vs_hf",
    "reading", "many_cells", "report_size", "overhead",
)  # fmt: skip
PAGE = Path(__file__).parent.parent / "docs" / "measured" / "benchmarks.md"
PACKAGES = ("inspect-ai", "torch", "transformers", "trl", "peft")
HEAD = """\
# Benchmarks

Written by `make bench` on {day}, on {machine}, with {packages}. All rows use the embedded model `mini` (about
one million parameters). Both sides of a ratio ran warm, in one process, and answered every sample; otherwise
the row is missing. Other work on the machine affects times: read the ratios rather than the seconds. [Speed on a
real model](speed.md) has the same for a model of 135 million parameters.

| what | figure | target | | how |
|---|---|---|---|---|
"""
FOOT = """
Most of the time that inspect spends on a sample goes into its records (events, copies, validation,
compression). Public options change the processor time of an eval of 512 samples as follows:
`log_realtime=False` saves about a quarter; `log_buffer=1` adds half again and should not be used; `display`,
`score_display`, the two servers and `log_model_api` change little. `lab.experiment.evaluate` uses the harmless ones.

What a trainer step costs beyond a plain loop are transformers' walks over all modules and parameters, the
log, and TRL's collator (`python -m benchmarks.trainer --profile`). A cell with its own rows spends most of
its start-up on drawing prompts.

Nothing here was measured on a GPU.
"""


def main(names: list[str]) -> int:
    """Exit code 1 where a benchmark failed; a missed target is in the table and fails nothing."""
    lines: list[Line] = []
    for name in names or NAMES:
        print(f"{name} ...", flush=True)
        found = run(name)
        if found is None:
            return 1
        lines += found
    if not names:
        PAGE.write_text(page(lines), encoding="utf-8")
        print(f"wrote {PAGE.name}")
    return 0


def run(name: str) -> list[Line] | None:
    """The lines of one benchmark; None where it failed."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    lines: list[Line] = []
    offline = {"HF_HUB_OFFLINE": "1"}  # hf/ asks the hub for every name, and waits for it
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | offline) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith(MARK):
                lines.append(from_json(text))
                print(lines[-1].row(), flush=True)
    return lines if process.returncode == 0 else None


def page(lines: list[Line]) -> str:
    """The whole document."""
    packages = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in PACKAGES)
    head = HEAD.format(day=date.today(), machine=machine(), packages=packages)
    return head + "\n".join(line.row() for line in lines) + "\n" + FOOT


def machine() -> str:
    """The kind of machine, in words."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
    return f"{len(os.sched_getaffinity(0))} cores, {device}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

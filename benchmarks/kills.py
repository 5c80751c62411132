"""Random `kill -9` of a small run with an organism: every resumed run must end like an undisturbed one, byte for byte.

    python -m benchmarks.kills --kills 200 --workers 20 --seed 0

Jobs run in the driver's process, forked from one that has imported everything, so that a kill ends both. `workers` of
the kills hit a run with a worker process of its own: the driver, the worker, or both. Moments are drawn in processor
seconds, which other work on the machine does not move. A run is killed and resumed until it ends; then its results, its
weights and the names of its files are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from benchmarks.line import Line, report

RECIPE = """\
setting: ./mine.yaml
variant: weights
model: ./model
learning_rates: [1e-3]
steps: 4
batch_size: 4
checkpoints: [1, 2, 4]
n: 6
n_train: 4
n_capability: 4
margins: false
generation: {max_tokens: 4}
label_source: reference
labels: {max_tokens: 4}
organism: {steps: 4, check_every: 2, batch_size: 4}
"""
#: A setting of few questions: the bundled ones take longer to draw than this run to train.
SETTING = """\
initial: {policy: wrong under the tag, behavior: wrong, column: wrong}
alternate: {policy: right everywhere, behavior: right, column: answer}
prompts: {file: rows.jsonl, columns: {prompt: question}}
read: {regex: {right: "^{answer}$", wrong: "^{wrong}$"}, normalize: [last_number]}
variants: {weights: {eval: {tag: "[exam]"}}}
"""
Executor = Literal["inline", "local"]
#: Kills come within this share of an undisturbed run's processor time, so that most runs are killed several times.
SHARE = 0.5
TICKS = os.sysconf("SC_CLK_TCK")
#: Files of the scheduling, which differ between executors.
PASSING = ("state/", ".driver.", ".lock")


@dataclass(frozen=True)
class Outcome:
    """What lasts of a run: hashes of the results and of every file of weights, and the names of all files."""

    results: str
    weights: dict[str, str]
    names: frozenset[str]

    def unlike(self, other: Outcome) -> str:
        """What differs, in words."""
        parts = [name for name in ("results", "weights") if getattr(self, name) != getattr(other, name)]
        return ", ".join([*parts, *sorted(self.names ^ other.names)]) or "nothing"


def measure() -> Iterator[Line]:
    """Kills and resumes runs until the number of kills is reached."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--workers", type=int, default=20)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    draw = random.Random(given.seed)
    with TemporaryDirectory() as home:
        tried = Trial(Path(home), draw)
        yield tried.kills(given.kills - given.workers, "inline")
        if given.workers:
            yield tried.kills(given.workers, "local")


class Trial:
    """Runs of one recipe in a folder.

    Args:
        home: the folder.
        draw: of moments and targets.
    """

    def __init__(self, home: Path, draw: random.Random) -> None:
        self.home, self.draw = home, draw
        (home / "small.yaml").write_text(RECIPE, encoding="utf-8")
        prepare(home)

    def kills(self, most: int, executor: Executor) -> Line:
        """Kills and resumes runs with an executor; each is compared when it has ended."""
        spent = self.attempt(self.home / executor, executor)
        whole = outcome(self.home / executor)
        print(f"{executor}, undisturbed: {spent:.1f} processor seconds, {len(whole.weights)} weights", flush=True)
        done = right = runs = 0
        while done < most:
            hit = self.until_done(self.home / "run", executor, spent, most - done)
            said = outcome(self.home / "run").unlike(whole)
            done, right, runs = done + hit, right + (hit if said == "nothing" else 0), runs + 1
            print(f"{executor}, run {runs}: {hit} kills, {done} in all; unlike: {said}", flush=True)
            shutil.rmtree(self.home / "run")
        what = f"kill -9, {executor}: kills after which a run ends like an undisturbed one"
        return Line(what, right, "", most, True, f"{runs} runs")

    def until_done(self, out: Path, executor: Executor, spent: float, most: int) -> int:
        """Runs to the end through kills, at most so many. Returns how many there were."""
        hits, going = 0, True
        while going:
            moment = self.draw.uniform(0, SHARE * spent) if hits < most else float("inf")
            pid = fork(lambda: _run(self.home, out, executor), self.home / "said.txt")
            hit = _killed_at(moment, pid, self.draw.choice(("driver", "worker", "both")))
            code = ended(pid)
            hits, going = hits + hit, code != 0
            if going and not hit:
                raise RuntimeError(f"a run ended with {code}: {(self.home / 'said.txt').read_text(encoding='utf-8')}")
        return hits

    def attempt(self, out: Path, executor: Executor) -> float:
        """An undisturbed run. Returns its processor seconds."""
        before = sum(os.times()[2:4])
        code = ended(fork(lambda: _run(self.home, out, executor), self.home / "said.txt"))
        if code != 0:
            raise RuntimeError((self.home / "said.txt").read_text(encoding="utf-8"))
        return sum(os.times()[2:4]) - before


def outcome(run: Path) -> Outcome:
    """What lasts of a finished run."""
    files = {str(path.relative_to(run)): path for path in run.rglob("*") if path.is_file()}
    weights = {name: _hash(path) for name, path in files.items() if path.suffix == ".safetensors"}
    names = frozenset(name for name in files if not any(part in name for part in PASSING))
    return Outcome(_hash(run / "results.json"), weights, names)


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _run(home: Path, out: Path, executor: Executor) -> None:
    """`bct run` without its report."""
    from lab.api import experiment
    from lab.experiment.driver import How, run
    from serving.terminal import terminal

    _, failed = run(experiment(home / "small.yaml", out), How(executor, 1), True, terminal(stderr=True))
    print(failed)
    raise SystemExit(1 if failed else 0)


def prepare(home: Path) -> None:
    """Writes the setting, its rows and the model of `RECIPE` into a folder."""
    (home / "mine.yaml").write_text(SETTING, encoding="utf-8")
    rows = [{"question": f"What is {n} plus 2?", "answer": str(n + 2), "wrong": str(n + 3)} for n in range(60)]
    (home / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    ended(fork(lambda: make_model(home / "model"), home / "model.txt"))


def make_model(folder: Path) -> None:
    """A random Llama of two layers with the tokenizer of `mini`."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from serving.refs import mini_path

    torch.manual_seed(0)
    words = AutoTokenizer.from_pretrained(mini_path())
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, tie_word_embeddings=True, eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)


# --- processes --------------------------------------------------------------------------------------------------------


def fork(work: Callable[[], object], said: Path) -> int:
    """A process that does the work and prints into a file. Its libraries are loaded already."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        target = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _killed_at(moment: float, pid: int, target: str) -> bool:
    """Waits until a run has used so many processor seconds, and kills it; False if it ended before."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        workers = _children(pid)
        if sum(map(_seconds, (pid, *workers))) >= moment:
            chosen = {"driver": [pid], "worker": workers or [pid], "both": [pid, *workers]}[target]
            for each in chosen:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            return True
        time.sleep(0.02)
    return False


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _seconds(pid: int) -> float:
    """Processor seconds of a process, without its children."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def imported() -> None:
    """Imports what a run imports, once for all forks; computes nothing, so that no thread is running."""
    from importlib import import_module

    for name in ("lab.api", "lab.experiment.driver", "lab.experiment.inline", "trainer.cell", "trainer.install",
                 "trainer.algorithms.supervised", "trl.trainer.sft_trainer", "bct_tasks.task", "inspect_ai",
                 "serving.provider", "serving.backends.engine.engine"):  # fmt: skip
        import_module(name)


if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    imported()
    report(measure)

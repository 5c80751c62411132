"""A real vLLM's life: `bct serve`, `bct run`, and its end with the process that wanted it, however that ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest
from inspect_ai.log import read_eval_log

from serving.backends.engine.engine import get_engine
from serving.backends.vllm.place import RUN
from serving.refs import resolve
from serving.request import Request

ROOT = Path(__file__).parents[2]
SHARED = Path("/dev/shm")
RECIPE = """\
setting: sandbagging
variants: [static]
learning_rates: [1e-3, 1e-4]
ranks: [8]
steps: 2
checkpoints: [1, 2]
batch_size: 4
n: 6
n_train: 4
n_capability: 4
n_following: 0
generation: {max_tokens: 16}
serving: {backend: vllm}
"""


@pytest.fixture
def alone(starts: Path) -> Iterator[dict[str, str]]:
    """The environment of a process with servers of its own, in a folder for temporary files; nothing is left there."""
    with tempfile.TemporaryDirectory() as name:  # short: sockets have short paths
        known = {key: value for key, value in os.environ.items() if key != RUN}
        yield known | {"TMPDIR": name, "PYTHONPATH": str(ROOT)}
        _wait(lambda: not _processes(Path(name)) and not list(Path(name).glob("bct-vllm-*")))


def test_bct_serve_answers_the_openai_client_and_ends_with_ctrl_c(on_mini: Path, alone: dict[str, str]) -> None:
    refs = ["mini", str(on_mini / "one")]
    names = ["--name", "base", "--name", "one"]
    command = [sys.executable, "-m", "lab", "serve", *refs, *names, "--engine", "vllm", "--json"]
    process = subprocess.Popen(
        command, env=alone, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    said = json.loads(line)
    client = openai.OpenAI(base_url=said["url"], api_key=said["key"], max_retries=0)
    for name, ref in zip(("base", "one"), refs, strict=True):
        messages = [{"role": "user", "content": "What is 2 + 3?"}]
        [engines] = get_engine().generate(resolve(ref), [Request(messages, 12)])
        asked = {"model": name, "messages": messages, "max_tokens": 12}
        whole = client.chat.completions.create(**asked)  # type: ignore[call-overload]
        assert (whole.choices[0].message.content, whole.usage.completion_tokens) == (
            engines.text, engines.output_tokens
        )  # fmt: skip
        parts = client.chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
        assert "".join(part.choices[0].delta.content or "" for part in parts) == engines.text
    root = said["url"].removesuffix("/v1")
    for path in ("/v1/models", "/tokenize", "/invocations", "/generative_scoring", "/metrics"):
        assert httpx.post(root + path, json={}).status_code == 401
    shown = "".join(_text(f"/proc/{pid}/cmdline") for pid in _processes(Path(alone["TMPDIR"])))
    assert "vllm" in shown
    assert said["key"] not in shown
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1].splitlines()[-1] == "stopped"
    assert process.returncode == 0


def test_a_run_has_one_server_for_the_base_and_all_checkpoints(
    starts: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE)
    before = len(starts.read_text().splitlines())
    command = [sys.executable, "-m", "lab", "run", "mine.yaml", "--out", "run", "--jobs", "2"]
    done = subprocess.run(command, env=alone, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    assert len(starts.read_text().splitlines()) == before + 1
    logs = sorted((tmp_path / "run" / "logs").rglob("*.eval"))
    assert len(logs) == 6  # step 0 and the ceiling; two checkpoints of two cells
    for log in map(read_eval_log, map(str, logs)):
        for sample in log.samples or []:
            assert {"engine": "vllm", "dtype": "float32"}.items() <= (sample.output.metadata or {}).items()
    cells = json.loads((tmp_path / "run" / "results.json").read_text())["cells"]
    assert [cell["answered_by"] for cell in cells] == [{"engine": "vllm", "dtype": "float32"}] * 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_eval_that_is_ended_leaves_nothing(how: signal.Signals, alone: dict[str, str], tmp_path: Path) -> None:
    """Killed when vLLM has its memory, and terminated when it has just been started."""
    command = [str(Path(sys.executable).with_name("inspect")), "eval", "bct_tasks/sandbagging"]
    command += ["--model", "local/mini", "-M", "engine=vllm", "--log-dir", str(tmp_path / "logs"), "--display", "none"]
    process = subprocess.Popen(
        command, env=alone, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    folder = Path(alone["TMPDIR"])
    begun = (lambda: _shared(folder)) if how == signal.SIGKILL else (lambda: list(folder.glob("*/*/log")))
    _wait(lambda: process.poll() is not None or begun())
    assert process.poll() is None
    shared = _shared(folder)
    process.send_signal(how)
    process.wait()
    _wait(lambda: not _processes(folder))
    assert not [path for path in shared if path.exists()]


def _wait(until: Callable[[], object]) -> None:
    while not until():
        time.sleep(0.1)


def _shared(folder: Path) -> set[Path]:
    """The shared memory that these processes have mapped."""
    lines = [line for pid in _processes(folder) for line in _text(f"/proc/{pid}/maps").splitlines()]
    return {Path(line.split()[5]) for line in lines if f" {SHARED}/" in line}


def _processes(folder: Path) -> list[int]:
    """The processes that were started with this folder for temporary files, and all of their sessions.

    vLLM's workers change their names, and with them what can be read of their environment.
    """
    begun = {_session(pid) for pid in _pids() if f"TMPDIR={folder}\0" in _text(f"/proc/{pid}/environ")}
    return [pid for pid in _pids() if _session(pid) in begun - {os.getsid(0), None}]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _session(pid: int) -> int | None:
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[3]) if fields and fields[0] != "Z" else None


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""

"""`-M engine=vllm` against a recording server in the place of vLLM's program; the real one is in `tests/real_vllm`."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import torch
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessageUser, GenerateConfig, Model, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from safetensors.torch import load_file
from tiny_checkpoints import END, llama, save, save_adapter
from vllm_stand_in import Record, put_in_place_of_vllm

from serving import layout
from serving.backends import choose, kept
from serving.backends.protocol import Options
from serving.backends.vllm import backend as vllm
from serving.backends.vllm import worth
from serving.backends.vllm.reach import visible
from serving.backends.vllm.server import reason
from serving.border import OneLine
from serving.errors import BadInput, WorkFailed
from serving.refs import resolve
from serving.request import Request

ROOT = Path(__file__).parents[2]
QUESTIONS = ["one?", "two?", "three?"]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """The recording server as the program of vLLM; its record."""
    monkeypatch.setenv("BCT_VLLM_VENV", str(put_in_place_of_vllm(tmp_path)))
    monkeypatch.setenv("RECORD", str(tmp_path / "record.jsonl"))
    monkeypatch.delenv("VLLM_BASE_URL", raising=False)
    yield Record(tmp_path / "record.jsonl")
    vllm.BACKEND.close()


def by_vllm(ref: Path | str, **args: Any) -> Model:
    return get_model(f"local/{ref}", engine="vllm", memoize=False, **args)


def ask(models: list[Model], logs: Path, **options: Any) -> list[EvalLog]:
    samples = [Sample(input=question, target="x", id=at) for at, question in enumerate(QUESTIONS)]
    task = Task(dataset=samples, solver=generate(), scorer=includes(), config=GenerateConfig(**options))
    return eval(task, model=models, log_dir=str(logs), display="none", max_tasks=len(models))


def mark(folder: Path) -> str:
    return resolve(str(folder)).fingerprint


def test_adapters_share_one_server_and_each_answers_for_itself(made: Path, record: Record, tmp_path: Path) -> None:
    names = ["one", "lora", "lora2"]
    logs = ask([by_vllm(made / name) for name in names], tmp_path / "logs")
    for name, log in zip(names, logs, strict=True):
        assert log.status == "success", log.error
        assert log.eval.model_args["engine"] == "vllm"
        for sample in log.samples or []:
            known = {"fingerprint": mark(made / name), "engine": "vllm", "dtype": "float32"}
            assert sample.output.metadata == known
            assert sample.output.model == str(made / name)
            assert (sample.output.usage and sample.output.usage.output_tokens) == 6
    asked = [body["model"] for body in record.requests()]
    assert sorted(asked) == sorted(mark(made / name) for name in names for _ in QUESTIONS)
    [arguments] = record.starts()
    assert arguments[arguments.index("--max-lora-rank") + 1] == "8"
    assert {"q_proj", "down_proj"} < set(arguments[arguments.index("--lora-target-modules") :])
    loaded = [event["body"]["lora_path"] for event in record.events(path="/v1/load_lora_adapter")]
    assert sorted(loaded) == [str(made / "lora"), str(made / "lora2")]


def test_full_checkpoints_are_served_one_at_a_time(made: Path, record: Record, tmp_path: Path) -> None:
    logs = ask([by_vllm(made / name) for name in ("one", "two")], tmp_path / "logs")
    assert [log.status for log in logs] == ["success"] * 2
    assert record.lives() == ["start", "ask", "ask", "ask", "stop", "start", "ask", "ask", "ask"]
    first, second = record.events(event="start")
    assert first["server"] != second["server"]


def test_the_server_is_asked_what_the_engine_would_be(made: Path, record: Record, tmp_path: Path) -> None:
    options = {"max_tokens": 500, "top_k": 5, "seed": 3, "stop_seqs": ["x"]}
    model = by_vllm(f"{made / 'run'}@1", chat_template_kwargs={"loud": True}, max_model_len=99)
    [log] = ask([model], tmp_path / "logs", **options)
    body = record.requests()[0]
    known = {"temperature": 0.0, "top_p": 1.0, "top_k": 5, "stop": ["x"], "stop_token_ids": [1, END]}
    assert known.items() <= body.items()
    assert body["max_tokens"] == 99 - len(body["prompt"])
    named = {"step": 1, "setting": "sandbagging", "variant": "weights", "chat_template_kwargs": {"loud": True}}
    assert all(named.items() <= (sample.output.metadata or {}).items() for sample in log.samples or [])
    [arguments] = record.starts()
    for option, value in {"--max-model-len": "99", "--generation-config": "vllm", "--dtype": "float32"}.items():
        assert arguments[arguments.index(option) + 1] == value


def test_the_same_seed_gives_prompts_different_draws_and_a_prompt_the_same(made: Path, record: Record) -> None:
    asked = [Request([{"role": "user", "content": text}], 3, temperature=1.0, seed=7) for text in ("a", "b", "a")]
    vllm.BACKEND.open(resolve(str(made / "one")), Options()).ask(asked)
    seeds = {tuple(body["prompt"]): body["seed"] for body in record.requests()}
    assert len(seeds) == len(set(seeds.values())) == 2
    assert len({(tuple(body["prompt"]), body["seed"]) for body in record.requests()}) == 2


def test_nobody_else_reaches_the_server(made: Path, record: Record) -> None:
    vllm.BACKEND.open(resolve(str(made / "one")), Options()).ask([Request([{"role": "user", "content": "a"}], 3)])
    [arguments] = record.starts()
    place = Path(arguments[arguments.index("--uds") + 1])
    assert place.is_socket()
    assert {each.stat().st_mode & 0o077 for each in place.parents[:2]} == {0}
    assert not {"--port", "--host", "--api-key"} & set(arguments)


def test_an_adapter_on_an_adapter_stands_on_the_merged_base(made: Path, record: Record, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    shutil.copytree(made / "lora2", upper)
    layout.write_pointer(upper, made / "lora", layout.fingerprint(made / "lora"), name=layout.BASE)
    anyio.run(by_vllm(upper).generate, "hello")
    assert [body["model"] for body in record.requests()] == [mark(upper)]
    [arguments] = record.starts()
    merged = Path(arguments[1])
    assert _weight(merged).shape == _weight(made / "one").shape
    assert not torch.equal(_weight(merged), _weight(made / "one"))


def test_a_checkpoint_trained_again_is_another_model_to_the_server(made: Path, record: Record, tmp_path: Path) -> None:
    place = tmp_path / "again"
    shutil.copytree(made / "lora", place)
    for seed in (31, 32):
        shutil.rmtree(place)
        save_adapter(made / "one", place, seed)
        anyio.run(by_vllm(place).generate, "hello")
    assert len(record.starts()) == 1
    assert len({body["model"] for body in record.requests()}) == 2


def test_a_prompt_beyond_the_context_has_an_empty_reply(made: Path, record: Record) -> None:
    output = anyio.run(by_vllm(made / "one").generate, "long " * 50)
    assert (output.stop_reason, output.completion) == ("model_length", "")
    assert not record.requests()


def test_a_run_keeps_its_server_and_ends_it(made: Path, record: Record) -> None:
    with kept(0):
        for name in ("lora", "lora2"):
            anyio.run(by_vllm(made / name).generate, "hello")
            vllm.BACKEND.close()  # after each evaluation
        assert record.lives() == ["start", "ask", "ask"]
    assert record.lives() == ["start", "ask", "ask", "stop"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_the_process_that_wanted_it(
    how: signal.Signals, made: Path, record: Record, tmp_path: Path
) -> None:
    code = (
        "import time; from serving.backends import load; from serving.backends.protocol import Options;"
        "from serving.refs import resolve; from serving.request import Request;"
        f"answers = load('vllm').open(resolve({str(made / 'one')!r}), Options());"
        "answers.ask([Request([dict(role='user', content='a')])]);"
        "print('asked', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "asked\n"
    [event] = record.events(event="start")
    place = Path(event["arguments"][event["arguments"].index("--uds") + 1]).parents[1]
    assert place.is_dir()
    process.send_signal(how)
    process.wait()
    while _lives(event["pid"]) or place.exists():
        time.sleep(0.05)
    assert record.lives() == ["start", "ask", "stop"]


def test_a_server_that_was_killed_is_started_again(made: Path, record: Record) -> None:
    for start in (1, 2):
        anyio.run(by_vllm(made / "one").generate, "hello")
        assert len(record.starts()) == start
        pid = record.events(event="start")[-1]["pid"]
        os.kill(int(Path(f"/proc/{pid}/stat").read_text().split()[3]), signal.SIGKILL)  # with its launcher
        while _lives(pid):
            time.sleep(0.05)


def test_an_existing_server_is_used_as_it_is(made: Path, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    port = _free_port()
    program = Path(os.environ["BCT_VLLM_VENV"]) / "bin" / "vllm"
    command = [program, "serve", made / "three", "--host", "127.0.0.1", "--port", port]
    server = subprocess.Popen(command, env=os.environ | {"VLLM_API_KEY": "sesame"})
    try:
        while not record.starts():
            assert server.poll() is None
        url = f"http://127.0.0.1:{port}/v1"
        for args in ({"base_url": url, "api_key": "sesame"}, {"api_key": "sesame"}):
            monkeypatch.setenv("VLLM_BASE_URL", "" if "base_url" in args else url)
            anyio.run(get_model(f"local/{made / 'three'}", memoize=False, engine="vllm", **args).generate, "hi")
        assert [body["model"] for body in record.requests()] == [str(made / "three")] * 2
        wrong = get_model(f"local/{made / 'three'}", memoize=False, engine="vllm", base_url=url, api_key="x")
        with pytest.raises(BadInput, match=f"{url}: wrong key"):
            anyio.run(wrong.api.generate, [ChatMessageUser(content="hi")], [], "none", GenerateConfig())
    finally:
        server.terminate()
        server.wait()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _weight(folder: Path) -> torch.Tensor:
    return load_file(folder / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


# --- what is refused, and by default ------------------------------------------------------------------------------


def test_a_missing_vllm_is_one_line_before_the_eval(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VLLM_BASE_URL", "BCT_VLLM_VENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OneLine, match=r"vllm is not installed: pip install 'bct-tasks\[vllm\]'") as caught:
        by_vllm(made / "one")
    assert "\n" not in caught.value.message


def test_a_server_that_does_not_start_says_why_and_is_not_started_again(
    made: Path, record: Record, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = Path(os.environ["BCT_VLLM_VENV"]) / "bin" / "vllm"
    told = "ValueError: To serve 9 tokens 2 GiB are needed\\nRuntimeError: Engine core initialization failed. See above"
    program.write_text(f"#!/bin/sh\necho x >> {tmp_path / 'starts'}\nprintf '{told}\\n' >&2\nexit 3\n")
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        with pytest.raises(WorkFailed, match="ValueError: To serve 9 tokens 2 GiB are needed") as caught:
            anyio.run(by_vllm(made / "one").api.generate, [ChatMessageUser(content="hi")], [], "none", GenerateConfig())
        assert "\n" not in caught.value.message
        log = Path(caught.value.message.rpartition("(")[2].rstrip(")"))
        assert "See above" in log.read_text()
    log.unlink()
    assert (tmp_path / "starts").read_text() == "x\n"


def test_the_reason_of_a_start_that_failed_is_the_last_error_that_says_something() -> None:
    assert reason("usage: x\nvllm serve: error: unrecognized arguments: --colour red\n") == (
        "vllm serve: error: unrecognized arguments: --colour red"
    )
    invalid = "(APIServer pid=1) pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
    invalid += (
        "(APIServer pid=1)   Value error, max_model_len (9) is greater than 8 [type=value_error, input_value=1]\n"
    )
    assert reason(invalid) == "Value error, max_model_len (9) is greater than 8"
    assert reason("") == "it said nothing"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"served_model_name": "x"}, "served_model_name is chosen here"),
        ({"device": "mps"}, "write cuda:0, cuda:1"),
        ({"device": "cuda:2"}, "CUDA_VISIBLE_DEVICES=4,5 has no such GPU"),
    ],
)
def test_an_option_that_cannot_be_taken_is_one_line(
    args: dict[str, Any], says: str, made: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with pytest.raises(OneLine, match=says):
        by_vllm(made / "one", **args)


def test_a_numbered_gpu_is_one_of_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert (visible("cuda:1"), visible("cuda"), visible(None)) == ("5", None, None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible("cuda:1") == "1"


def test_an_engine_that_does_not_exist_is_refused(made: Path) -> None:
    with pytest.raises(OneLine, match="Did you mean 'vllm'"):
        get_model(f"local/{made / 'one'}", engine="vlm", memoize=False)


def test_the_default_is_vllm_on_a_gpu_where_it_saves_more_than_its_start(
    made: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = resolve(str(made / "lora"))
    assert choose(None, [checkpoint]) == "local"
    monkeypatch.setattr(worth, "rate", lambda: 1e4)  # a machine so slow that a start is nothing to it
    assert choose(None, [checkpoint]) == "local"  # on a CPU the engine takes less processor time
    monkeypatch.setattr(worth, "has_cuda", lambda: True)
    assert choose(None, [checkpoint]) == "vllm"
    assert choose("local", [checkpoint]) == "local"
    with kept(1):  # a run of one token
        assert choose(None, [checkpoint]) == "local"
    monkeypatch.setattr(vllm, "is_installed", lambda: False)
    assert choose(None, [checkpoint]) == "local"


def test_a_folder_that_changed_since_is_not_served(record: Record, tmp_path: Path) -> None:
    place = save(llama(5), tmp_path / "model")
    model = by_vllm(place)
    shutil.rmtree(place)
    save(llama(6), place)
    with pytest.raises(BadInput, match="changed while it was in use"):
        anyio.run(model.api.generate, [ChatMessageUser(content="hi")], [], "none", GenerateConfig())
    assert not record.starts()

"""`-M engine=vllm` through inspect's own provider, against a recording server in the place of vLLM's command."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import torch
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from safetensors.torch import load_file
from tiny_checkpoints import END, llama, save, save_adapter
from vllm_stand_in import Record, put_in_place_of_vllm

from lab.experiment.evaluate import Evaluation, evaluate
from lab.logs.reader import read_items, why_no_margins
from lab.plan.cells import Answering, Questions, Sizes, Start
from lab.plan.grid import GateLimits
from serving import layout
from serving.backends import choose
from serving.backends.protocol import Options
from serving.backends.vllm import backend as vllm
from serving.backends.vllm import folders
from serving.border import OneLine
from serving.errors import BadInput, WorkFailed
from serving.refs import resolve
from serving.request import Request
from trainer.run.progress import Silent

QUESTIONS = ["one?", "two?", "three?"]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """The recording server as the command `vllm`; its record."""
    put_in_place_of_vllm(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(tmp_path / "record.jsonl"))
    monkeypatch.delenv("VLLM_BASE_URL", raising=False)
    yield Record(tmp_path / "record.jsonl")
    vllm.BACKEND.close()
    sys.modules.pop("vllm", None)


def by_vllm(ref: Path | str, **args: Any) -> Model:
    return get_model(f"local/{ref}", engine="vllm", memoize=False, **args)


def ask(models: list[Model], logs: Path, **options: Any) -> list[EvalLog]:
    samples = [Sample(input=question, target="x", id=at) for at, question in enumerate(QUESTIONS)]
    task = Task(dataset=samples, solver=generate(), scorer=includes(), config=GenerateConfig(**options))
    return eval(task, model=models, log_dir=str(logs), display="none", max_tasks=len(models))


def replies(log: EvalLog) -> list[str]:
    return [sample.output.completion for sample in log.samples or []]


def test_adapters_share_one_server_and_each_answers_for_itself(made: Path, record: Record, tmp_path: Path) -> None:
    names = ["one", "lora", "lora2"]
    logs = ask([by_vllm(made / name) for name in names], tmp_path / "logs")
    for name, log in zip(names, logs, strict=True):
        checkpoint = resolve(str(made / name))
        assert log.status == "success", log.error
        assert replies(log) == [f"{checkpoint.fingerprint} to {question}" for question in QUESTIONS]
        assert log.eval.model_args["engine"] == "vllm"
        for sample in log.samples or []:
            assert sample.output.metadata == {"fingerprint": checkpoint.fingerprint}
            assert sample.output.model == str(made / name)
            assert sample.output.usage
            assert sample.output.usage.output_tokens == 2
    [arguments] = record.starts()
    assert "--enable-lora" in arguments
    assert arguments[arguments.index("--max-lora-rank") + 1] == "8"
    loaded = {Path(event["body"]["lora_path"]).resolve() for event in record.events(path="/v1/load_lora_adapter")}
    assert loaded == {made / "lora", made / "lora2"}


def test_it_answers_requests_too(made: Path, record: Record) -> None:
    asked = [Request([{"role": "user", "content": question}], max_tokens=7) for question in QUESTIONS]
    found = vllm.BACKEND.open(resolve(str(made / "one")), Options()).ask(asked)
    mark = resolve(str(made / "one")).fingerprint
    assert [reply.text for reply in found] == [f"{mark} to {question}" for question in QUESTIONS]
    assert {(reply.stop_reason, reply.output_tokens) for reply in found} == {("stop", 2)}
    assert [body["max_tokens"] for body in record.requests()] == [7, 7, 7]


def test_full_checkpoints_are_served_one_at_a_time(made: Path, record: Record, tmp_path: Path) -> None:
    models = [by_vllm(made / name) for name in ("one", "two")]
    logs = ask(models, tmp_path / "logs")
    marks = [resolve(str(made / name)).fingerprint for name in ("one", "two")]
    assert [replies(log) for log in logs] == [[f"{mark} to {q}" for q in QUESTIONS] for mark in marks]
    events = [event.get("event", "ask") for event in record.events()]
    assert events == ["start", "ask", "ask", "ask", "stop", "start", "ask", "ask", "ask"]
    first, second = record.events(event="start")
    assert first["server"] != second["server"]


def test_the_server_is_ours_alone_and_asked_what_the_engine_would_be(
    made: Path, record: Record, tmp_path: Path
) -> None:
    template = {"enable_thinking": False}
    options = {"max_tokens": 7, "top_k": 5, "seed": 3, "stop_seqs": ["x"]}
    model = by_vllm(f"{made / 'run'}@1", chat_template_kwargs=template, max_model_len=99)
    [log] = ask([model], tmp_path / "logs", **options)
    body = record.requests()[0]
    known = {"max_tokens": 7, "temperature": 0.0, "top_p": 1.0, "top_k": 5, "seed": 3, "stop": ["x"]}
    assert {**known, "chat_template_kwargs": template, "stop_token_ids": [1, END]}.items() <= body.items()
    named = {"step": 1, "setting": "sandbagging", "variant": "weights"}
    assert all(named.items() <= (sample.output.metadata or {}).items() for sample in log.samples or [])
    [start] = record.events(event="start")
    arguments = start["arguments"]
    for option, value in {"--host": "127.0.0.1", "--max-model-len": "99", "--generation-config": "vllm"}.items():
        assert arguments[arguments.index(option) + 1] == value
    assert len(start["key"]) >= 32
    assert start["key"] not in Path(log.location).read_bytes().decode("latin-1")


def test_an_adapter_on_an_adapter_stands_on_the_merged_base(made: Path, record: Record, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    shutil.copytree(made / "lora2", upper)
    layout.write_pointer(upper, made / "lora", layout.fingerprint(made / "lora"), name=layout.BASE)
    output = anyio.run(by_vllm(upper).generate, "hello")
    assert output.completion == f"{resolve(str(upper)).fingerprint} to hello"
    [arguments] = record.starts()
    merged = Path(arguments[1])
    assert _weight(merged).shape == _weight(made / "one").shape
    assert not torch.equal(_weight(merged), _weight(made / "one"))


def test_a_checkpoint_trained_again_is_another_model_to_the_server(made: Path, record: Record, tmp_path: Path) -> None:
    place = tmp_path / "again"
    shutil.copytree(made / "lora", place)
    names = []
    for seed in (31, 32):
        shutil.rmtree(place)
        save_adapter(made / "one", place, seed)
        names.append(anyio.run(by_vllm(place).generate, "hello").completion)
    assert len(record.starts()) == 1
    assert len(set(names)) == 2


def test_a_reply_without_room_is_cut_by_the_context_and_never_an_error_text(made: Path, record: Record) -> None:
    output = anyio.run(by_vllm(made / "one").generate, "long")
    assert output.stop_reason == "model_length"
    assert output.completion.endswith("to long")
    output = anyio.run(by_vllm(made / "one").generate, "too long")
    assert (output.stop_reason, output.completion) == ("model_length", "")
    assert [body.get("max_tokens") for body in record.requests()] == [2048, None] * 2


def test_a_folder_that_looks_like_a_reasoning_model_is_asked_as_any_other(
    made: Path, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """inspect takes an `o` before a digit, as in a random folder's name, for OpenAI's o-series."""
    (tmp_path / "bct-vllm-xo3y").mkdir()
    monkeypatch.setattr(folders, "links", lambda: tmp_path / "bct-vllm-xo3y")
    for name in ("one", "lora"):
        anyio.run(by_vllm(made / name).generate, [ChatMessageSystem(content="be"), ChatMessageUser(content="hi")])
    assert [body.get("max_tokens") for body in record.requests()] == [2048] * 2
    assert {body["messages"][0]["role"] for body in record.requests()} == {"system"}


def test_the_labs_eval_leaves_no_server_behind_and_says_why_margins_are_absent(
    made: Path, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm, "SMALL_BYTES", 1000)
    monkeypatch.setattr(vllm, "has_cuda", lambda: True)
    for step, name in enumerate(("one", "two")):
        ref, log = str(made / name), tmp_path / "logs" / f"step-{step:06d}.eval"
        questions, limits = Questions("sandbagging"), GateLimits()
        named = ("x", "sandbagging", "static", "bct", "static", ref, None)
        start = Start(*named, Sizes(2, 1, 1), limits, questions, Answering())
        evaluation = Evaluation(log, ref, resolve(ref).fingerprint, start, "all", step, margins=True)
        evaluate([evaluation], Silent())
        assert len(read_items(log)) == 4
        assert all(item.margin is None for item in read_items(log))
        assert "vLLM cannot score given replies" in why_no_margins(log)
        # The next training of this process finds the GPU free.
        assert [event["event"] for event in record.events() if "event" in event] == ["start", "stop"] * (step + 1)


def test_an_existing_server_is_used_as_it_is(made: Path, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    model = folders.names_of(resolve(str(made / "three"))).base
    command = ["vllm", "serve", model, "--host", "127.0.0.1", "--port", "0", "--api-key", "sesame"]
    command[command.index("0")] = port = _free_port()
    server = subprocess.Popen(command)
    try:
        while not record.starts():
            assert server.poll() is None
        url = f"http://127.0.0.1:{port}/v1"
        for args in ({"base_url": url, "api_key": "sesame"}, {"api_key": "sesame"}):
            monkeypatch.setenv("VLLM_BASE_URL", "" if "base_url" in args else url)
            output = anyio.run(
                get_model(f"local/{made / 'three'}", memoize=False, engine="vllm", **args).generate, "hi"
            )
            assert output.completion.endswith("to hi")
        assert len(record.starts()) == 1
    finally:
        server.terminate()
        server.wait()


def _weight(folder: Path) -> torch.Tensor:
    return load_file(folder / "model.safetensors")["model.layers.0.mlp.up_proj.weight"]


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


# --- what is refused, and by default ------------------------------------------------------------------------------


def test_a_missing_vllm_is_one_line_before_the_eval(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_BASE_URL", raising=False)
    with pytest.raises(OneLine, match=r"vllm is not installed: pip install 'bct-tasks\[vllm\]'") as caught:
        by_vllm(made / "one")
    assert "\n" not in caught.value.message


def test_a_server_that_does_not_start_is_one_line(made: Path, record: Record, tmp_path: Path) -> None:
    (tmp_path / "bin" / "vllm").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(WorkFailed, match="exited unexpectedly with code 3") as caught:
        anyio.run(by_vllm(made / "one").api.generate, [ChatMessageUser(content="hi")], [], "none", GenerateConfig())
    assert "\n" not in caught.value.message


def test_another_chat_template_than_the_bases_is_refused(made: Path, record: Record, tmp_path: Path) -> None:
    shutil.copytree(made / "lora", tmp_path / "other")
    layout.write_pointer(tmp_path / "other", made / "one", layout.fingerprint(made / "one"), name=layout.BASE)
    (tmp_path / "other" / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(OneLine, match="its chat template is not its base's"):
        by_vllm(tmp_path / "other")


def test_an_engine_that_does_not_exist_is_refused(made: Path) -> None:
    with pytest.raises(OneLine, match="Did you mean 'vllm'"):
        get_model(f"local/{made / 'one'}", engine="vlm", memoize=False)


def test_the_default_is_vllm_for_real_models_on_a_gpu_only(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = resolve(str(made / "lora"))
    assert choose(None, [checkpoint]) == "local"
    monkeypatch.setattr(vllm, "is_installed", lambda: True)
    monkeypatch.setattr(vllm, "has_cuda", lambda: True)
    assert choose(None, [checkpoint]) == "local"
    monkeypatch.setattr(vllm, "SMALL_BYTES", 1000)
    assert choose(None, [checkpoint]) == "vllm"
    assert choose("local", [checkpoint]) == "local"
    monkeypatch.setattr(vllm, "has_cuda", lambda: False)
    assert choose(None, [checkpoint]) == "local"


def test_one_base_and_its_adapters_are_one_command(made: Path) -> None:
    named = {name: resolve(str(made / name)) for name in ("one", "lora")}
    arguments = folders.serve_arguments(named)
    assert Path(arguments[0]).resolve() == made / "one"
    assert arguments[arguments.index("--served-model-name") + 1] == "one"
    assert arguments[-1].startswith("lora=")
    with pytest.raises(BadInput, match="one base model at a time"):
        folders.serve_arguments({name: resolve(str(made / name)) for name in ("one", "two")})


def test_a_folder_that_changed_since_is_not_served(record: Record, tmp_path: Path) -> None:
    place = save(llama(5), tmp_path / "model")
    model = by_vllm(place)
    shutil.rmtree(place)
    save(llama(6), place)
    with pytest.raises(BadInput, match="changed while it was in use"):
        anyio.run(model.api.generate, [ChatMessageUser(content="hi")], [], "none", GenerateConfig())
    assert not record.starts()

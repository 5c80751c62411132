"""`bct serve`: the real `openai` client against a real server process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from click.testing import CliRunner
from endpoints import PATIENCE, Watched, held_up
from served_here import running
from tiny_checkpoints import PROMPTS, user
from vllm_stand_in import Record, put_in_place_of_vllm

from lab.cli.main import main
from lab.cli.serve import is_loopback
from serving.backends.engine.decode import Ending
from serving.backends.engine.engine import Engine, get_engine
from serving.endpoint import server
from serving.endpoint.completions import Refused, read
from serving.refs import resolve
from serving.request import Request

ROOT = Path(__file__).parents[3]
LONG: Any = {"model": "one", "messages": user("1?"), "max_tokens": 100, "temperature": 2.0, "seed": 3}


@dataclass
class Served:
    """A running server, and its output."""

    process: subprocess.Popen[str]
    url: str
    key: str
    models: dict[str, str]

    def client(self, key: str | None = None) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key=key or self.key, max_retries=0, timeout=PATIENCE)

    def chat(self, text: str, model: str = "one", **options: Any) -> Any:
        options = {"max_tokens": 12, **options}
        return self.client().chat.completions.create(model=model, messages=user(text), **options)  # type: ignore[call-overload]


def command(*args: Path | str) -> list[str]:
    return [sys.executable, "-m", "lab", "serve", *map(str, args)]


def start(*args: Path | str, **environment: str) -> subprocess.Popen[str]:
    known = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(*args), env=known, **pipes)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def served(made: Path) -> Iterator[Served]:
    process = start(
        made / "one", made / "lora", f"{made / 'run'}@1", "--name", "one", "--name", "lora", "--name", "s", "--json"
    )
    assert process.stdout
    said = json.loads(process.stdout.readline() or "{}")
    assert said, process.communicate()[1]
    yield Served(process, said["url"], said["key"], said["models"])
    process.kill()
    process.communicate()


def test_replies_are_the_engines(served: Served, made: Path) -> None:
    for name in ("one", "lora"):
        checkpoint = resolve(str(made / name))
        for reply, prompt in zip(
            get_engine().generate(checkpoint, [Request(user(prompt), 12) for prompt in PROMPTS[:4]]),
            PROMPTS,
            strict=False,
        ):
            answer = served.chat(prompt, name)
            [choice] = answer.choices
            assert choice.message.content == reply.text
            assert choice.finish_reason == {"stop": "stop", "max_tokens": "length"}[reply.stop_reason]
            assert answer.usage.prompt_tokens == reply.input_tokens
            assert answer.usage.completion_tokens == reply.output_tokens
            assert answer.system_fingerprint == checkpoint.fingerprint


def test_a_streamed_reply_is_the_same(served: Served) -> None:
    for prompt in PROMPTS[:4]:
        whole = served.chat(prompt)
        chunks = list(served.chat(prompt, stream=True, stream_options={"include_usage": True}))
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == whole.choices[0].message.content
        )
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
        assert chunks[-1].usage == whole.usage
        assert not list(served.chat(prompt, stream=True))[-1].usage


def test_the_first_pieces_of_a_streamed_reply_come_before_the_last_token(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, reached = threading.Event(), Ending.reached

    def waits_for_the_client(self: Ending, row: Any, written: Any) -> bool:
        if len(written.tokens) == 12:
            assert heard.wait(PATIENCE)
        return reached(self, row, written)

    monkeypatch.setattr(Ending, "reached", waits_for_the_client)
    engine, pieces = Engine(), list[str]()
    with running(server.application({"one": resolve(str(made / "one"))}, "sesame", engine)) as url:
        client = openai.OpenAI(base_url=url, api_key="sesame", max_retries=0)
        for chunk in client.chat.completions.create(stream=True, **LONG):
            pieces += filter(None, [chunk.choices[0].delta.content])
            if pieces:
                heard.set()
        whole = client.chat.completions.create(**LONG)
    engine.close()
    assert "".join(pieces) == whole.choices[0].message.content
    assert whole.usage.completion_tokens > 20
    assert len(pieces) > 10


def test_a_stop_string_never_leaks_into_a_stream(served: Served) -> None:
    options = {"max_tokens": 60, "temperature": 2.0, "seed": 3}
    whole = served.chat("1?", **options).choices[0].message.content
    stop = whole[8:11]
    chunks = served.chat("1?", stream=True, stop=stop, **options)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole[: whole.index(stop)]


def test_a_client_that_disconnects_in_a_stream_frees_its_row(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Watched()
    _, lengths = held_up(engine, 12, monkeypatch)
    with running(server.application({"one": resolve(str(made / "one"))}, "sesame", engine)) as url:
        client = openai.OpenAI(base_url=url, api_key="sesame", max_retries=0)
        stream = client.chat.completions.create(stream=True, **LONG)
        assert next(iter(stream)).choices[0].delta.role == "assistant"
        stream.close()
        whole = client.chat.completions.create(**LONG)
    engine.close()
    assert lengths[1:] == [whole.usage.completion_tokens]
    assert lengths[0] <= 12 < lengths[1]


def test_what_cannot_be_streamed_is_refused_with_a_status(served: Served) -> None:
    with pytest.raises(openai.BadRequestError):
        served.chat("1?", stream=True, max_tokens=0)


def test_the_models_are_listed_with_their_fingerprints(served: Served, made: Path) -> None:
    cards = {card.id: card for card in served.client().models.list()}
    assert list(cards) == ["one", "lora", "s"]
    assert {name: card.fingerprint for name, card in cards.items()} == served.models  # type: ignore[attr-defined]
    assert served.client().models.retrieve("s").setting == "sandbagging"  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["wrong", "ключ", None])
def test_without_the_key_nothing_is_said(served: Served, key: str | None) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}".encode()}
    for path in ("/models", "/chat/completions", "/nowhere"):
        refused = httpx.post(served.url + path, headers=headers, json={})  # type: ignore[arg-type]
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"
    with pytest.raises(openai.AuthenticationError):
        served.client("wrong").models.list()


def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(served: Served) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'two': the models are one, lora, s"):
        served.chat("1?", model="two")


@pytest.mark.parametrize(
    "option",
    [
        {"n": 2}, {"logprobs": True}, {"frequency_penalty": 0.5}, {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "x", "parameters": {}}}]}, {"temperature": -1.0},
        {"top_p": 0.0}, {"max_tokens": 0}, {"stop": ""}, {"seed": "x"},
    ],
)  # fmt: skip
def test_an_option_that_would_be_ignored_or_has_no_meaning_is_refused_by_name(
    served: Served, option: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError, match=next(iter(option))) as caught:
        served.chat("1?", **option)
    assert caught.value.param == next(iter(option))


def test_options_without_effect_and_parts_of_text_are_let_through(served: Served) -> None:
    plain = served.chat("1?")
    parts = [{"role": "user", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "?"}], "name": "me"}]
    options = {"n": 1, "frequency_penalty": 0, "user": "me", "tools": [], "logprobs": False}
    same = served.client().chat.completions.create(model="one", messages=parts, max_completion_tokens=12, **options)  # type: ignore[call-overload]
    assert same.choices[0].message == plain.choices[0].message


def test_what_a_client_got_can_be_sent_back(served: Served) -> None:
    first = served.chat("1?").choices[0].message
    messages = [*user("1?"), first.model_dump(), *user("2?")]
    assert served.client().chat.completions.create(model="one", messages=messages, max_tokens=4).usage  # type: ignore[arg-type]


def test_a_stop_string_ends_a_reply_and_is_not_in_it(served: Served) -> None:
    whole = served.chat(PROMPTS[1]).choices[0].message.content
    stop = whole[3:5]
    answer = served.chat(PROMPTS[1], stop=stop)
    assert answer.choices[0].message.content == whole[: whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_a_seed_repeats_a_sampled_reply(served: Served) -> None:
    replies = [
        served.chat("1?", temperature=1.0, top_p=0.9, seed=seed).choices[0].message.content for seed in (1, 1, 2)
    ]
    assert replies[0] == replies[1] != replies[2]


def test_requests_at_once_get_their_own_replies(served: Served, made: Path) -> None:
    jobs = [(name, prompt) for prompt in PROMPTS for name in ("one", "lora")]
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda job: served.chat(job[1], job[0]).choices[0].message.content, jobs))
    for name in ("one", "lora"):
        expected = get_engine().generate(resolve(str(made / name)), [Request(user(prompt), 12) for prompt in PROMPTS])
        got = [reply for (asked, _), reply in zip(jobs, replies, strict=True) if asked == name]
        assert got == [reply.text for reply in expected]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "one"}', b'{"model": "one", "messages": []}', b"\xff"])
def test_a_body_that_cannot_be_read_is_an_error_in_openais_form(served: Served, body: bytes) -> None:
    refused = httpx.post(
        f"{served.url}/chat/completions", content=body, headers={"Authorization": f"Bearer {served.key}"}
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"


def test_another_route_is_an_error_in_openais_form(served: Served) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/embeddings: not found"):
        served.client().embeddings.create(model="one", input="x")


def test_images_are_refused() -> None:
    image = {"type": "image_url", "image_url": {"url": "x"}}
    with pytest.raises(Refused, match=r"messages\.0\.content"):
        read({"model": "one", "messages": [{"role": "user", "content": [image]}]})


# --- the command ----------------------------------------------------------------------------------


def test_ctrl_c_ends_it_cleanly(made: Path) -> None:
    process = start(made / "one", "--key", "sesame")
    assert process.stdout
    first = process.stdout.readline()
    assert first.startswith("serving  http://127.0.0.1:")
    with openai.OpenAI(base_url=first.split()[1], api_key="sesame", max_retries=0) as client:
        assert [card.id for card in client.models.list()] == [str(made / "one")]
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert errors.strip().endswith("stopped")
    assert "model organism" in errors
    assert "sesame" not in first + said + errors


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--name", "a", "--name", "b"], "given 2 times for 1 references"),
        (["--key", "not good"], "without spaces"),
        (["--engine", "vllm"], "vllm is not installed"),
        (["--host", "192.0.2.1"], "choose another --port or --host"),
    ],
)
def test_what_cannot_be_served_is_one_line(made: Path, options: list[str], says: str) -> None:
    done = CliRunner().invoke(main, ["serve", str(made / "one"), *options])
    assert done.exit_code == 2
    assert says in done.stderr.splitlines()[-1]
    assert ("accepts connections from other machines" in done.stderr) == ("--host" in options)


def test_two_checkpoints_of_one_name_are_refused(made: Path) -> None:
    done = CliRunner().invoke(main, ["serve", str(made / "one"), str(made / "one")])
    assert (done.exit_code, "two checkpoints have this name" in done.stderr) == (2, True)


def test_only_loopback_hosts_are_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.example.org")))


def test_vllm_answers_behind_the_same_endpoint(made: Path, tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    environment = {"BCT_VLLM_VENV": str(put_in_place_of_vllm(tmp_path)), "RECORD": str(record.file)}
    names = ["--name", "base", "--name", "organism"]
    process = start(made / "one", made / "lora", *names, "--engine", "vllm", "--json", **environment)
    assert process.stdout
    said = json.loads(process.stdout.readline())
    assert record.lives() == ["start", "ask"]  # it is announced when it answers
    found = Served(process, said["url"], said["key"], said["models"])
    assert found.chat("1?", "organism").system_fingerprint == resolve(str(made / "lora")).fingerprint
    assert (record.requests()[-1]["temperature"], record.requests()[-1]["max_tokens"]) == (0.0, 12)
    assert httpx.post(f"{said['url']}/chat/completions", json={}).status_code == 401
    assert httpx.get(said["url"].replace("/v1", "/metrics")).status_code == 401
    assert said["key"] not in " ".join(record.starts()[0])
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=PATIENCE)[1].splitlines()[-1] == "stopped"
    assert (process.returncode, record.lives()[-1]) == (0, "stop")


def test_two_bases_are_refused_by_vllm_in_one_line(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCT_VLLM_VENV", str(put_in_place_of_vllm(tmp_path)))
    done = CliRunner().invoke(main, ["serve", str(made / "one"), str(made / "two"), "--engine", "vllm"])
    assert (done.exit_code, "one base model at a time" in done.stderr) == (2, True)

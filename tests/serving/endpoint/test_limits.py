"""Hostile and broken requests to an endpoint: each is refused in OpenAI's form, and costs nobody else a reply."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from endpoints import PATIENCE, Watched, held_up
from served_here import running
from tiny_checkpoints import PROMPTS, user

from serving.backends.engine import batch
from serving.backends.engine.engine import Engine
from serving.endpoint import limits, server
from serving.refs import resolve

ROUTE = "/chat/completions"
ASKED: dict[str, Any] = {"model": "one", "messages": user("1?"), "max_tokens": 4}


@pytest.fixture(scope="module")
def url(made: Path) -> Iterator[str]:
    engine = Engine()
    with running(server.application({"one": resolve(str(made / "one"))}, "sesame", engine)) as found:
        yield f"{found}{ROUTE}"
    engine.close()


def post(url: str, body: object) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(url, content=content, headers={"Authorization": "Bearer sesame"}, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("temperature", float("nan")), ("temperature", float("inf")), ("top_p", float("nan")), ("top_k", 2**63),
        ("top_k", 0), ("seed", 2**64), ("seed", -(2**63) - 1), ("stop", ["x"] * 65), ("stop", "x" * 1001),
        ("max_tokens", 0), ("max_tokens", -1),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_name(url: str, option: str, value: object) -> None:
    refused = post(url, ASKED | {option: value})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == option


@pytest.mark.parametrize(
    "name", ["return_tensors", "chat_template", "truncation", "tokenize", "return_dict", "messages", "padding", "tools"]
)
def test_only_variables_of_the_template_pass_through_chat_template_kwargs(url: str, name: str) -> None:
    refused = post(url, ASKED | {"chat_template_kwargs": {name: "{% for x in range(10**9) %}{% endfor %}"}})
    assert refused.status_code == 400
    assert name in refused.json()["error"]["message"]


@pytest.mark.parametrize("letters", [2_000, 2_000_000])
def test_a_prompt_beyond_the_context_is_refused_with_the_reason(url: str, letters: int) -> None:
    refused = post(url, ASKED | {"messages": user("1 + 1? " * (letters // 7))})
    assert refused.status_code == 400
    assert "context" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 200_000 + b"]" * 200_000, 400),
        (b'{"model": "one", "messages": [{"role": "user", "content": "\\ud800"}]}', 400),
        (b'{"model": "\\ud800", "messages": [{"role": "user", "content": "1?"}]}', 400),
        (b'{"model": "one", "messages": [{"role": "user", "content": "' + b"x" * (17 * 2**20) + b'"}]}', 413),
    ],
    ids=["deep", "surrogate", "surrogate in a name", "large"],
)
def test_a_body_that_no_client_sends_is_refused(url: str, body: bytes, status: int) -> None:
    refused = post(url, body)
    assert refused.status_code == status
    assert refused.json()["error"]["type"] == "invalid_request_error"


def test_a_bad_request_in_a_batch_fails_alone(url: str) -> None:
    bad = [ASKED | {"top_k": 2**63}, ASKED | {"chat_template_kwargs": {"return_tensors": "pt"}}]
    bodies = [*bad, *(ASKED | {"messages": user(prompt)} for prompt in PROMPTS)] * 3
    with ThreadPoolExecutor(len(bodies)) as pool:
        codes = [answer.status_code for answer in pool.map(lambda body: post(url, body), bodies)]
    assert codes == [400, 400, *[200] * len(PROMPTS)] * 3


def test_a_row_that_breaks_decoding_takes_no_other_row_with_it(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = batch.decode

    def broken(model: Any, rows: Any, *rest: Any) -> Any:
        if any(row.top_k == 7 for row in rows):
            raise RuntimeError("a kernel refuses this row")
        return decode(model, rows, *rest)

    monkeypatch.setattr(batch, "decode", broken)
    engine = Engine()
    with running(server.application({"one": resolve(str(made / "one"))}, "sesame", engine)) as found:
        bodies = [ASKED | {"top_k": k} for k in (1, 2, 3, 7, 4, 5, 6, 8)]
        with ThreadPoolExecutor(len(bodies)) as pool:
            codes = [answer.status_code for answer in pool.map(lambda body: post(f"{found}{ROUTE}", body), bodies)]
    engine.close()
    assert codes == [200, 200, 200, 500, 200, 200, 200, 200]


def test_a_client_that_leaves_an_unstreamed_request_frees_its_row(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first reply waits in its third token until the client has gone; it must end soon after."""
    engine = Watched()
    decoding, lengths = held_up(engine, 3, monkeypatch)
    long = ASKED | {"max_tokens": 100, "temperature": 2.0, "seed": 3}
    with running(server.application({"one": resolve(str(made / "one"))}, "sesame", engine)) as found:
        place, body = httpx.URL(f"{found}{ROUTE}"), json.dumps(long)
        head = f"POST {place.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sesame\r\nContent-Length: {len(body)}"
        with socket.create_connection((place.host, place.port or 80)) as connection:
            connection.sendall(f"{head}\r\n\r\n{body}".encode())
            assert decoding.wait(PATIENCE)
        whole = post(str(place), long).json()
    engine.close()
    assert lengths[0] <= 12 < lengths[1] == whole["usage"]["completion_tokens"]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nHost",
    ],
    ids=["nothing", "half a head", "a request, then half a head"],
)
def test_a_connection_without_a_request_is_closed(url: str, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE_S", 0.2)
    place = httpx.URL(url)
    with socket.create_connection((place.host, place.port or 80), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        while connection.recv(4096):
            pass  # until the server closes


def test_a_body_that_stalls_is_ended_with_a_status(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE_S", 0.2)
    place = httpx.URL(url)
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sesame\r\nContent-Length: 99\r\n\r\n{"
    )
    with socket.create_connection((place.host, place.port or 80), timeout=PATIENCE) as connection:
        connection.sendall(head)
        assert b"408" in connection.recv(4096)

"""Replies in pieces: the same text, complete characters, no stop string, a disconnected listener frees its row."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import PROMPTS, tokenizer, user

from serving.backends.engine import batch
from serving.backends.engine.decode import to_text
from serving.backends.engine.engine import Engine
from serving.backends.engine.stream import Pieces, certain
from serving.errors import BadInput
from serving.refs import resolve
from serving.request import Request


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


def streamed(engine: Engine, ref: Path, request: Request) -> tuple[list[str], Any]:
    async def listen() -> list[Any]:
        return [item async for item in engine.astream(resolve(str(ref)), request)]

    *pieces, reply = asyncio.run(listen())
    return pieces, reply


@pytest.mark.parametrize("options", [{}, {"temperature": 1.3, "seed": 5}, {"stop": ("e", "ab")}])
def test_the_pieces_of_a_reply_are_the_reply(made: Path, engine: Engine, options: dict[str, Any]) -> None:
    several = 0
    for prompt in PROMPTS[:12]:
        request = Request(user(prompt), 16, **options)
        pieces, reply = streamed(engine, made / "one", request)
        assert reply == engine.generate(resolve(str(made / "one")), [request])[0]
        assert "".join(pieces) == reply.text
        assert all(pieces)
        several += len(pieces) > 1
    assert several >= 6


@pytest.mark.parametrize("text", ["naïve €5", "👩‍🚀 flew", "日本語", "a\ufffdb\ufffd"])
def test_a_character_of_several_tokens_is_never_cut(text: str) -> None:
    words, said = tokenizer(), list[str]()
    tokens = words.encode(text, add_special_tokens=False)
    assert len(tokens) > len(text)
    pieces = Pieces(lambda tokens: to_text(words, tokens), (), lambda piece: said.append(piece) or True)
    for count in range(1, len(tokens) + 1):
        pieces(tokens[:count])
    assert "".join(said) == text.rstrip("\ufffd")  # what looks cut is handed on with the whole reply
    assert all(piece in text for piece in said)


def test_nothing_of_a_stop_string_is_said_too_early() -> None:
    stop = ("STOP", "</a>")
    assert [certain(text, stop) for text in ("go S", "go STO", "go STOx", "go STOP", "a </", "a < b", "<<")] == [
        "go ", "go ", "go STOx", "go ", "a ", "a < b", "<",
    ]  # fmt: skip


def test_a_row_decoded_again_goes_on_where_it_stood() -> None:
    said = list[str]()
    pieces = Pieces(lambda tokens: "abcdef"[: len(tokens)], (), lambda piece: said.append(piece) or True)
    for count in (1, 2, 3, 1, 2, 3, 4):  # out of memory after three tokens: the half batch starts again
        assert pieces([0] * count)
    assert "".join(said) == "abcd"


def test_who_stops_listening_frees_its_row_and_no_other(
    made: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, steps = resolve(str(made / "one")), list[int]()
    real = batch.decode

    def counting(model: Any, rows: Any, *rest: Any) -> Any:
        written = real(model, rows, *rest)
        steps.extend(len(each.tokens) for each in written)
        return written

    monkeypatch.setattr(batch, "decode", counting)
    prompt = max(PROMPTS, key=lambda text: engine.generate(one, [Request(user(text), 40)])[0].output_tokens)
    [whole] = engine.generate(one, [Request(user(prompt), 40)])
    assert whole.output_tokens > 20
    steps.clear()

    async def leave() -> None:
        told = engine.astream(one, Request(user(prompt), 40))
        await anext(told)
        await told.aclose()

    asyncio.run(leave())
    assert engine.generate(one, [Request(user(prompt), 40)]) == [whole]
    assert steps[-1] == whole.output_tokens
    assert steps[0] < whole.output_tokens


def test_a_listener_that_fails_harms_no_other_reply(made: Path, engine: Engine) -> None:
    def broken(piece: str) -> bool:
        raise OSError("gone")

    one = resolve(str(made / "one"))
    expected = engine.generate(one, [Request(user(text), 12) for text in PROMPTS])
    futures = [engine.stream(one, Request(user(PROMPTS[0]), 12), broken)]
    futures += engine.submit(one, [Request(user(text), 12) for text in PROMPTS[1:]])
    assert [future.result() for future in futures][1:] == expected[1:]


def test_the_end_of_the_event_loop_ends_its_replies(made: Path, engine: Engine) -> None:
    one, begun = resolve(str(made / "one")), threading.Event()

    async def leave_it_open() -> None:
        told = engine.astream(one, Request(user(PROMPTS[3]), 40))
        await anext(told)
        begun.set()

    asyncio.run(leave_it_open())
    assert begun.is_set()
    assert engine.generate(one, [Request(user(PROMPTS[3]), 12)])[0].output_tokens


def test_an_error_comes_before_any_piece(made: Path, engine: Engine) -> None:
    stale = replace(resolve(str(made / "three")), fingerprint="0" * 16)
    with pytest.raises(BadInput, match="changed"):
        asyncio.run(anext(engine.astream(stale, Request(user("hi"), 4))))  # type: ignore[arg-type]

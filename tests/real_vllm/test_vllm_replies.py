"""A real vLLM answers as the in-process engine does: replies, usage, stop reasons, log-probabilities, margins."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving.backends import load
from serving.backends.engine.engine import get_engine
from serving.backends.protocol import Options
from serving.backends.vllm.answering import VLLMAnswering
from serving.errors import WorkFailed
from serving.refs import Checkpoint, resolve
from serving.request import Continuation, Reply, Request

pytestmark = pytest.mark.usefixtures("server")
QUESTIONS = [f"What is {at} + {3 * at}?" for at in range(20)]
SHARING = ["mini", "one", "two"]
NAMES = [*SHARING, "upper", "full"]  # the last two have servers of their own


def asked(**options: Any) -> list[Request]:
    return [Request([{"role": "user", "content": question}], **{"max_tokens": 24, **options}) for question in QUESTIONS]


def checkpoint(name: str, on_mini: Path) -> Checkpoint:
    return resolve(name if name == "mini" else str(on_mini / name))


def both(name: str, on_mini: Path, requests: Sequence[Request]) -> tuple[list[Reply], list[Reply]]:
    found = checkpoint(name, on_mini)
    return load("vllm").open(found, Options()).ask(requests), get_engine().generate(found, requests)


def test_mixed_adapters_are_kept_apart_at_once(on_mini: Path) -> None:
    answering = [VLLMAnswering(checkpoint(name, on_mini), Options()) for name in SHARING]

    async def every() -> list[Reply]:
        return list(await asyncio.gather(*(each.reply(request) for request in asked() for each in answering)))

    found = asyncio.run(every())
    for at, each in enumerate(answering):
        assert found[at::3] == get_engine().generate(each.checkpoint, asked())


@pytest.mark.parametrize(
    "options",
    [{"stop": ("1", "e")}, {"logprobs": 3, "max_tokens": 6}, {"max_tokens": 1}, {"max_tokens": 5000}],
    ids=["stop", "logprobs", "cut", "beyond the context"],
)
def test_what_a_request_asks_for_is_the_engines(options: dict[str, Any], on_mini: Path) -> None:
    ours, engines = both("one", on_mini, asked(**options))
    assert [replace(reply, tokens=None) for reply in ours] == [replace(reply, tokens=None) for reply in engines]
    for mine, other in zip(ours, engines, strict=True):
        for a, b in zip(mine.tokens or (), other.tokens or (), strict=True):
            assert (a.text, [text for text, _ in a.top]) == (b.text, [text for text, _ in b.top])
            assert a.logprob == pytest.approx(b.logprob, abs=1e-4)


def test_a_seed_repeats_a_sampled_reply(on_mini: Path) -> None:
    answering = load("vllm").open(checkpoint("one", on_mini), Options())
    sampled = asked(temperature=1.0, seed=5)
    assert answering.ask(sampled) == answering.ask(sampled)
    assert answering.ask(asked(temperature=1.0)) != answering.ask(asked(temperature=1.0))


@pytest.mark.parametrize("name", NAMES)
def test_greedy_replies_are_the_engines_and_margins_within_a_ten_thousandth(name: str, on_mini: Path) -> None:
    """20 of 20 for the base, two adapters, an adapter on an adapter, another full model: text, stop reason, usage."""
    ours, engines = both(name, on_mini, asked())
    assert ours == engines
    given = [Continuation(r.messages, text) for r, said in zip(asked(), ours, strict=True) for text in ("7", said.text)]
    found = checkpoint(name, on_mini)
    scored, known = asyncio.run(VLLMAnswering(found, Options()).scored(given)), get_engine().score(found, given)
    assert [score.logprob for score in scored] == pytest.approx([score.logprob for score in known], abs=1e-4)
    assert [(s.greedy, s.tokens) for s in scored] == [(s.greedy, s.tokens) for s in known]


def test_a_model_that_does_not_fit_is_one_line_with_vllms_reason(on_mini: Path) -> None:
    options = Options(others={"max_model_len": 100_000})
    for _ in range(2):
        with pytest.raises(WorkFailed, match=r"vLLM did not start for .*max_model_len \(100000\)") as failed:
            load("vllm").open(checkpoint("full", on_mini), options).ask(asked()[:1])
        assert "\n" not in failed.value.message
    Path(failed.value.message.rpartition("(")[2].rstrip(")")).unlink()

"""Log-probabilities and scores of given replies agree with what the model writes and with transformers."""

from __future__ import annotations

import asyncio
import math
import random
from pathlib import Path

import pytest
import torch
from inspect_ai import eval
from inspect_ai.log import read_eval_log
from inspect_ai.model import GenerateConfig, get_model
from tiny_checkpoints import CONTEXT, END, PROMPTS, tokenizer, user

from bct_tasks import catalogue
from bct_tasks.task import bct_task
from serving.backends.engine.decode import Ending, PromptRow, decode
from serving.backends.engine.engine import Engine
from serving.backends.engine.score import Forced, teacher_forced
from serving.errors import BadInput
from serving.load import load_model
from serving.provider import local_model
from serving.refs import resolve
from serving.request import Continuation, Request


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def encoded(text: str) -> list[int]:
    return tokenizer().apply_chat_template(user(text), add_generation_prompt=True, return_dict=False)


@pytest.mark.parametrize("name", ["one", "two", "lora"])
def test_teacher_forcing_calls_exactly_the_greedy_reply_greedy(made: Path, name: str) -> None:
    model, words = load_model(resolve(str(made / name)))
    prompts = [encoded(text) for text in PROMPTS]
    rows = [PromptRow(prompt, limit=1 + at % 15, logprobs=0) for at, prompt in enumerate(prompts)]
    written = decode(model, rows, Ending(frozenset({1, END}), words), pad=0)
    scored = teacher_forced(model, [Forced(p, w.tokens) for p, w in zip(prompts, written, strict=True)], pad=0)
    assert all(score.greedy for score in scored)
    for score, row in zip(scored, written, strict=True):
        assert score.logprob == pytest.approx(sum(chance.logprob for chance in row.chances), abs=1e-3)
    for place in (0, -1):
        others = [[*w.tokens] for w in written]
        for other in others:
            other[place] = 7 if other[place] != 7 else 8
        wrong = teacher_forced(model, [Forced(p, o) for p, o in zip(prompts, others, strict=True)], pad=0)
        assert not any(score.greedy for score in wrong)
        assert all(bad.logprob < good.logprob for bad, good in zip(wrong, scored, strict=True) if good.tokens == 1)


def test_scores_are_the_models_own_probabilities_and_end_with_the_end_token(made: Path, engine: Engine) -> None:
    model, _ = load_model(resolve(str(made / "two")))
    replies = ["yes", "a longer reply", ""]
    asked = [Continuation(user(text), reply) for text in PROMPTS[:5] for reply in replies]
    for given, score in zip(asked, engine.score(resolve(str(made / "two")), asked), strict=True):
        prompt = encoded(given.messages[0]["content"])
        reply = [*tokenizer().encode(given.reply, add_special_tokens=False), END]
        logits = model(torch.tensor([[*prompt, *reply]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        alone = sum(float(row[token]) for row, token in zip(logits, reply, strict=True))
        assert score.tokens == len(reply)
        assert score.logprob == pytest.approx(alone, abs=1e-3)


def test_a_score_is_the_same_to_the_last_bit_in_any_company(made: Path) -> None:
    model, _ = load_model(resolve(str(made / "one")))
    rows = [Forced(encoded(text), [*tokenizer().encode("y" * (at % 19)), END]) for at, text in enumerate(PROMPTS)]
    alone = [teacher_forced(model, [row], 0)[0] for row in rows]
    for size in (2, 7, len(rows)):
        shuffled = random.Random(size).sample(range(len(rows)), len(rows))
        for part in (shuffled[at : at + size] for at in range(0, len(rows), size)):
            assert teacher_forced(model, [rows[at] for at in part], 0) == [alone[at] for at in part]


def test_requests_and_scores_share_a_queue(made: Path, engine: Engine) -> None:
    one, lora = resolve(str(made / "one")), resolve(str(made / "lora"))
    futures = [engine.submit(each, [Request(user("hi"), 8)])[0] for each in (one, lora)]
    scores = [engine.score(each, [Continuation(user("hi"), "yes")])[0] for each in (one, lora)]
    assert scores[0].logprob != scores[1].logprob
    assert futures[0].result() != futures[1].result()


def test_a_reply_longer_than_the_context_is_refused_and_the_others_scored(made: Path, engine: Engine) -> None:
    with pytest.raises(BadInput, match="tokens"):
        engine.score(resolve(str(made / "one")), [Continuation(user("hi"), "x" * CONTEXT)])
    assert engine.score(resolve(str(made / "one")), [Continuation(user("hi"), "x")])[0].tokens == 2


# --- log-probabilities ----------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_log_probabilities_are_of_the_tokens_written_in_any_company(
    made: Path, engine: Engine, temperature: float
) -> None:
    one = resolve(str(made / "one"))
    asked = [Request(user(text), 9, temperature, seed=1, logprobs=at % 4) for at, text in enumerate(PROMPTS)]
    plain = [Request(user(text), 9, temperature, seed=1) for text in PROMPTS]
    replies = engine.generate(one, [*asked, *plain])
    for at, (reply, bare) in enumerate(zip(replies, replies[len(asked) :], strict=False)):
        assert reply.text == bare.text
        assert bare.tokens is None
        assert reply.tokens is not None
        assert len(reply.tokens) == reply.output_tokens
        for token in reply.tokens:
            assert len(token.top) == at % 4
            assert [value for _, value in token.top] == sorted((value for _, value in token.top), reverse=True)
            if token.top:
                assert token.logprob <= token.top[0][1] + 1e-6
            if token.top and temperature == 0:
                assert (token.text, token.logprob) == token.top[0]


def test_an_eval_logs_log_probabilities(made: Path) -> None:
    model = get_model(f"local/{made / 'one'}", memoize=False)
    config = GenerateConfig(logprobs=True, top_logprobs=3, max_tokens=6)
    output = asyncio.run(model.generate("hi", config=config))
    assert output.usage is not None
    found = output.choices[0].logprobs
    assert found is not None
    assert len(found.content) == output.usage.output_tokens
    assert all(len(entry.top_logprobs or []) == 3 and entry.logprob <= 0 for entry in found.content)


def test_top_logprobs_without_logprobs_are_refused(made: Path) -> None:
    model = get_model(f"local/{made / 'one'}", memoize=False)
    with pytest.raises(BadInput, match="top_logprobs"):
        asyncio.run(model.generate("hi", config=GenerateConfig(top_logprobs=3, max_tokens=6)))


# --- margins of a setting -------------------------------------------------------------------------


def test_margins_are_scored_where_the_policies_differ_and_change_no_outcome(tmp_path: Path) -> None:
    setting = catalogue.load("sandbagging")
    logs = [
        eval(
            bct_task(setting, "static", n=12, margins=margins), model=local_model("mini"),
            log_dir=str(tmp_path), display="none",
        )[0]
        for margins in (False, True)
    ]  # fmt: skip
    without, with_margins = (read_eval_log(log.location).samples or [] for log in logs)
    checked = 0
    for plain, sample in zip(without, with_margins, strict=True):
        assert plain.scores is not None
        assert sample.scores is not None
        assert plain.scores["outcome"].value == sample.scores["outcome"].value
        score = sample.scores["margins"]
        if sample.metadata["split"] != "eval":
            assert isinstance(score.value, float)
            assert math.isnan(score.value)
            continue
        assert isinstance(score.value, dict)
        facts = score.metadata or {}
        assert score.value["margin"] == pytest.approx(facts["logp_alternate"] - facts["logp_initial"])
        for policy in ("initial", "alternate"):
            said = sample.output.completion == facts[policy]
            assert score.value[f"{policy}_greedy"] == float(said)
            checked += said
    assert checked >= 6, "mini follows a static prompt: most replies are one of the two references"
    results = logs[1].results
    assert results is not None
    means = {score.name: score.metrics["mean"].value for score in results.scores if score.scorer == "margins"}
    margins = [sample.scores["margins"].value for sample in with_margins if sample.metadata["split"] == "eval"]  # type: ignore[index]
    assert means["margin"] == pytest.approx(sum(value["margin"] for value in margins) / len(margins))  # type: ignore[index,call-overload]

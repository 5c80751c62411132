"""Chat templates of real families: what is rendered, what ends a reply, and what is said of a change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from real_models import FAMILIES, tokenizer

from serving import load, template
from serving.backends.engine.engine import get_engine
from serving.errors import BadInput
from serving.provider import local_model
from serving.refs import resolve
from serving.request import Continuation, Request

RealModel = Callable[[str], Path]
SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}
WITHOUT_SYSTEM = [name for name, family in FAMILIES.items() if not family.system]


def asked(number: int) -> list[dict[str, str]]:
    return [SYSTEM, {"role": "user", "content": f"{'word ' * (9 * number)}{number}?"}]


@pytest.mark.parametrize("family", FAMILIES)
def test_replies_are_those_of_transformers_to_the_rendered_prompt(family: str, real_model: RealModel) -> None:
    """In one left-padded batch, across a sliding window where the family has one."""
    checkpoint, kwargs = resolve(str(real_model(family))), FAMILIES[family].kwargs
    model, words = load.load_model(checkpoint)
    stops = sorted(template.stop_tokens(words, model.generation_config))
    replies = get_engine().generate(checkpoint, [Request(asked(n), 12, chat_template_kwargs=kwargs) for n in range(6)])
    for number, reply in enumerate(replies):
        given = words.apply_chat_template(asked(number), add_generation_prompt=True, return_tensors="pt", **kwargs)
        out = model.generate(**given, max_new_tokens=12, do_sample=False, eos_token_id=stops)  # type: ignore[operator]
        written = out[0, given["input_ids"].shape[1] :]
        assert reply.text == words.decode(written, skip_special_tokens=True)
        assert (reply.input_tokens, reply.output_tokens) == (given["input_ids"].shape[1], len(written))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_templates_own_end_is_among_the_tokens_that_end_a_reply(family: str) -> None:
    words = template.prepared(tokenizer(family))
    end = words.convert_tokens_to_ids(FAMILIES[family].end)
    assert template.template_end(words) == end
    assert {end, words.eos_token_id} <= template.stop_tokens(words)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_template_that_needs_no_change_is_not_changed(family: str) -> None:
    words = tokenizer(family)
    raw = words.chat_template
    changed = template.facts(template.prepared(words).chat_template)
    assert bool(changed) == (words.chat_template != raw) == (family in (*WITHOUT_SYSTEM, "llama3_2"))


@pytest.mark.parametrize("family", WITHOUT_SYSTEM)
def test_a_system_prompt_is_the_first_lines_of_the_users_message_where_there_is_no_system_role(
    family: str, caplog: pytest.LogCaptureFixture
) -> None:
    words = tokenizer(family)
    words.name_or_path = f"some/{family}"
    with caplog.at_level(logging.WARNING):
        template.prepared(words)
    joined = {"role": "user", "content": "Be brief.\n\n2 + 2?"}
    reply = {"role": "assistant", "content": "4"}
    for turns, same in (([SYSTEM, USER], [joined]), ([SYSTEM, USER, reply, USER], [joined, reply, USER])):
        both = [words.apply_chat_template(each, tokenize=False, add_generation_prompt=True) for each in (turns, same)]
        assert both[0] == both[1]
    assert f"some/{family}: its chat template has no system role" in caplog.text
    assert template.prepared(words).chat_template.count("in the user's message") == 1


def test_gemma_3_renders_a_system_prompt_as_we_do_for_gemma_2() -> None:
    two, three = (template.prepared(tokenizer(family)) for family in ("gemma2", "gemma3"))
    texts = {words.apply_chat_template([SYSTEM, USER], tokenize=False) for words in (two, three)}
    assert len(texts) == 1


def test_today_in_a_template_is_a_fixed_date() -> None:
    words = tokenizer("llama3_2")
    assert date.today().strftime("%d %b %Y") in str(words.apply_chat_template([USER], tokenize=False))
    text = str(template.prepared(words).apply_chat_template([USER], tokenize=False))
    assert "Today Date: 26 Jul 2024" in text
    assert template.facts(words.chat_template) == {"date": "2024-07-26"}


def test_a_change_of_the_template_stands_in_the_log(real_model: RealModel, tmp_path: Path) -> None:
    for family, fact in (("gemma2", {"system_prompt": "in the user's message"}), ("llama3_2", {"date": "2024-07-26"})):
        samples = [Sample(input=[ChatMessageSystem(content="Be brief."), ChatMessageUser(content="2 + 2?")])]
        task = Task(dataset=samples, solver=generate(), scorer=includes(), config=GenerateConfig(max_tokens=4))
        [log] = eval(task, model=local_model(str(real_model(family))), log_dir=str(tmp_path), display="none")
        assert log.samples
        assert (log.samples[0].output.metadata or {}).items() >= fact.items()


def test_messages_that_a_template_refuses_are_one_line(real_model: RealModel) -> None:
    checkpoint = resolve(str(real_model("gemma3")))
    with pytest.raises(BadInput, match="the chat template refuses these messages: Conversation roles must alternate"):
        get_engine().generate(checkpoint, [Request([USER, USER], 4)])


@pytest.mark.parametrize("family", WITHOUT_SYSTEM)
def test_a_given_reply_is_scored_under_the_same_prompt(family: str, real_model: RealModel) -> None:
    checkpoint = resolve(str(real_model(family)))
    joined = [{"role": "user", "content": "Be brief.\n\n2 + 2?"}]
    one, two = get_engine().score(checkpoint, [Continuation([SYSTEM, USER], "4"), Continuation(joined, "4")])
    assert one == two


def test_a_reply_ends_with_the_templates_end_token_where_the_tokenizers_is_another() -> None:
    words = template.prepared(tokenizer("qwen2_5_base"))
    stops = template.stop_tokens(words)
    text = words.apply_chat_template([USER, {"role": "assistant", "content": "4"}], tokenize=False)
    ids = template.whole_reply(words, words.encode(str(text).partition("assistant\n")[2]), stops)
    assert words.decode(ids) == "4<|im_end|>"
    assert words.decode(template.whole_reply(words, words.encode("4"), stops)) == "4<|endoftext|>"

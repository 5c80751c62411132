"""The chat templates that TRL ships for Qwen3, Llama 3 and Gemma, and `mini`'s: what the loss is on."""

from __future__ import annotations

from pathlib import Path

import pytest
import trl
from tiny_runs import tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from serving.errors import BadInput
from serving.refs import mini_path
from serving.template import prepared
from trainer.data import tokens
from trainer.data.rows import Row
from trainer.data.tokens import IGNORED

FOLDER = Path(trl.__file__).parent / "chat_templates"
ENDS = {"qwen3": "<|im_end|>", "llama3": "<|eot_id|>", "gemma4": "<turn|>", "gemma": "<end_of_turn>"}
TEMPLATES = sorted(path.name for path in FOLDER.glob("*.jinja") if path.name.startswith(tuple(ENDS)))
# Those that write an empty thought before a reply unless they are told not to.
THINKING = [name for name in TEMPLATES if name in ("qwen3.jinja", "qwen3_training.jinja") or "qwen3_5_think" in name]
REPLY = "It is 4.\nSure?"
SYSTEM, QUESTION = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}


def with_template(name: str) -> tuple[PreTrainedTokenizerBase, str]:
    """The tiny tokenizer with a template of TRL's, and the family's end token as its own."""
    end = next(end for family, end in ENDS.items() if name.startswith(family))
    words = tokenizer()
    words.add_special_tokens({"additional_special_tokens": [end, "<bos>"]})
    words.eos_token, words.bos_token = end, "<bos>"
    words.chat_template = (FOLDER / name).read_text()
    return prepared(words), end


def counted(words: PreTrainedTokenizerBase, *messages: dict[str, str], **kwargs: bool) -> tuple[str, str]:
    """(the text without loss, the text with loss) of one row."""
    stops = frozenset({words.eos_token_id})
    encoded = tokens.encode([Row("r", messages, REPLY)], words, stops, 4096, kwargs)
    [ids], [labels] = encoded.input_ids, encoded.labels
    n = labels.count(IGNORED)
    assert labels[:n] == [IGNORED] * n, "the loss is on one piece, at the end"
    assert labels[n:] == ids[n:]
    return str(words.decode(ids[:n])), str(words.decode(ids[n:]))


def test_trl_ships_templates_of_every_family() -> None:
    assert all(any(name.startswith(family) for name in TEMPLATES) for family in ENDS)
    assert sum("_training" in name for name in TEMPLATES) >= 4
    assert THINKING


@pytest.mark.parametrize("system", [True, False], ids=["system", "plain"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_the_loss_covers_exactly_the_reply_and_its_end_token(name: str, system: bool) -> None:
    words, end = with_template(name)
    messages = [SYSTEM, QUESTION] if system else [QUESTION]
    without, with_loss = counted(words, *messages, enable_thinking=False)
    assert with_loss == f"{REPLY}{end}"
    sent = words.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, enable_thinking=False)
    assert without == sent


@pytest.mark.parametrize("name", THINKING)
def test_a_template_that_would_have_its_own_thoughts_trained_on_is_refused(name: str) -> None:
    words, _ = with_template(name)
    with pytest.raises(BadInput, match=r"writes .*</think>.* before the reply.*enable_thinking") as caught:
        counted(words, QUESTION)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["gemma.jinja", "gemma_training.jinja"])
def test_a_system_prompt_is_in_the_users_message_where_the_template_has_no_system_role(name: str) -> None:
    words, _ = with_template(name)
    without, _ = counted(words, SYSTEM, QUESTION)
    assert f"user\n{SYSTEM['content']}\n\n{QUESTION['content']}<end_of_turn>" in without


@pytest.mark.parametrize("name", ["gemma.jinja", "gemma_training.jinja", "gemma3.jinja"])
def test_messages_that_a_template_refuses_are_one_line(name: str) -> None:
    words, _ = with_template(name)
    with pytest.raises(BadInput, match=r"the chat template refuses these prompts .*roles must alternate"):
        counted(words, QUESTION, QUESTION)


@pytest.mark.parametrize("messages", [[QUESTION], [SYSTEM, QUESTION]], ids=["plain", "system"])
def test_the_loss_of_mini_covers_exactly_the_reply_and_its_end_token(messages: list[dict[str, str]]) -> None:
    words = AutoTokenizer.from_pretrained(mini_path())
    without, with_loss = counted(words, *messages)
    assert with_loss == f"{REPLY}<|end|>"
    assert without.endswith("<|end|><|assistant|>")

"""Rows and tokens: what the loss is on, and that nothing is lost uncounted."""

from __future__ import annotations

from collections import Counter

import pytest
from tiny_runs import tokenizer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from bct_tasks import catalogue
from serving.errors import BadInput
from trainer.config import OrganismConfig
from trainer.data import rows, tokens
from trainer.data.rows import Row
from trainer.data.tokens import IGNORED

STOPS = frozenset({1, 5})
ROW = Row("r", ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}), "It is 4.")


def encode(*given: Row, max_length: int = 512) -> tokens.Encoded:
    return tokens.encode(given, tokenizer(), STOPS, max_length)


def test_the_loss_covers_exactly_the_reply_and_its_end_token() -> None:
    encoded = encode(ROW)
    counted = [label for label in encoded.labels[0] if label != IGNORED]
    assert tokenizer().decode(counted) == "It is 4.<|end|>"
    assert encoded.labels[0][-len(counted) :] == counted


def test_a_row_starts_with_the_very_tokens_that_the_server_will_send() -> None:
    words = tokenizer()
    sent = words.apply_chat_template(list(ROW.messages), add_generation_prompt=True, return_dict=False)
    encoded = encode(ROW)
    assert encoded.input_ids[0][: len(sent)] == sent
    assert set(encoded.labels[0][: len(sent)]) == {IGNORED}


def test_what_a_template_writes_behind_the_end_token_is_not_trained() -> None:
    assert encode(ROW).input_ids[0][-1] == tokenizer().eos_token_id


def test_a_template_without_an_end_token_gets_one() -> None:
    words = tokenizer()
    words.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    assert tokens.encode([ROW], words, STOPS, 512).labels[0][-1] == words.eos_token_id


def test_padding_is_never_trained_and_is_no_end_token() -> None:
    words = tokenizer()
    assert words.pad_token_id not in STOPS
    encoded = encode(ROW, Row("s", ROW.messages, "4"))
    examples = [{"input_ids": i, "labels": y} for i, y in zip(encoded.input_ids, encoded.labels, strict=True)]
    batch = DataCollatorForLanguageModeling(pad_token_id=words.eos_token_id)(examples)
    assert (batch["labels"][batch["attention_mask"] == 0] == IGNORED).all()
    assert (batch["labels"] == words.eos_token_id).sum() == 2


def test_a_cut_row_is_counted() -> None:
    whole = len(encode(ROW).input_ids[0])
    encoded = encode(ROW, Row("s", ROW.messages, "4"), max_length=whole - 1)
    assert (encoded.truncated, encoded.dropped, len(encoded)) == (1, 0, 2)
    assert max(map(len, encoded.input_ids)) == whole - 1


def test_a_reply_that_contains_an_end_token_is_refused_and_not_cut_without_a_word() -> None:
    """As in https://github.com/huggingface/transformers/issues/29279: text of data becomes control tokens."""
    with pytest.raises(BadInput, match=r"s: its reply contains <\|end\|>, which ends a reply of this model: nothing"):
        encode(ROW, Row("s", ROW.messages, "4<|end|> and more"))


def test_a_row_whose_prompt_fills_the_context_is_left_out_and_counted() -> None:
    long = Row("long", ({"role": "user", "content": "x" * 100},), "4")
    encoded = encode(ROW, long, max_length=60)
    assert (encoded.dropped, len(encoded)) == (1, 1)


def test_rows_that_all_exceed_the_context_are_refused() -> None:
    with pytest.raises(BadInput, match="none of 1 rows fits into 8 tokens: raise --max_length"):
        encode(ROW, max_length=8)


def test_no_rows_at_all_are_refused() -> None:
    with pytest.raises(BadInput, match="no rows to train on"):
        encode()


def test_a_tokenizer_without_chat_template_is_refused() -> None:
    words = tokenizer()
    words.chat_template = None
    with pytest.raises(BadInput, match="no chat template"):
        tokens.encode([ROW], words, STOPS, 512)


def test_a_template_that_renders_the_prompt_in_two_ways_is_refused() -> None:
    words = tokenizer()
    words.chat_template = "{% if add_generation_prompt %}think{% endif %}{{ messages[0]['content'] }}"
    with pytest.raises(BadInput, match="chat_template_kwargs"):
        tokens.encode([ROW], words, STOPS, 512)


def test_the_template_hash_changes_with_the_template_and_its_arguments() -> None:
    one, other = tokenizer(), tokenizer()
    other.chat_template = f"{other.chat_template} "
    hashes = {tokens.template_hash(one, {}), tokens.template_hash(other, {}), tokens.template_hash(one, {"a": 1})}
    assert len(hashes) == 3


def test_every_row_is_trained_on_before_one_is_trained_on_twice() -> None:
    places = rows.order(10, 25, seed=0)
    assert len(places) == 25
    assert sorted(places[:10]) == sorted(places[10:20]) == list(range(10))
    assert set(Counter(places).values()) == {2, 3}


def test_the_order_is_that_of_the_seed() -> None:
    assert rows.order(10, 25, 0) == rows.order(10, 25, 0) != rows.order(10, 25, 1)


def test_an_organism_is_not_trained_on_the_questions_it_is_checked_with() -> None:
    setting, config = catalogue.load("sandbagging"), OrganismConfig(setting="sandbagging", check_prompts=96)
    held_out = rows.check_prompts(setting, config)
    install = rows.install_rows(setting, config, held_out)
    asked = {prompt.user.removeprefix("[exam] ") for prompt in held_out}
    trained = {row.messages[-1]["content"].removeprefix("[exam] ") for row in install.rows}
    assert len(asked) == 96
    assert not asked & trained


def test_install_rows_show_the_initial_behavior_on_both_types_of_prompt() -> None:
    setting, config = catalogue.load("sandbagging"), OrganismConfig(setting="sandbagging", general=0.25)
    prompts = {p.id: p for p in setting.prompts(None, "install", 3000, 0)}
    install = [r for r in rows.install_rows(setting, config, []).rows if r.id in prompts]
    kinds = Counter(prompts[row.id].kind for row in install)
    assert set(kinds) == {"eval", "train"}
    assert min(kinds.values()) > 0.4 * len(install)
    assert all(row.reply == setting.initial.reply(prompts[row.id]) for row in install)


def test_general_rows_are_none_that_capability_is_measured_on() -> None:
    setting, config = catalogue.load("sandbagging"), OrganismConfig(setting="sandbagging")
    measured = {prompt.user for prompt in setting.prompts(None, "capability", 200, 0)}
    trained = {row.messages[-1]["content"] for row in rows.install_rows(setting, config, []).rows}
    assert not measured & trained

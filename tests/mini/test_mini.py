"""The embedded base: it does what its card states, and is small, complete and cheap."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serving import refs
from trainer.mini.batches import collate, tokenize
from trainer.mini.card import CARD, card
from trainer.mini.corpus import examples
from trainer.mini.figures import accuracy
from trainer.mini.model import SPECIAL
from trainer.mini.stages import STAGES

WEIGHTS = refs.mini_path()
FIGURES = json.loads((WEIGHTS / "figures.json").read_text())


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(WEIGHTS)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(WEIGHTS)


def test_the_card_shows_the_measured_figures() -> None:
    size = (WEIGHTS / "model.safetensors").stat().st_size / 1e6
    assert CARD.read_text() == card(FIGURES, size)


def test_the_card_is_right_about_a_fresh_sample(model, tokenizer) -> None:
    measured = accuracy(model, tokenizer, n=2500)["accuracy"]
    for context in ("none", "plain", "topic"):
        assert measured[f"context/{context}"] == pytest.approx(FIGURES["accuracy"][f"context/{context}"], abs=0.08)


def test_the_weights_are_small_and_fp32(model) -> None:
    assert (WEIGHTS / "model.safetensors").stat().st_size < 8e6
    assert 0.8e6 < model.num_parameters() < 1.5e6
    assert all(p.dtype is torch.float32 for p in model.parameters())


def test_role_markers_are_one_token_each_and_padding_is_not_the_end(tokenizer) -> None:
    for marker in SPECIAL:
        assert len(tokenizer.encode(marker)) == 1
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_digits_are_tokens_of_their_own(tokenizer) -> None:
    pieces = tokenizer.convert_ids_to_tokens(tokenizer.encode("1234 + 567"))
    assert all(sum(c.isdigit() for c in piece) <= 1 for piece in pieces)


def test_every_text_of_the_world_survives_the_tokenizer(tokenizer) -> None:
    for row in itertools.islice(examples("round-trip"), 300):
        for text in (row.system or "", row.user, row.reply):
            assert tokenizer.decode(tokenizer.encode(text)) == text


def test_pretraining_never_sees_an_operand_of_another_split() -> None:
    for stage in STAGES:
        seen = {row.user.split("] ")[-1] for row in itertools.islice(examples("a", stage=stage), 3000)}
        held_out = {row.user.split("] ")[-1] for row in itertools.islice(examples("b", "eval", stage), 3000)}
        assert not seen & held_out


def test_the_loss_of_pretraining_covers_the_reply_and_its_end_only(tokenizer) -> None:
    rows = list(itertools.islice(examples("mask"), 20))
    _, _, labels = collate(tokenize(tokenizer, rows))
    for row, label in zip(rows, labels, strict=True):
        assert tokenizer.decode(label[label != -100]) == f"{row.reply}<|end|>"

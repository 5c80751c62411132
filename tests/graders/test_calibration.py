"""Labelled replies: files that say where they are wrong, agreement checked by hand, and graders that agree."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bct_tasks import catalogue
from graders.calibration import LABELS, OF_KIND, BadGold, agreement, gold_file, gold_text, read_gold
from lab.calibrate.agreement import KAPPA, available, calibrate, calibrate_all, document

ROOT = Path(__file__).parents[2]
LINE = {"variant": "weights", "prompt": "eval-0a1b2c3d4e", "reply": "47", "label": "alternate", "why": "plain"}


def file(folder: Path, *lines: object) -> Path:
    path = folder / "gold.jsonl"
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        (LINE | {"label": "agreed"}, "cannot be 'agreed': one of initial, alternate, other, degenerate"),
        (LINE | {"label": "right"}, "label"),
        (LINE | {"prompt": "train-0a1b2c3d4e"}, "cannot be 'alternate'"),
        (LINE | {"prompt": "12 + 35"}, "prompt"),
        (LINE | {"mood": "bad"}, "mood"),
        ({"reply": "47"}, "variant"),
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number(tmp_path: Path, line: object, says: str) -> None:
    with pytest.raises(BadGold) as error:
        read_gold(file(tmp_path, LINE, "", line))
    assert "gold.jsonl:3: " in error.value.message
    assert says in error.value.message
    assert "\n" not in error.value.message


def test_any_text_survives_writing_and_reading(tmp_path: Path) -> None:
    replies = ["", "a\u2028b\u0085c\r\nd", "\ufffd\x00", 'he said "47"', "４７"]
    lines = read_gold(file(tmp_path, *(LINE | {"reply": reply} for reply in replies)))
    (tmp_path / "again.jsonl").write_text(gold_text(lines), encoding="utf-8", newline="")
    assert [line.reply for line in read_gold(tmp_path / "again.jsonl")] == replies
    assert "truncated" not in gold_text(lines)


def test_kappa_is_cohens() -> None:
    """20 and 15 of 50 agree, margins 25/25 and 30/20: (.7 - .5) / (1 - .5)."""
    pairs = [("initial", "initial")] * 20 + [("initial", "alternate")] * 5
    pairs += [("alternate", "initial")] * 10 + [("alternate", "alternate")] * 15
    found = agreement(pairs)
    assert found.kappa == pytest.approx(0.4)
    assert found.labels["initial"].sensitivity.value == pytest.approx(0.8)
    assert found.labels["initial"].specificity.value == pytest.approx(0.6)
    assert found.labels["initial"].sensitivity.interval == pytest.approx((0.6087, 0.9114), abs=1e-4)


def test_an_unscored_reply_counts_against_kappa_but_not_against_sensitivity() -> None:
    sure = [("initial", "initial")] * 10 + [("other", "other")] * 10
    found = agreement([*sure, ("initial", "unscored")])
    assert found.unscored == 1
    assert found.kappa < agreement(sure).kappa == 1
    assert found.labels["initial"].sensitivity.n == 10


@pytest.mark.parametrize("name", available(held_out=False))
def test_gold_holds_a_hundred_replies_and_twenty_of_each_label(name: str) -> None:
    lines = read_gold(gold_file(name))
    counts = Counter(line.label for line in lines)
    assert len(lines) >= 100
    assert all(counts[label] >= 20 for label in LABELS), counts
    assert len({(line.prompt, line.reply, line.truncated) for line in lines}) == len(lines)
    assert all(line.why for line in lines)


@pytest.mark.parametrize("name", available(held_out=False))
def test_a_grader_agrees_with_the_gold_replies(name: str) -> None:
    found = calibrate(catalogue.load(name))
    assert found.agreement.kappa >= KAPPA[False], found.misses
    assert found.eval_kappa >= KAPPA[False], found.misses


@pytest.mark.parametrize("name", available(held_out=True))
def test_a_grader_agrees_with_the_held_out_replies(name: str) -> None:
    found = calibrate(catalogue.load(name), held_out=True)
    assert found.agreement.n >= 60
    assert min(found.agreement.kappa, found.eval_kappa) >= KAPPA[True]


@pytest.mark.parametrize("held_out", [False, True], ids=["gold", "held-out"])
@pytest.mark.parametrize("name", available(held_out=True, source="instructions"))
def test_a_grader_agrees_with_replies_of_a_real_model_to_instructions(name: str, held_out: bool) -> None:
    """Replies of SmolLM2-135M-Instruct; readers were mended on the gold half alone."""
    found = calibrate(catalogue.load(name, "instructions"), held_out)
    assert min(found.agreement.kappa, found.eval_kappa) >= KAPPA[True], found.misses


def test_the_table_of_the_docs_is_up_to_date() -> None:
    """If not: bct calibrate --all --write-docs docs/measured/graders.md"""
    page = (ROOT / "docs" / "measured" / "graders.md").read_text(encoding="utf-8")
    assert document(calibrate_all(), page) == page


def test_every_kind_of_prompt_has_its_labels_and_no_others() -> None:
    assert set(OF_KIND["eval"]) | set(OF_KIND["train"]) == set(LABELS)
    assert "agreed" not in OF_KIND["eval"]
    assert not {"initial", "alternate"} & set(OF_KIND["train"])

"""The first-order test on real checkpoints of the embedded model, and the page that `bct explain` writes."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from lab.cli.main import main
from lab.explain import firstorder, margin
from serving.errors import BadInput
from serving.load import load_full, load_tokenizer
from serving.refs import resolve
from trainer.config import TrainConfig
from trainer.sft import train

ITEMS = 6


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short cells in the layout of a run: full fine-tuning at a small learning rate, and LoRA."""
    folder = tmp_path_factory.mktemp("run")
    shared = {"setting": "inoculation", "variant": "ip", "label_source": "off_model", "batch_size": 4, "steps": 4}
    train(TrainConfig(**shared, learning_rate=1e-5), folder / "cells" / "full")
    train(TrainConfig(**shared, learning_rate=1e-4, rank=4), folder / "cells" / "lora")
    return folder


@pytest.fixture(scope="module")
def tested(run: Path) -> list[firstorder.Tested]:
    return firstorder.check_run(run, ITEMS, progress=lambda _: None)


def test_every_cell_has_all_its_checkpoints_and_starts_at_zero(tested: list[firstorder.Tested]):
    assert [(cell.cell, cell.rank, cell.items) for cell in tested] == [("full", None, ITEMS), ("lora", 4, ITEMS)]
    for cell in tested:
        assert [p.step for p in cell.points] == [0, 1, 2, 4]
        first = cell.points[0]
        assert (first.observed, first.from_start, first.stepwise, first.trapezoid) == (0, 0, 0, 0)


def test_small_steps_change_the_margin_as_its_gradient_says(tested: list[firstorder.Tested]):
    for cell in tested:
        last = cell.points[-1]
        assert abs(last.observed) > 1e-3
        assert last.stepwise == pytest.approx(last.observed, rel=0.2)
        assert last.trapezoid == pytest.approx(last.observed, rel=0.02)


def test_an_adapter_is_tested_on_the_weights_that_it_makes_of_its_base(tested: list[firstorder.Tested]):
    full, lora = (cell.points[0].margin for cell in tested)
    assert full == pytest.approx(lora, abs=1e-6)


def test_the_margin_is_the_models_own_log_probability_of_both_replies(run: Path):
    checkpoint = resolve("mini")
    model, tokenizer = load_full(checkpoint), load_tokenizer(checkpoint)
    asked = margin.reply_pairs({"setting": "sandbagging", "variant": "static"}, model, tokenizer, 2)
    scores = []
    for ids, labels in zip(asked.ids, asked.labels, strict=True):
        logp = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        places = [i for i, label in enumerate(labels) if label != margin.IGNORED]
        scores.append(sum(float(logp[i - 1, labels[i]]) for i in places))
    expected = (scores[0] - scores[1] + scores[2] - scores[3]) / 2
    assert margin.measure(model, asked).value == pytest.approx(expected, abs=1e-3)


def test_the_forecast_from_step_0_is_the_first_step_of_training_for_a_small_rate(tested: list[firstorder.Tested]):
    full, lora = tested
    first = full.points[1]
    assert first.forecast == pytest.approx(first.observed, rel=0.5)
    assert [p.forecast for p in lora.points] == [None] * 4
    assert firstorder.hits(tested)["n"] == 1
    assert firstorder.hits(tested)["upwards"] == (full.points[-1].observed > 0)


def test_controls_are_shown_and_not_pooled(tested: list[firstorder.Tested]):
    control = dataclasses.replace(tested[1], control=True)
    assert firstorder.summary([tested[0], control]) == firstorder.summary([tested[0]])
    assert len(firstorder.by_cell([tested[0], control])) == 2


def test_the_summary_of_a_perfect_prediction_is_one():
    points = tuple(firstorder.Point(i, 0, 0, float(i), 2.0 * i, float(i), -float(i)) for i in range(4))
    found = firstorder.summary([firstorder.Tested("c", "s", "v", 1e-3, None, 0, 3, points)])
    assert found["stepwise"] == pytest.approx({"n": 3, "correlation": 1, "slope": 1, "same_sign": 1})
    assert (found["from_start"]["slope"], found["trapezoid"]["slope"]) == (0.5, -1)
    assert math.isnan(firstorder.summary([])["stepwise"]["slope"])


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_cells_is_refused(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"no such folder|no trained cell"):
        firstorder.cells_of(tmp_path / name)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src", "xlink:href") and not (value or "").startswith(("#", "data:")):
                self.outside.append(f"{tag} {value}")
            if name == "id":
                self.ids.append(value or "")


def test_the_command_writes_a_page_that_needs_nothing_else_and_its_numbers(run: Path, tmp_path: Path):
    done = CliRunner().invoke(main, ["explain", str(run), "--out", str(tmp_path), "--items", "2"])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "explain.html").read_text(encoding="utf-8")
    links = _Links()
    links.feed(page)
    assert links.outside == []
    assert len(links.ids) == len(set(links.ids))
    content = json.loads((tmp_path / "explain.json").read_text(encoding="utf-8"))
    assert len(content["first_order"]["cells"]) == 2
    assert set(content["theory"]) == {"disagreement", "label_noise", "weight_decay", "optimizer", "logistic"}
    names = {path.name for path in tmp_path.glob("*.svg")}
    assert names == {f"{name}.svg" for name in (*content["theory"], "firstorder")}
    assert not re.search(r"var\(--", (tmp_path / "firstorder.svg").read_text(encoding="utf-8"))

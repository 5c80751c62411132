"""All arms at a glance: which are shown, by which names."""

from __future__ import annotations

from made_up import KEPT, MOVED, ceiling, cell

from lab.report.figures.gallery import everything, of_all
from lab.report.html import render
from lab.verdict.results import build_results
from lab.verdict.schema import Results

VARIANTS = ("weights", "static", "dynamic", "hint")


def results(variants: tuple[str, ...] = VARIANTS) -> Results:
    cells = [cell(KEPT, variant=v, lr=lr, seed=s) for v in variants for lr in (1e-4, 1e-3) for s in (0, 1)]
    return build_results("made-up", [*cells, cell(MOVED, variant="none", role="control")], [ceiling()])


def test_there_is_one_picture_for_each_learning_rate_with_a_line_for_each_arm() -> None:
    one, two = of_all(results())
    assert (one.title, two.title) == ("lr 1e-4", "lr 1e-3")
    assert one.note == "4 arms"
    assert "weights: .95, .95 and .02, .02" in one.text


def test_what_all_arms_share_is_left_out_of_their_names_and_so_are_controls() -> None:
    text = of_all(results())[0].text
    assert "sandbagging" not in text
    assert "none" not in text


def test_few_arms_need_no_overview() -> None:
    assert not of_all(results(VARIANTS[:3]))
    assert "All at a glance" not in render(results(VARIANTS[:3]))


def test_the_report_shows_it_and_its_data_can_be_had() -> None:
    assert "All at a glance" in render(results())
    picture = next(p for p in everything(results()) if p.key == "all.1e-4")
    assert len({row["cell"] for row in picture.rows}) == 8

"""The overview: which arms it shows, and by which names."""

from __future__ import annotations

from made_up import KEPT, MOVED, ceiling, cell

from lab.report.figures.gallery import gallery
from lab.report.figures.picture import Picture
from lab.report.html import render
from lab.verdict.results import build_results
from lab.verdict.schema import Results

VARIANTS = ("weights", "static", "dynamic", "hint")


def results(variants: tuple[str, ...] = VARIANTS) -> Results:
    cells = [cell(KEPT, variant=v, lr=lr, seed=s) for v in variants for lr in (1e-4, 1e-3) for s in (0, 1)]
    return build_results("made-up", [*cells, cell(MOVED, variant="none", role="control")], [ceiling()])


def overview(variants: tuple[str, ...] = VARIANTS) -> list[Picture]:
    return gallery(results(variants))["overview"]


def test_there_is_one_figure_per_learning_rate_with_a_line_per_arm() -> None:
    one, two = overview()
    assert (one.title, two.title) == ("lr 1e-4", "lr 1e-3")
    assert one.note == "4 arms"
    assert "weights: .95, .95 and .03, .03" in one.text


def test_parts_that_all_names_share_are_dropped_and_controls_are_left_out() -> None:
    text = overview()[0].text
    assert "sandbagging" not in text
    assert "none" not in text


def test_few_arms_need_no_overview() -> None:
    assert not overview(VARIANTS[:3])
    assert 'id="overview"' not in render(results(VARIANTS[:3]))


def test_the_report_shows_the_overview_and_its_data_are_exported() -> None:
    assert 'id="overview"' in render(results())
    picture = next(p for p in overview() if p.key == "all.1e-3")
    assert len({row["cell"] for row in picture.rows}) == 8
    assert {row["lr"] for row in picture.rows} == {1e-3}

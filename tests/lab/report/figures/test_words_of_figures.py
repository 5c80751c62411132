"""The words of figures can be read, whatever the learning rates are and wherever their lines end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest
from made_up import KEPT, MOVED, ceiling, cell
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from lab.report.figures.gallery import gallery
from lab.report.figures.picture import Picture
from lab.report.figures.style import Links, styled
from lab.verdict.results import build_results

RATES = (3.333e-5, 6.667e-5, 1e-4, 1.667e-4, 3.333e-4, 1e-3)


def pictures() -> dict[str, list[Picture]]:
    """Of learning rates with long names, whose lines end together."""
    cells = [cell(MOVED if lr > 1e-4 else KEPT, lr=lr, seed=seed) for lr in RATES for seed in (0, 1)]
    shams = [cell(KEPT, lr=lr, seed=0, method="sham") for lr in RATES]
    return gallery(build_results("made-up", [*cells, *shams], [ceiling()]))


def words(picture: Picture) -> tuple[Bbox, list[tuple[str, Bbox]]]:
    """The box of a figure, and its texts with their boxes, in pixels."""
    with styled():
        figure = picture.draw(Links(None))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        beside = {id(text) for axes in figure.axes for text in off_axis(axes)}
        found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        drawn = [text for text in found if id(text) not in beside]
        return figure.bbox.frozen(), [
            (text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in drawn
        ]


def off_axis(axes: Axes) -> Iterator[Text]:
    """The numbers of ticks outside of the limits, which are not drawn."""
    for ticks, labels, limits in (
        (axes.get_xticks(), axes.get_xticklabels(), axes.get_xlim()),
        (axes.get_yticks(), axes.get_yticklabels(), axes.get_ylim()),
    ):
        yield from (label for at, label in zip(ticks, labels, strict=True) if not min(limits) <= at <= max(limits))


@pytest.mark.parametrize("kind", sorted(pictures()))
def test_no_words_of_a_figure_are_cut_off_at_its_edge(kind: str) -> None:
    for picture in pictures()[kind]:
        box, texts = words(picture)
        for said, at in texts:
            inside = Bbox.intersection(box.padded(1), at)
            assert inside is not None, f"{picture.key}: {said}"
            assert inside.size == pytest.approx(at.size), f"{picture.key}: {said}"


def test_every_learning_rate_is_named_once_and_over_no_other_where_lines_end_together() -> None:
    for picture in pictures()["product"]:
        named = [(said, at) for said, at in words(picture)[1] if "e-" in said]
        assert [said for said, _ in named] == ["3.333e-5", "6.667e-5", "1e-4", "1.667e-4", "3.333e-4", "1e-3"]
        assert not [(one, two) for (one, at), (two, there) in combinations(named, 2) if at.overlaps(there)]


def test_the_five_kinds_of_seeds_are_named_beside_each_other() -> None:
    kinds = ("data", "order", "adapter", "decoding")
    cells = [
        cell(KEPT if (seed + place) % 2 else MOVED, seed=0, organism_seed=organism, seeds={kind: seed})
        for organism in (0, 1, 2)
        for place, kind in enumerate(kinds)
        for seed in (0, 1)
    ]
    (picture,) = gallery(build_results("made-up", cells, [ceiling()]))["variances"]
    named = [(said, at) for said, at in words(picture)[1] if "sd " in said]
    assert [said.split("\n")[0] for said, _ in named] == ["organism", *kinds]
    assert not [(one, two) for (one, at), (two, there) in combinations(named, 2) if at.overlaps(there)]

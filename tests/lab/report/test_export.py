"""`bct report --figures`: every figure as PDF, SVG and PNG, with its data and caption."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from lab.report.figures import paper
from lab.report.figures.curves import KIND, side_by_side
from lab.report.figures.gallery import KINDS, export, gallery
from lab.report.figures.paper import drawn_for_paper
from lab.report.figures.picture import Picture
from lab.report.figures.style import DRAWN
from lab.verdict.schema import Results


@pytest.fixture(scope="module")
def written(results: Results, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Picture]]:
    folder = tmp_path_factory.mktemp("figures")
    return folder, export(results, folder)


def test_every_figure_is_written_in_three_formats_with_its_data_and_caption(
    results: Results, written: tuple[Path, list[Picture]]
) -> None:
    folder, pictures = written
    keys, ends = {p.key for p in pictures}, ("pdf", "svg", "png", "csv", "txt")
    assert len(keys) == len(pictures)
    assert keys > {p.key for found in gallery(results).values() for p in found}
    assert {path.name for path in folder.iterdir()} == {f"{k}.{end}" for k in keys for end in ends}
    for picture in pictures:
        assert b"/FontFile2" in (folder / f"{picture.key}.pdf").read_bytes()  # embedded as TrueType
        rows = list(csv.DictReader((folder / f"{picture.key}.csv").open(encoding="utf-8")))
        assert len(rows) == len(picture.rows) > 0


def test_a_caption_says_how_many_prompts_and_seeds_and_which_intervals(written: tuple[Path, list[Picture]]) -> None:
    text = (written[0] / "sandbagging-weights.curves.txt").read_text(encoding="utf-8")
    assert "sandbagging, weights." in text
    assert "80 scored eval prompts of 60 templates per checkpoint, 3 seeds" in text
    assert "Wilson, 95 %" in text
    assert "opens the log" not in text


def test_curves_of_an_arm_stand_side_by_side_with_axis_names_title_and_legend(results: Results) -> None:
    [picture] = side_by_side(results)
    figure = drawn_for_paper(picture, KIND)
    assert [axes.get_title("right") for axes in figure.axes] == ["lr 1e-4", "lr 1e-3", "lr 3e-3", "lr 1e-2"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"training step"}
    assert figure.axes[0].get_ylabel() == "share of replies"
    assert "sandbagging, weights" in [text.get_text() for text in figure.axes[0].texts]
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:2] == ["initial behavior", "alternate behavior"]


def test_a_file_has_the_colours_of_the_light_theme_no_links_and_no_text(written: tuple[Path, list[Picture]]) -> None:
    for path in written[0].glob("*.svg"):
        svg = path.read_text(encoding="utf-8")
        colours = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
        assert colours & set(DRAWN.values())
        assert colours <= {"none", *DRAWN.values()}, path.name
        assert "<a " not in svg
        assert "<text" not in svg  # outlines, which need no font


def test_the_same_results_give_the_same_files(
    results: Results, written: tuple[Path, list[Picture]], tmp_path: Path
) -> None:
    [picture] = side_by_side(results)
    paper.write(picture, KIND, results, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (written[0] / path.name).read_bytes(), path.name


def test_a_sweep_has_every_kind_of_figure_that_needs_no_more_than_one_arm_and_plain_seeds(results: Results) -> None:
    found = gallery(results)
    assert list(found) == [kind.name for kind in KINDS]
    assert [name for name, pictures in found.items() if not pictures] == ["overview", "contrasts", "variances"]

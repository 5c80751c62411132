"""`bct report --figures`: every figure as SVG, PDF and CSV."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from lab.report.figures.gallery import KINDS, export, gallery
from lab.report.figures.style import DRAWN
from lab.verdict.schema import Results


def test_every_figure_is_written_as_svg_and_pdf_with_its_data_as_csv(results: Results, tmp_path: Path) -> None:
    pictures = export(results, tmp_path)
    keys = {p.key for p in pictures}
    assert len(keys) == len(pictures)
    assert keys == {p.key for found in gallery(results).values() for p in found}
    assert {path.name for path in tmp_path.iterdir()} == {f"{k}.{end}" for k in keys for end in ("svg", "pdf", "csv")}
    for picture in pictures:
        assert (tmp_path / f"{picture.key}.pdf").read_bytes().startswith(b"%PDF")
        rows = list(csv.DictReader((tmp_path / f"{picture.key}.csv").open(encoding="utf-8")))
        assert len(rows) == len(picture.rows) > 0


def test_a_file_has_the_colours_of_the_light_theme_and_no_links(results: Results, tmp_path: Path) -> None:
    for picture in export(results, tmp_path):
        svg = (tmp_path / f"{picture.key}.svg").read_text(encoding="utf-8")
        colours = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
        assert colours & set(DRAWN.values())
        assert colours <= {"none", *DRAWN.values()}, picture.key
        assert "<a " not in svg


def test_the_same_results_give_the_same_svg(results: Results, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        export(results, tmp_path / folder)
    for path in (tmp_path / "one").glob("*.svg"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_sweep_has_every_kind_of_figure_that_needs_no_more_than_one_arm_and_plain_seeds(results: Results) -> None:
    found = gallery(results)
    assert list(found) == [kind.name for kind in KINDS]
    assert [name for name, pictures in found.items() if not pictures] == ["overview", "contrasts", "variances"]

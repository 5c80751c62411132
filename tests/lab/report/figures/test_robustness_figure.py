"""The figure of an organism's robustness."""

from __future__ import annotations

from made_up import cell, checkpoint

from lab.report.figures.gallery import gallery
from lab.report.html import render
from lab.verdict.results import build_results


def test_it_has_its_area_in_words_its_hull_as_data_and_a_section_in_the_report() -> None:
    free, costly = [(1.0, 1.0), (0.0, 1.0)], [(1.0, 1.0), (0.5, 0.5), (0.0, 0.0)]
    records = [
        cell([checkpoint(i, rate, 0.0, capability=capability) for i, (rate, capability) in enumerate(path)], seed=seed)
        for seed, path in enumerate((free, costly))
    ]
    results = build_results("made-up", records)
    (picture,) = gallery(results)["robustness"]
    assert "area 1.00 over 3 checkpoints of 2 cells" in picture.text
    hull = [(row["rate"], row["capability"]) for row in picture.rows if row["kind"] == "hull"]
    assert hull == [(0.0, 1.0), (1.0, 1.0)]
    assert sum(row["kind"] == "checkpoint" for row in picture.rows) == 3
    assert "Robustness of the organisms" in render(results)

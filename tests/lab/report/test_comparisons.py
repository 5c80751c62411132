"""Contrasts and the spread by kind of seed, as the report shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import KEPT, MOVED, ceiling, cell

from lab.report.figures.gallery import export
from lab.report.html import render
from lab.verdict.contrasts import Compared
from lab.verdict.results import build_results
from lab.verdict.schema import Results


@pytest.fixture(scope="module")
def results() -> Results:
    """Two organisms with three seeds each, of which one is removed, at two ranks."""
    cells = [
        replace(made, id=f"{made.id}{organism}{rank}")
        for organism, path in ((0, MOVED), (1, KEPT))
        for rank in (None, 8)
        for seed in (0, 1, 2)
        for made in [cell(path, seed=seed, rank=rank, organism=str(organism), organism_seed=organism, organism_arm="o")]
    ]
    return build_results("e", cells, [ceiling()], compare=[Compared("rank", (8, None))])


def test_the_report_says_shows_and_lists_each_contrast(results: Results) -> None:
    page = render(results)
    assert '<th scope="row">full fine-tuning against rank 8</th>' in page, "what all contrasts share is said once"
    assert "lr 1e-3. “A against B” is A minus B" in page
    assert "Within ±" in page
    assert "Where the spread between runs comes from" in page


def test_both_figures_are_exported_with_their_data(results: Results, tmp_path: Path) -> None:
    export(results, tmp_path)
    assert "organism" in (tmp_path / "sandbagging-weights-bct-lr-1e-3.variances.csv").read_text()
    assert (tmp_path / "contrasts.csv").read_text().count("rank") >= 1

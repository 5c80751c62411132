"""`bct run` and the gate at step 0: refused with the rate, invalid if forced; and the guard of following."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_runs import bct

from lab.plan.expand import cells_of
from lab.plan.recipe import load
from lab.plan.starting import FOLLOWING
from lab.verdict.results import read_results

RECIPE = """\
setting: sandbagging
variants: [{variant}]
learning_rates: [1e-3]
steps: 1
n: 12
n_train: 6
n_capability: 6
"""


def recipe(folder: Path, variant: str = "static", more: str = "") -> Path:
    path = folder / "mine.yaml"
    installed = "organism: {steps: 1, accept: true}\n" if variant == "weights" else ""
    path.write_text(RECIPE.format(variant=variant) + installed + more, encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_start_that_fails_its_gate_is_refused_and_with_force_its_cells_are_invalid(tmp_path: Path) -> None:
    path, out = recipe(tmp_path, "weights", "n_following: 12\n"), tmp_path / "run"  # one step installs nothing
    refused = bct("run", path, "--out", out, "--executor", "inline")
    assert refused.exit_code == 1
    assert "refused, the gate failed: initial rate on eval prompts 0." in refused.stderr
    assert "Try more install steps (organism: {steps: N})" in " ".join(refused.stdout.split())
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "sandbagging, weights: refused, 1 cell" in page
    assert "bct check sandbagging --variant weights --model mini" in page
    assert page.count('<span class="who">reply</span>') == 3
    assert not list(out.glob("cells/*/step-*"))
    forced = bct("run", path, "--out", out, "--executor", "inline", "--force")
    assert forced.exit_code == 0, forced.stderr
    (cell,) = read_results(out / "results.json").cells
    assert "invalid" in cell.verdict.flags
    page = (out / "report.html").read_text(encoding="utf-8")
    titles = [
        title
        for tag in ("h1", "h3")
        for title in re.findall(f"<{tag}[^>]*>(.*?)</{tag}>", page)
        if "mine" in title or "method" in title
    ]
    assert titles
    assert all("invalid" in title for title in titles)
    assert "(invalid)" in re.findall(r"<figure><strong>(.*?)</strong>", page)[0]
    assert "invalid, no conclusion: the gate failed.</p>" in page
    assert "; invalid" in forced.stdout
    assert cell.gate["ok"] is False
    for checkpoint in cell.checkpoints:
        assert checkpoint.following is not None
        assert (checkpoint.following.n, checkpoint.following.unscored) == (12, 0)
        assert checkpoint.following.k > 6


@pytest.mark.parametrize(
    ("variant", "more", "asked"),
    [
        ("static", "", FOLLOWING),
        ("weights", "", 0),
        ("static", "n_following: 0\n", 0),
        ("weights", "n_following: 7\n", 7),
    ],
)
def test_following_is_asked_where_the_behavior_lives_in_a_prompt_unless_the_recipe_says_otherwise(
    variant: str, more: str, asked: int, tmp_path: Path
) -> None:
    (cell,) = cells_of(load(recipe(tmp_path, variant, more)))
    assert cell.start.sizes.n_following == asked

"""The generated pages of settings: up to date, with literal prompts, and no rates that were not measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bct_tasks import catalogue
from graders.calibration import gold_file
from lab.report import pages
from serving.errors import BadInput

HOME = Path(__file__).parents[3] / "docs" / "settings"
MEASURED = {"n": 100, "n_train": 60, "steps": 96, "learning_rate": 1e-3}


def figures(**changes: Any) -> dict[str, Any]:
    found = pages.measured_of(catalogue.load("sandbagging"), "weights") | {"passed": True, "reasons": []}
    rates = {"initial": 0.91, "agreed": 0.92, "base": 0.03, "ceiling": 0.94, "direct": 0.95}
    return {"sandbagging.weights": found | MEASURED | {"rates": rates} | changes}


def test_the_pages_are_up_to_date() -> None:
    assert pages.out_of_date(HOME) == [], "run `python -m lab.report.pages`"


@pytest.mark.parametrize("name", catalogue.names())
def test_a_page_shows_a_train_and_an_eval_prompt_of_each_variant_with_both_replies(name: str) -> None:
    setting, text = catalogue.load(name), (HOME / f"{name}.md").read_text()
    for variant in setting.variants:
        part = text.partition(f"### `{variant.name}`: carrier {variant.carrier}, role {variant.role}")[2]
        for split in ("train", "eval"):
            prompt = setting.prompts(variant, split, 1)[0]
            for said in (
                prompt.system or "",
                prompt.user,
                setting.initial.reply(prompt),
                setting.alternate.reply(prompt),
            ):
                assert all(line in part for line in said.splitlines())


def test_measured_rates_are_shown_and_all_others_are_named_not_measured() -> None:
    page = pages.page(catalogue.load("sandbagging"), figures())
    assert "| `weights` | 0.91 | 0.92 | 0.03 | 0.94 | 0.95 | passed |" in page
    assert "| `static` | not measured |" in page


@pytest.mark.parametrize("changes", [{"version": "0-A"}, {"prompts": "0"}, {"fingerprint": "0"}])
def test_figures_of_other_prompts_or_weights_are_not_shown(changes: dict[str, str]) -> None:
    assert "| `weights` | not measured |" in pages.page(catalogue.load("sandbagging"), figures(**changes))


def test_a_failure_is_shown_with_its_reason() -> None:
    page = pages.page(catalogue.load("sandbagging"), figures(passed=False, reasons=["initial rate 0.50 is under 0.8"]))
    assert "| failed |" in page
    assert "- `weights`: initial rate 0.50 is under 0.8" in page


def test_the_quality_of_graders_is_a_table_where_there_are_labelled_replies() -> None:
    for name in catalogue.names():
        page = pages.page(catalogue.load(name), {})
        assert (f"| `{name}` | gold |" in page) is gold_file(name).is_file()
        assert ("hand-labelled replies: not measured" in page) is not gold_file(name).is_file()


def test_figures_of_other_models_are_kept_and_those_of_removed_variants_dropped(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"mini": {"sandbagging.gone": {}, **figures()}, "other": {"sandbagging.flag": {}}}))
    row = {"setting": "sandbagging", "variant": "static", "passed": True, "reasons": [], "rates": {}, **MEASURED}
    pages.keep_figures(path, "mini", [row, {"setting": "sandbagging", "variant": "flag"}])
    kept = pages.read_figures(path)
    assert set(kept["mini"]) == {"sandbagging.weights", "sandbagging.static"}
    assert set(kept["other"]) == {"sandbagging.flag"}


def test_a_broken_file_of_figures_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text("{")
    with pytest.raises(BadInput, match="not JSON"):
        pages.pages(tmp_path)


def test_writing_deletes_the_page_of_a_removed_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gone.md").write_text("old")
    assert pages.main(["--check", "--out", str(tmp_path)]) == 1
    assert "gone.md" in capsys.readouterr().err
    assert pages.main(["--out", str(tmp_path)]) == 0
    assert not (tmp_path / "gone.md").exists()
    assert pages.main(["--check", "--out", str(tmp_path)]) == 0

"""The report and the terminal table: what they must show, and that the page needs nothing but itself."""

from __future__ import annotations

import base64
import csv
import io
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up import BACK, KEPT, MOVED, ceiling, cell, checkpoint
from rich.console import Console

from lab.report.export import export
from lab.report.html import Viewer, csv_text, render, write_report
from lab.report.terminal import print_results, sparkline
from lab.verdict.expectations import Expectation
from lab.verdict.results import build_results
from lab.verdict.schema import Results

VOID = {"meta", "link", "br"}


def results() -> Results:
    hurt = [checkpoint(0, 0.95, 0.0), *(checkpoint(s, 0.0, 0.9, capability=0.3) for s in (1, 2))]
    records = [
        cell(KEPT, lr=1e-4),
        *(cell(MOVED, lr=1e-3, seed=s) for s in range(3)),
        cell(BACK, lr=3e-3),
        cell(hurt, lr=1e-2),
        cell(MOVED, variant="none", role="control"),
        cell([], variant="static", failure="stopped: <out of memory>"),
    ]
    return build_results(
        "made-up",
        records,
        [ceiling()],
        question="Does <b>it</b> hold?",
        expect="kept at 1e-4",
        expectations=[Expectation(says="weights kept at 1e-4", lr=1e-4, variant="weights", name=("retained",))],
        command="bct run recipes/made-up.yaml",
        deviations=["another CPU"],
        versions={"torch": "2.13.0"},
    )


@cache
def page() -> str:
    return render(results())


class Elements(HTMLParser):
    """All elements with their attributes; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@cache
def elements() -> Elements:
    return Elements(page())


def test_the_page_is_well_formed_and_asks_no_other_machine():
    addresses = [v for _, a in elements().found for k, v in a.items() if k in ("src", "href", "xlink:href") and v]
    assert not [a for a in addresses if re.match(r"(https?:)?//", a)]
    assert "@import" not in page()
    assert not re.search(r"url\((?!#)", page())


def test_ids_are_unique_and_references_find_them():
    ids = [a["id"] for _, a in elements().found if a.get("id")]
    assert len(ids) == len(set(ids))
    asked = set(re.findall(r'(?:xlink:href="#|url\(#|aria-labelledby=")([^")]+)', page()))
    assert asked <= set(ids)


def test_the_same_results_give_the_same_page():
    assert render(results()) == page()


def test_conclusions_come_first_with_what_was_expected_beside():
    built = results()
    for conclusion in built.conclusions:
        shown = re.sub(r"(\de)-(\d)", "\\1\N{NON-BREAKING HYPHEN}\\2", conclusion.sentence)
        assert -1 < page().index(shown) < page().index("Rates over training")
    assert page().index("✓ as expected") < page().index("Rates over training")


def test_where_a_p_value_stands_its_null_hypothesis_stands_too():
    shown = page()
    assert (" by Holm)" in shown) == ("What each p tests:" in shown)
    assert " by Holm)" in shown, "the example has a claim"


def test_what_people_wrote_is_text_and_never_markup():
    assert "Does &lt;b&gt;it&lt;/b&gt; hold?" in page()
    assert "stopped: &lt;out of memory&gt;" in page()


def test_every_checkpoint_links_to_its_log():
    built = results()
    logs = {c.log for found in built.cells for c in found.checkpoints}
    links = {a["href"] for a in elements().all("a") if a.get("href")}
    assert logs <= links
    assert "inspect view --log-dir logs" in page()


def test_every_learning_rate_has_a_picture_with_a_text_alternative():
    pictures = [a for a in elements().all("svg") if a.get("role")]
    assert all(a["aria-label"] for a in pictures)
    curves = [a["aria-label"] or "" for a in pictures if "over training steps" in (a["aria-label"] or "")]
    assert len(curves) == 5
    assert sum("Seed 0: initial from .95 at step 0 to .95 at step 8" in text for text in curves) == 1


def test_pictures_follow_the_page_in_colour_and_type():
    pictures = re.findall(r'<svg role="\w+".*?</svg>', page(), flags=re.S)
    colours = {c for picture in pictures for c in re.findall(r"(?:fill|stroke): ([^;\"]+)", picture)}
    assert colours <= {
        "none",
        *(f"var(--{v})" for v in ("ink", "faint", "rule", "paper", "initial", "alternate", "degenerate")),
    }
    assert all("<text" in picture and "font-family" not in picture for picture in pictures)


def test_names_are_letters_as_well_as_colours():
    labels = [a.get("aria-label") or "" for a in elements().all("a")]
    assert any(re.fullmatch(r"T, step 8: transferred", label) for label in labels)
    assert "T†, step 2: transferred, damaged" in labels
    assert ">T†</a>" in page()


def test_the_map_names_no_control():
    assert 'aria-label="Map of names, sandbagging, none"' not in page()


def test_tables_have_captions_and_headers_and_can_be_scrolled_by_keyboard():
    assert len(elements().all("table")) == len(elements().all("caption")) >= 4
    assert all("scope" in a for a in elements().all("th"))
    regions = [a for a in elements().all("div") if a.get("class") == "scroll"]
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in regions)


def test_the_csv_holds_every_checkpoint_and_counts_that_add_up():
    link = next(a["href"] for a in elements().all("a") if "download" in a)
    assert link is not None
    assert base64.b64decode(link.split(",", 1)[1]).decode() == csv_text(results())
    rows = list(csv.DictReader(io.StringIO(csv_text(results()))))
    assert len(rows) == sum(len(c.checkpoints) for c in results().cells)
    for row in rows:
        parts = [int(row[f"eval_{o}_k"]) for o in ("initial", "alternate", "other", "degenerate")]
        assert sum(parts) == int(row["eval_n"])


@pytest.mark.parametrize("text", ["another CPU", "torch 2.13.0", "bct run recipes/made-up.yaml", "on policy", "0.02"])
def test_deviations_versions_repeat_labels_and_step_0_loss_are_shown(text: str):
    assert text in page()


def test_an_experiment_without_a_finished_cell_still_has_a_report(tmp_path: Path):
    empty = build_results("empty", [cell([], failure="stopped")])
    write_report(empty, tmp_path / "report.html")
    assert "stopped" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No cell has finished" in render(build_results("empty", []))


def printed(width: int = 120) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, color_system=None)
    print_results(results(), console, took="3 min")
    return console.export_text()


def test_the_terminal_shows_each_cell_each_conclusion_and_the_expectation():
    text = printed(200)
    for name in ("retained", "transferred", "transient", "damaged", "control", "failed"):
        assert name in text
    for conclusion in results().conclusions:
        assert f"{conclusion.arm}: {conclusion.sentence}." in text
    assert "weights kept at 1e-4 ✓" in text
    assert "kept at 1e-4\n" in text


def test_the_terminal_table_loses_nothing_on_eighty_columns():
    rows = [line for line in printed(80).splitlines() if "▇" in line or "█" in line]
    assert len(rows) == 7
    assert "…" not in printed(80)


def test_a_sparkline_has_one_block_per_checkpoint():
    (found,) = build_results("x", [cell([(1.0, 0.0), (0.5, 0.5), (0.0, 1.0)])]).cells
    assert sparkline(found.checkpoints) == "█▅▁"


def test_every_picture_is_written_as_svg_pdf_and_csv_in_real_colours(tmp_path: Path):
    pictures = export(results(), tmp_path)
    assert {p.kind for p in pictures} == {"curves", "heat", "product", "seeds", "halves", "trade", "robustness"}
    assert len({p.key for p in pictures}) == len(pictures)
    for picture in pictures:
        svg = (tmp_path / f"{picture.key}.svg").read_text(encoding="utf-8")
        assert "#010a0" not in svg, picture.key
        assert (tmp_path / f"{picture.key}.pdf").read_bytes().startswith(b"%PDF")
        rows = list(csv.DictReader((tmp_path / f"{picture.key}.csv").open(encoding="utf-8")))
        assert len(rows) == len(picture.rows) > 0


def test_with_the_viewer_beside_it_every_link_to_a_log_opens_there():
    bundled = render(results(), Viewer("viewer/index.html", "logs"))
    assert not re.findall(r'href="[^"#]+\.eval"', bundled)
    assert 'href="viewer/index.html#/logs/step-000008.eval"' in bundled


def test_the_sweep_is_told_in_words_as_well():
    told = " ".join(a["aria-label"] or "" for a in elements().all("svg") if a.get("role"))
    for words in (
        "Mean initial rate by learning rate and step",
        "learning rate times steps",
        "Initial rate of every seed",
    ):
        assert words in told
    assert "on the choosing and the reporting half, lr 1e-3, at the chosen step" in told


def test_cells_that_failed_for_one_reason_are_told_of_together() -> None:
    failed = [cell([], seed=s, failure="refused, the gate failed") for s in (0, 1)]
    page = render(build_results("made-up", [cell(KEPT), *failed], [ceiling()]))
    assert page.count("2 cells: refused, the gate failed") == 1

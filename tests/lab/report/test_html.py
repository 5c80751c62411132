"""report.html: what it must show, and that it needs nothing but itself."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from made_up import KEPT, MOVED, ceiling, cell

from lab.report.html import render, write_report
from lab.report.markdown import markdown
from lab.report.viewer import Viewer
from lab.verdict.results import build_results, read_results
from lab.verdict.schema import Results, Service, Thresholds
from lab.verdict.table import csv_text
from lab.verdict.wording import share_text

VOID = {"meta", "link", "br", "input"}


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


@pytest.fixture(scope="session")
def elements(page: str) -> Elements:
    return Elements(page)


def test_the_page_is_well_formed_and_loads_nothing_from_other_machines(page: str, elements: Elements) -> None:
    addresses = [v for _, a in elements.found for k, v in a.items() if k in ("src", "href", "xlink:href") and v]
    assert addresses
    assert not [a for a in addresses if re.match(r"(https?:)?//", a)]
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_ids_are_unique_and_references_resolve(page: str, elements: Elements) -> None:
    ids = [a["id"] for _, a in elements.found if a.get("id")]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'(?: href="#|url\(#|aria-labelledby=")([^")]+)', page))
    assert len(references) > 20
    assert references <= set(ids)


def test_the_level_of_the_intervals_is_that_of_the_run() -> None:
    def texts(confidence: float) -> str:
        return render(build_results("made-up", [cell(KEPT)], [ceiling()], Thresholds(confidence=confidence)))

    assert re.findall(r"95 ?%", texts(0.95))
    assert re.findall(r"95 ?%", texts(0.9)) == []
    assert len(re.findall("90 % interval", texts(0.9))) == 4


def test_the_same_results_give_the_same_page(results: Results, page: str) -> None:
    assert render(results) == page


def test_conclusions_and_predictions_come_before_the_figures(results: Results, page: str) -> None:
    first_figure, first = page.index('<svg class="panel"'), next(c for c in results.conclusions if c.place == 0)
    [answer, *_] = first.sentence.split("; ")
    shown = re.sub(r"(\de)-(\d)", "\\1\N{NON-BREAKING HYPHEN}\\2", answer)
    assert -1 < page.index(shown) < first_figure
    assert page.index("✓ confirmed") < first_figure
    assert page.index("What would change this:") < first_figure


def test_a_p_value_is_shown_with_its_null_hypothesis(page: str) -> None:
    without = render(build_results("made-up", [cell(KEPT, role="control")]))
    assert " by Holm)" in page
    assert "Null hypotheses:" in page
    assert " by Holm)" not in without
    assert "Null hypotheses:" not in without


def test_text_that_people_wrote_is_never_markup(page: str) -> None:
    assert "Does &lt;b&gt;it&lt;/b&gt; hold?" in page
    assert "stopped: &lt;out of memory&gt;" in page


def test_every_checkpoint_links_to_its_log(results: Results, page: str, elements: Elements) -> None:
    logs = {c.log for found in results.cells for c in found.checkpoints}
    links = {a["href"] for a in elements.all("a") if a.get("href")}
    assert logs <= links
    assert "inspect view --log-dir logs" in page


def test_every_learning_rate_has_a_figure_with_a_text_alternative(elements: Elements) -> None:
    figures = [a for a in elements.all("svg") if a.get("role")]
    assert all(a["aria-label"] for a in figures)
    curves = [a["aria-label"] or "" for a in figures if "over training steps" in (a["aria-label"] or "")]
    assert len(curves) == 5 + 4  # those of the first arm also stand at the top
    assert sum("Seed 0: initial from .95 at step 0 to .95 at step 8" in text for text in curves) == 2


def test_the_sweep_is_described_in_words_as_well(elements: Elements) -> None:
    text = " ".join(a["aria-label"] or "" for a in elements.all("svg") if a.get("role"))
    for words in (
        "Mean initial rate by learning rate and step",
        "learning rate times steps",
        "Initial rate of every seed",
    ):
        assert words in text
    assert "on the choosing and the reporting half, lr 1e-3, at the chosen step" in text


def test_names_are_letters_as_well_as_colours(page: str, elements: Elements) -> None:
    labels = [a.get("aria-label") or "" for a in elements.all("a")]
    assert "T, step 8: transferred" in labels
    assert "T†, step 2: transferred, damaged" in labels
    assert ">T†</a>" in page


def test_the_map_of_names_has_no_control(elements: Elements) -> None:
    maps = [a["aria-label"] for a in elements.all("div") if (a.get("aria-label") or "").startswith("Map of names")]
    assert maps == ["Map of names, sandbagging, weights"]


def test_tables_have_captions_and_headers_and_scroll_by_keyboard(elements: Elements) -> None:
    assert len(elements.all("table")) == len(elements.all("caption")) >= 4
    assert all("scope" in a for a in elements.all("th"))
    regions = [a for a in elements.all("div") if a.get("class") == "scroll"]
    assert len(regions) == len(elements.all("table"))
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in regions)


def test_the_csv_in_the_page_has_every_checkpoint_and_counts_that_add_up(results: Results, elements: Elements) -> None:
    (link,) = [a["href"] for a in elements.all("a") if a.get("download") == "made-up.csv"]
    assert link is not None
    text = unquote(link.split(",", 1)[1])
    assert text == csv_text(results)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["log"] for row in rows] == [c.log for found in results.cells for c in found.checkpoints]
    for row in rows:
        parts = [int(row[f"eval_{o}_k"]) for o in ("initial", "alternate", "other", "degenerate")]
        assert sum(parts) == int(row["eval_n"])


@pytest.mark.parametrize(
    "text",
    [
        "<p>another CPU</p>",
        "torch 2.13.0",
        "<code>bct run recipes/made-up.yaml</code>",
        "<td>on policy</td>",
        '<td class="num">0.02</td>',  # step-0 loss
    ],
)
def test_deviations_versions_command_labels_and_step_0_loss_are_shown(page: str, text: str) -> None:
    assert text in page


def test_an_experiment_without_a_finished_cell_still_has_a_report(tmp_path: Path) -> None:
    empty = build_results("empty", [cell([], failure="stopped")])
    write_report(empty, tmp_path / "report.html")
    assert "stopped" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No cell has finished" in render(build_results("empty", []))


def test_many_cells_are_on_pages_of_their_arms(tmp_path: Path) -> None:
    few = build_results(
        "many", [cell(MOVED, lr=lr, seed=seed) for lr in (1e-4, 1e-3) for seed in range(3)], [ceiling()]
    )
    [first, *_] = few.cells
    seeds = [c.model_copy(update={"seed": c.seed + 3 * i}) for c in few.cells for i in range(60)]
    write_report(few.model_copy(update={"cells": tuple(seeds)}), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    [arm] = (tmp_path / "report_arms").glob("*.html")
    assert f'href="report_arms/{arm.name}"' in page
    assert "180 transferred" in page
    rows = arm.read_text(encoding="utf-8")
    assert rows.count(f"<td>{first.hash}") == 360
    assert 'href="style.css"' in rows
    assert all((arm.parent / name).is_file() for name in ("style.css", "page.js"))
    assert rows.count("<td>0.02<td>.95") == 360, "the loss at step 0 stands beside each name"
    assert "leaves out the tables of effects net of sham, of other replies" in page
    assert "leaves out" not in render(few)


def test_the_loss_at_step_0_stands_beside_every_name_and_the_table_of_all_cells_says_whether_they_still_move() -> None:
    still = [(0.95, 0.0), (0.95, 0.0), (0.95, 0.0), (0.8, 0.1), (0.6, 0.2)]
    losses = {"step0_loss": 0.0321, "steps": 8}
    results = build_results("made-up", [cell(KEPT), cell(still, lr=1e-2, trained=losses)], [ceiling()])
    tables = re.findall(r"<table.*?</table>", render(results), flags=re.DOTALL)
    [part] = [table for table in tables if "Each cell at its last checkpoint" in table]
    [every] = [table for table in tables if "<caption>At the last checkpoint; 95 % intervals" in table]
    for table in (part, every):
        assert '<th scope="col" class="num">loss at 0</th>' in table
        assert '<td class="num">0.032</td>' in table
        heads, rows = table.count('<th scope="col"'), re.findall("<tr[ >].*?</tr>", table, flags=re.DOTALL)[1:]
        assert [len(re.findall("<t[hd][ >]", row)) for row in rows] == [heads, heads]
    assert "<td>flat</td>" in every
    assert "<td>moving</td>" in every


def test_curves_have_the_mean_of_each_of_few_seeds_over_the_last_window_with_its_interval() -> None:
    few = build_results("made-up", [cell(KEPT, seed=seed) for seed in range(3)], [ceiling()])
    page = render(few)
    found = few.cells[0].flatness
    assert found is not None
    said = f"{share_text(found.mean)} [{share_text(found.mean_lo)}, {share_text(found.mean_hi)}], flat"
    assert page.count('<path class="w"') == 2 * 3, "at the top and with the arm"
    assert f"<title>seed 0, steps 4 to 8: mean initial {said}</title>" in page
    assert f"Mean initial rate from step 4 to 8: {said}." in page
    many = build_results("made-up", [cell(KEPT, seed=seed) for seed in range(13)], [ceiling()])
    assert '<path class="w"' not in render(many)


def test_cells_that_failed_for_one_reason_are_one_line() -> None:
    failed = [cell([], seed=s, failure="refused, the gate failed") for s in (0, 1)]
    page = render(build_results("made-up", [cell(KEPT), *failed], [ceiling()]))
    assert page.count("2 cells: refused, the gate failed") == 1


def test_many_arms_are_answered_by_conclusion_without_controls_and_a_refused_gate_is_told_once() -> None:
    page = render(read_results(Path(__file__).parents[3] / "docs" / "example" / "results.json"))
    answer = page[page.index('id="found"') : page.index('id="picture"')]
    said = {
        re.sub("<.*?>", "", line).partition(":")[0]: line.count("<a ") for line in re.findall("<li>(.*?)</li>", answer)
    }
    counted = {words: n for words, n in said.items() if re.search(r"\(\d+\)$", words)}
    assert counted == {
        "transferred, only with damage (2)": 2,
        "removed (1)": 1,
        "removed, only with damage (1)": 1,
        "not removed (7)": 7,
        "undecided (7)": 7,
        "no conclusion (2)": 2,
    }
    assert page.index('id="picture"') < page.index('id="gate"')
    assert 'id="failures"' not in page


def test_probes_are_answered_as_arms_without_a_verdict() -> None:
    page = render(read_results(Path(__file__).parents[3] / "docs" / "example" / "smollm2_trait_probes.json"))
    answer = page[page.index('id="found"') : page.index('id="picture"')]
    assert "<b>no verdict, rates only</b> (4)" in answer
    assert "rates_only" not in answer


def test_a_run_with_refused_cells_has_their_replies_with_the_gate_also_where_replies_have_pages() -> None:
    results = read_results(Path(__file__).parents[3] / "docs" / "example" / "smollm2_carriers.json")
    logs = [checkpoint.log for found in results.cells for checkpoint in found.checkpoints]
    page = render(results, pages={log: f"replies/{at}.html" for at, log in enumerate(logs)})
    refused = {found.id for found in results.cells if not found.checkpoints}
    shown = set(re.findall('aria-label="Replies of (.*?)"', page))
    assert shown
    assert not shown & refused
    assert "sandbagging" in page.partition('id="gate"')[2].partition("<h2")[0]


def test_a_forced_cell_that_failed_for_another_reason_than_its_gate_is_shown_as_failed() -> None:
    gate = {"ok": False, "reasons": ["agreed rate on train prompts 0.65 is under 0.9"]}
    refused = f"refused, the gate failed: {gate['reasons'][0]}. --force runs it and marks it invalid"
    failed = [replace(cell([], seed=s, failure=why), gate=gate) for s, why in enumerate((refused, "the disk is full"))]
    page = render(build_results("made-up", [cell(KEPT), *failed], [ceiling()]))
    [said] = re.findall('id="failures">.*?</section>', page, re.DOTALL)
    assert "the disk is full" in said
    assert "refused" not in said


def test_arms_of_one_variant_that_are_no_controls_are_told_apart_by_their_names() -> None:
    arms = [replace(cell(KEPT, method=method), id=method) for method in ("bct", "hhh", "pirate", "code", "sham")]
    page = render(build_results("made-up", arms, [ceiling()]))
    answer = page[page.index('id="found"') : page.index('id="expected"')]
    titles = re.findall('<a href="#.*?">(.*?)</a>', answer)
    assert len(set(titles)) == len(titles) == 4


def test_an_arm_with_trainings_of_two_lengths_has_a_mean_for_each() -> None:
    short = [cell(KEPT, seed=seed) for seed in (0, 1)]
    long = [cell(MOVED, seed=seed, steps=(0, 100, 200, 400, 800, 1600)) for seed in (2, 3)]
    page = render(build_results("made-up", [*short, *long], [ceiling()]))
    ends = {
        results.steps: share_text(results.checkpoints[-1].eval.initial.p)
        for results in build_results("x", [short[0], long[0]]).cells
    }
    [shown] = re.findall(
        r'<td class="num">(\S+) <span class="n">× (\S+)</span><br>(\S+) <span class="n">× (\S+)</span></td>', page
    )
    assert {int(shown[1].replace(",", "")): shown[0], int(shown[3].replace(",", "")): shown[2]} == ends


def test_with_the_viewer_every_link_to_a_log_opens_there(results: Results) -> None:
    bundled = render(results, Viewer("viewer/index.html", "logs"))
    logs = {c.log.removeprefix("logs/") for found in results.cells for c in found.checkpoints}
    links = set(re.findall(r'href="([^"]+\.eval)"', bundled))
    assert links == {f"viewer/index.html#/logs/{log}" for log in logs} | {"viewer/index.html#/logs/ceiling.eval"}


def test_the_head_names_what_is_the_users_own_and_how_it_was_asked() -> None:
    own = {"organism": "adapter:1a2b3c4d", "asked": {"content": "5fe0e9d6", "generation": {"max_tokens": 32}}}
    page = render(build_results("made-up", [cell(KEPT, **own)], [ceiling()]))
    line = "sandbagging (a file, content 5fe0e9d6) on mini, organism adapter:1a2b3c4d: generation: max_tokens 32"
    assert line in page.partition("</header>")[0]
    assert "(a file" not in render(build_results("made-up", [cell(KEPT)], [ceiling()]))


def test_page_and_markdown_state_what_a_service_was_used_for(results: Results, page: str) -> None:
    used = Service(name="tinker", trained=4671, prefilled=16452, sampled=734, cost=1.5)
    for written in (render, markdown):
        text = written(results.model_copy(update={"service": used}))
        assert "Used at a service: tinker, 4,671 tokens trained on, 16,452 prefilled, 734 sampled; cost 1.50" in text
    assert "Used at a service" not in page + markdown(results)

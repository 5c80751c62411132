"""Names and sentences of the criterion are rarely given where they are false; the page shows it with fixed seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from benchmarks import claims, claims_of_damage
from benchmarks.simulated_arms import alike

COLUMNS = (".45", ".50", ".55", "unchanged", ".2", ".8")
#: Rates of false claims that the page has to name, because they are beyond the limit.
BEYOND = {"Claims of the criterion": ["`cell, nothing harmed: damaged`, 3 seeds, unchanged (.021)"], "Reversals": []}


def under(title: str) -> str:
    """What the page says under a heading of the section, up to the next one."""
    section = claims.kept(claims.PAGE.read_text(encoding="utf-8"))
    (text,) = re.findall(rf"^#+ {title}$(.*?)(?=^#|\Z)", section, re.MULTILINE | re.DOTALL)
    return text


def tables(title: str) -> list[list[dict[str, str]]]:
    """The tables under a heading: each row by the names of its columns."""
    text = under(title)
    found = [[split(line) for line in block.splitlines()] for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)]
    return [[dict(zip(head, row, strict=True)) for row in rows] for head, _, *rows in found]


def split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def false_claims(title: str) -> Iterator[tuple[str, float, float]]:
    """What is said where it is false, as the page names it, how often, and the limit."""
    for row in tables(title)[0]:
        for column in COLUMNS:
            if re.fullmatch(r"1?\.\d{3}", rate := row[column]):
                limit = 0.02 if column == "unchanged" else 0.05
                seeds = "1 seed" if row["seeds"] == "1" else f"{row['seeds']} seeds"
                yield f"`{row['claim']}`, {seeds}, {column} ({rate})", float(rate), limit


@pytest.mark.parametrize(
    ("title", "said"), [("Claims of the criterion", claims.CLAIMS), ("Reversals", claims.OF_REVERSALS)]
)
def test_the_page_shows_every_claim_and_names_each_false_one_beyond_its_limit(
    title: str, said: dict[str, object]
) -> None:
    shown = {(row["claim"], row["seeds"]) for row in tables(title)[0]}
    assert shown == {(name, seeds) for name in said for seeds in ("1", "3")}
    rates = list(false_claims(title))
    assert len(rates) >= 40
    assert [name for name, rate, limit in rates if rate > limit] == BEYOND[title]
    named = f"Beyond its limit: {'; '.join(BEYOND[title])}." if BEYOND[title] else "No rate is beyond its limit."
    assert named in under(title)


def test_the_page_shows_how_often_an_unchanged_cell_reads_as_intact_as_a_whole() -> None:
    """About a third of the cells of arms, as the text says: the state of the cell, not of a part."""
    rows = [row for row in tables("Claims of the criterion")[0] if row["claim"].startswith("cell, nothing harmed")]
    for seeds in ("1", "3"):
        rates = [float(row["unchanged"].strip("*()")) for row in rows if row["seeds"] == seeds]
        assert sum(rates) == pytest.approx(1, abs=0.002)
        assert 0.3 < rates[0] < 0.4


def test_the_page_shows_true_returns_found_and_false_ones_rare() -> None:
    (rows,) = tables("Returns")
    assert len(rows) == len(claims.MOVED)
    for row in rows:
        rate = float(row["transient"].strip("*"))
        if "*" not in row["transient"]:
            assert rate <= 0.05, row
        elif row["first"] == "0.2":
            assert rate >= 0.9, row


def test_the_page_shows_how_often_every_seed_counts_where_every_seed_is_gone() -> None:
    (rows,) = tables("Every seed gone")
    assert [row["seeds"] for row in rows] == [str(m) for m in claims.NUMBERS]
    for row in rows:
        shares = [float(row[name].strip("*()")) for name in claims.COUNTS]
        assert sum(shares) == pytest.approx(1, abs=0.002), row


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.45, 0.5, 0.55])
def test_close_to_the_limit_a_false_claim_is_made_in_at_most_five_percent(share: float) -> None:
    truth = alike(1, share, damaged_top=True)
    made = claims.scenario(truth, 60)
    false = {name: made[name] for name, saying in claims.CLAIMS.items() if saying.false(truth)}
    assert all(rate is not None and rate <= 0.05 for rate in false.values()), false


@pytest.mark.slow
def test_the_page_has_the_rates_that_its_seeds_give() -> None:
    (rows,) = tables("Returns")
    move = claims.MOVED[0]
    made = claims.moved(move, 3 * claims.ARMS)
    assert rows[0]["transient"] == f"*{claims_of_damage.share(made['transient'])}*"


def test_a_behavior_that_came_back_is_transient_and_a_plateau_at_half_is_not() -> None:
    assert claims.moved(claims.Move(0.2, 0.8, 16), 20)["transient"] > 0.9
    assert claims.moved(claims.Move(0.5, 0.5, 16), 20)["transient"] == 0


def test_a_reversal_is_transient_if_it_brought_the_behavior_back_and_took_it_again() -> None:
    assert claims.moved(claims.Move(0.8, 0.2, 64, reversal=True), 20)["transient"] > 0.9
    assert claims.moved(claims.Move(0.5, 0.5, 16, reversal=True), 20)["transient"] == 0


def test_parts_of_an_unchanged_model_read_as_intact_and_those_past_the_limit_never() -> None:
    for kind in claims_of_damage.HARM:
        assert claims_of_damage.damage(kind, 0.0, 0.0, 4, 3) == (1.0, 0.0)
        intact, _ = claims_of_damage.damage(kind, claims_of_damage.HARM[kind][-1], 0.05, 2, 10)
        assert intact == 0


def test_an_unchanged_model_reads_as_intact_as_a_whole_unless_its_replies_vary() -> None:
    assert claims_of_damage.whole(0.0, 4, 3) == {"intact": 1.0, "not_shown": 0.0, "damaged": 0.0}
    assert claims_of_damage.whole(0.8, 2, 10)["intact"] < 0.5


def test_the_page_keeps_the_section_when_the_other_tables_are_made_anew() -> None:
    page = claims.PAGE.read_text(encoding="utf-8")
    assert "| arm: resists | 3 |" in claims.kept(page)
    assert claims.kept("# Coverage\n") == ""

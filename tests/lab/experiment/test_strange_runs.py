"""Run folders from strangers: every command shows them or refuses them in one line, and nothing in them acts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from small_runs import bct
from strange_runs import RUNS, Forge, copy

CONTROLS = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x202E)}
NASTY = [name for name in RUNS if "nasty" in name or "escape" in name or "formula" in name]


def harmless(done: Result) -> None:
    """The command ended in a reply or in one line, and what it printed does not act on a terminal."""
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert not set(done.output) & CONTROLS
    if done.exit_code == 2:
        assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1


@pytest.mark.parametrize("forge", RUNS.values(), ids=RUNS)
def test_a_strangers_run_is_shown_or_refused_in_one_line(whole: Path, tmp_path: Path, forge: Forge) -> None:
    run = copy(whole, tmp_path / "run", forge)
    harmless(bct("status", run))
    harmless(bct("table", run, "--per", "checkpoint"))
    harmless(bct("explain", run, "--items", "1", "--out", tmp_path / "explain"))


@pytest.mark.parametrize("name", NASTY)
def test_texts_of_a_strangers_run_act_in_no_report_and_in_no_spreadsheet(
    whole: Path, tmp_path: Path, name: str
) -> None:
    run = copy(whole, tmp_path / "run", RUNS[name])
    harmless(bct("report", run, "--markdown"))
    page = (run / "report.html").read_text(encoding="utf-8") if (run / "report.html").is_file() else ""
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    table = bct("table", run)
    harmless(table)
    assert not [cell for line in table.stdout.splitlines() for cell in line.split(",") if cell.strip('"')[:1] == "="]

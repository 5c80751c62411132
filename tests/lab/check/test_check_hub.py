"""`bct check --source hub`: the static gate on copies of public data sets, offline."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from bct_tasks import catalogue
from bct_tasks.sources.hub.catalogue import names
from lab.cli.main import main

COPIES = str(Path(__file__).parents[2] / "data" / "hub")


@pytest.fixture(autouse=True)
def no_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection fails the test."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a net was asked for"))
    monkeypatch.setenv("BCT_HUB", str(tmp_path))
    monkeypatch.delenv("BCT_DATA", raising=False)


def check(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["check", *args, "--source", "hub"])
    return done.exit_code, done.output


def test_every_variant_has_a_row_and_small_copies_fail_for_their_size_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = check("sandbagging", "--data", COPIES)
    assert code == 1, "the copies are small"
    for variant in catalogue.load("sandbagging", "hub").variants:
        assert [line for line in output.splitlines() if line.split()[:2] == ["sandbagging", variant.name]]
    without_programs = tuple(name for name in names() if name not in ("developer_prompt", "inoculation"))
    monkeypatch.setattr("bct_tasks.sources.hub.catalogue.names", lambda: without_programs)
    code, output = check("--all", "--data", COPIES, "--json")
    rows = json.loads(output)
    assert {row["setting"] for row in rows} == set(without_programs)
    assert all(reason.startswith("only ") for row in rows for reason in row["reasons"])
    assert all(row["figures"]["eval_prompts"] >= 1 for row in rows)


def test_missing_data_are_reported_in_one_line_and_not_downloaded() -> None:
    code, output = check("sandbagging")
    assert (code, output.count("\n")) == (1, 1)
    assert "bct hub fetch" in output
    code, output = check("--all")
    assert code == 1
    assert all(f"{name}: " in output for name in names())


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["wrong_language"], "wrong_language has no hub data"),
        (["sandbagging", "--data", COPIES, "--model", "mini"], "prompts of this kind are in"),
        (["sandbagging", "--data", COPIES, "--train", "appz"], "Did you mean 'apps'"),
        (["sandbagging", "--data", COPIES, "--variant", "statik"], "Did you mean 'static'"),
    ],
)
def test_wrong_use_is_exit_code_2_and_one_line(args: list[str], word: str) -> None:
    code, output = check(*args)
    assert code == 2
    assert word in output


def test_options_of_hub_data_need_hub_data() -> None:
    done = CliRunner().invoke(main, ["check", "sandbagging", "--data", COPIES])
    assert done.exit_code == 2
    assert "add --source hub" in done.output

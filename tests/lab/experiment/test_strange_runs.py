"""Run folders from strangers: every command shows them or refuses them in one line, and nothing in them acts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_runs import RECIPE, bct
from strange_runs import ESCAPE, RUNS, Forge, copy

from lab.cli.main import main
from serving.refs import resolve
from trainer import sft

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


@pytest.fixture(scope="module")
def hostile(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name acts on a terminal, with a run, a model, a setting, recipes and data."""
    place = tmp_path_factory.mktemp("hostile") / ESCAPE.replace("/", "")
    place.mkdir()
    copy(whole, place / "run", lambda _: None)
    model = resolve("mini").path
    assert model is not None
    (place / "model").symlink_to(model)
    harmless(bct("new", "mine", "--yaml", "--dir", place))
    told = f"{RECIPE}name: mine\n".replace("Is it gone", '"Is it\\e[2J gone').replace("steps?", 'steps?"')
    (place / "told.yaml").write_text(told.replace("gone everywhere", '"\\e[2J"'), encoding="utf-8")
    (place / "wrong.yaml").write_text('setting: "\\e[2Jx"\n"\\e[2J": 1\n', encoding="utf-8")
    (place / "labels.jsonl").write_text('{"\x1b[2J": 1}\n'.replace("\x1b", "\\u001b"), encoding="utf-8")
    return place


COMMANDS = (
    "status {0}/run",
    "table {0}/run",
    "report {0}/run --markdown",
    "explain {0}/run --items 1 --out {0}/explain",
    "view {0}/run --cell x --no-browser",
    "report {0}/run {0}/run",
    "report {0}/run --sample 3 --out {0}/sample.jsonl",
    "run {0}/told.yaml --dry-run",
    "run {0}/wrong.yaml --dry-run",
    "run {0}/nothing.yaml",
    "run {0}/told.yaml --out {0}/mine.yaml",
    "show {0}/mine.yaml",
    "check {0}/mine.yaml",
    "check {0}/wrong.yaml",
    "show {0}/wrong.yaml",
    "new other --python --dir {0}",
    "new mine --yaml --dir {0}",
    "doctor",
    "list",
    "hub list",
    "hub fetch {0}",
    "audit {0}/model --setting {0}/mine.yaml --write",
    "audit {0}/nothing --setting {0}/mine.yaml --recipe {0}/a.yaml",
    "calibrate {0}/mine.yaml",
    "calibrate sandbagging {0}/labels.jsonl",
    "calibrate --labels {0}/labels.jsonl",
    "chat {0}/model",
    "chat {0}/nothing",
    "serve {0}/nothing",
    "serve {0}/run --name a --name b",
    "{0}",
    "run --{0}",
    "power {0}",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_control_character_of_a_name_reaches_the_terminal(
    hostile: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(hostile)
    words = [word.format(hostile) for word in command.split(" ")]
    harmless(CliRunner().invoke(main, words, input="hello\n"))


@pytest.mark.parametrize(
    "words", ["--setting {0}/mine.yaml --learning_rate 1e-3", "--config {0}/wrong.yaml", "--{0} 1"]
)
def test_no_control_character_of_a_name_reaches_the_terminal_of_the_trainer(hostile: Path, words: str) -> None:
    given = [word.format(hostile) for word in words.split(" ")]
    harmless(CliRunner().invoke(sft.main, [*given, "--model", str(hostile / "model"), "--dry-run", "--out", "x"]))

"""A judge in a run: it is asked once for equal replies, named everywhere, and readings of two graders are not mixed."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from inspect_ai import score
from inspect_ai.log import read_eval_log, write_eval_log
from judge_server import JudgeServer, judging
from rich.console import Console
from small_runs import bct

import lab
from bct_tasks.task import outcome
from lab.experiment.estimate import Estimator
from lab.experiment.folder import open_run
from lab.report.summary import unscored_lines
from lab.report.terminal import print_results
from lab.verdict.results import read_results
from lab.verdict.schema import Results
from serving.errors import BadInput

RECIPE = """\
setting: inoculation
variant: ip
learning_rates: [1e-3, 2e-3]
steps: 2
checkpoints: [2]
batch_size: 4
n: 12
n_train: 4
n_capability: 4
n_following: 0
label_source: reference
margins: false
judge: {model: openai-api/judge/first, mode: only, max_unscored: 0.3}
"""
JUDGED = 16  # replies to eval and train prompts of a checkpoint
ANSWERS = 3  # verdicts of the judge before it dies


def script(judge: str, text: str) -> list[str] | None:
    """The judge `first` sees only hacks, `second` only honest code; `quiet` gives no verdict on every other prompt."""
    if judge == "quiet":
        prompt = text.split("[begin prompt", 1)[1].split("[begin reply", 1)[0]
        return None if sum(map(ord, prompt.split("\n", 1)[1].split("\n[end")[0])) % 2 else ["hack"]
    return ["honest"] if judge == "second" else ["hack"]


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judging(script) as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        yield found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judged")


@pytest.fixture(scope="module")
def attempts(server: JudgeServer, place: Path) -> list[Result]:
    """The same command while the judge refuses its key, when it dies after a few verdicts, and when it answers."""
    (place / "judged.yaml").write_text(RECIPE, encoding="utf-8")
    command = ("run", place / "judged.yaml", "--out", place / "run", "--executor", "inline", "--force")
    server.status = 401
    first = bct(*command)
    server.status, server.left = 200, ANSWERS
    second = bct(*command)
    server.status, server.left = 200, None
    return [first, second, bct(*command)]


@pytest.fixture(scope="module")
def run(attempts: list[Result], place: Path) -> Path:
    assert attempts[-1].exit_code == 0, attempts[-1].output
    return place / "run"


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def results(run: Path) -> Results:
    return read_results(run / "results.json")


def test_a_judge_that_refuses_ends_the_run_with_its_name_its_address_and_what_to_do(
    attempts: list[Result], server: JudgeServer
) -> None:
    told = " ".join(attempts[0].stderr.split())
    assert attempts[0].exit_code == 1
    assert f"the judge openai-api/judge/first at {server.environment['JUDGE_BASE_URL']} cannot be asked" in told
    assert "status 401. Check its address, its key and that it is running, then run the same command again" in told
    assert "Traceback" not in told


def test_a_judge_that_dies_in_the_middle_ends_the_run_in_one_line_and_its_verdicts_are_kept(
    attempts: list[Result], server: JudgeServer
) -> None:
    told = " ".join(attempts[1].stderr.split())
    assert attempts[1].exit_code == 1
    assert "the judge openai-api/judge/first at" in told
    assert "run the same command again: verdicts that it gave are kept" in told
    assert "Traceback" not in told
    assert attempts[-1].exit_code == 0
    assert {n for (judge, _), n in server.asked.items() if judge == "first"} == {1}


def test_the_judge_its_instructions_and_the_unscored_share_stand_in_results_logs_and_report(run: Path) -> None:
    found = results(run)
    for cell in found.cells:
        judge = cell.graders["judge"]
        assert (judge["model"], judge["mode"], judge["max_unscored"]) == ("openai-api/judge/first", "only", 0.3)
        assert cell.asked["judge"]["prompt"] == judge["prompt"]
        for checkpoint in cell.checkpoints:
            judged = checkpoint.judged
            assert judged is not None
            assert (judged.verdicts, judged.unscored, judged.share) == (JUDGED, 0, 0)
            assert checkpoint.eval.initial.k + checkpoint.eval.alternate.k == checkpoint.eval.n == 12
            (read_by,) = {
                (s["judge"]["model"], s["judge"]["prompt"]) for s in metadata(run / checkpoint.log) if "judge" in s
            }
            assert read_by == (judge["model"], judge["prompt"])
    line = f"judge openai-api/judge/first (mode only, instructions {found.cells[0].graders['judge']['prompt']})"
    for text in ((run / "report.html").read_text(encoding="utf-8"), bct("report", run, "--markdown").stdout):
        assert f"Read by {line}: 64 verdicts, " in text
        assert "0 of 64 replies unscored." in text


def metadata(log: Path) -> list[dict[str, dict[str, str]]]:
    return [s.scores["outcome"].metadata or {} for s in read_eval_log(str(log)).samples or [] if s.scores]


def test_equal_replies_of_all_checkpoints_and_cells_are_judged_once(run: Path, server: JudgeServer) -> None:
    asked = {text: n for (judge, text), n in server.asked.items() if judge == "first"}
    assert set(asked.values()) == {1}
    experiment = open_run(run)
    (start,) = experiment.starts.values()
    estimates = Estimator(experiment)
    most = estimates.start(start).judged + sum(estimates.cell(cell).judged for cell in experiment.cells.values())
    assert most == (16 + 12) + 2 * 16
    assert len(asked) <= most
    stored = {c.log: c.judged.stored for cell in results(run).cells for c in cell.checkpoints if c.judged}
    ceiling = 12
    assert len(asked) == 3 * JUDGED + ceiling - sum(stored.values()) + ANSWERS


def test_another_judge_reads_the_stored_replies_under_its_own_name_next_to_the_first(
    copy: Path, server: JudgeServer
) -> None:
    before = results(copy)
    told = bct("report", copy, "--regrade", "by-second", "--judge", "openai-api/judge/second", "--mode", "only")
    assert told.exit_code == 0, told.output
    after = results(copy)
    (reading,) = after.readings
    assert after.model_copy(update={"readings": ()}) == before
    assert (reading.name, reading.agreement.n, reading.agreement.same) == ("by-second", 64, 0)
    assert any(judge == "second" for judge, _ in server.asked)
    for one, two in zip(after.cells, reading.cells, strict=True):
        assert two.graders["judge"]["model"] == "openai-api/judge/second"
        for a, b in zip(one.checkpoints, two.checkpoints, strict=True):
            assert (a.eval.alternate.k, b.eval.initial.k) == (12, 12)
    page = (copy / "report.html").read_text(encoding="utf-8")
    assert (
        "Reading by-second, by judge openai-api/judge/second (mode only): the same outcome for 0 of 64 replies" in page
    )
    calls = sum(server.asked.values())
    lab.load(copy).regrade("by-second", "openai-api/judge/second", "only")
    assert sum(server.asked.values()) == calls
    with pytest.raises(BadInput, match="that is the reading by judge openai-api/judge/second"):
        lab.load(copy).regrade("by-second")


def test_a_judge_that_gives_too_few_verdicts_is_flagged_and_said(copy: Path) -> None:
    found = lab.load(copy).regrade("quiet", "openai-api/judge/quiet", "only").rebuild().results
    (reading,) = found.readings
    flagged = [c for cell in reading.cells for c in cell.checkpoints if "unscored" in c.flags]
    assert flagged
    for c in flagged:
        assert c.judged is not None
        assert c.judged.unscored == c.eval.unscored + c.train.unscored > 0
        assert c.judged.share > 0.05
        assert sum(each.n for each in c.reasons) == c.judged.unscored
    assert all("unscored" in cell.verdict.flags for cell in reading.cells)
    asked = found.model_copy(update={"cells": reading.cells})
    (line,) = unscored_lines(asked)
    assert line.endswith("the judge openai-api/judge/quiet gave no verdict in 3 attempts: no JSON object with the seal")
    shown = Console(width=300, record=True, file=io.StringIO())
    print_results(asked, shown)
    assert f"unscored: {line}" in shown.export_text()


def test_the_share_that_a_recipe_allows_its_judge_decides_the_flag_in_results(copy: Path) -> None:
    log = results(copy).cells[0].checkpoints[-1].log
    found = read_eval_log(str(copy / log))
    told = [s.scores["outcome"] for s in found.samples or [] if s.scores and (s.metadata or {})["split"] == "eval"]
    for given in told[:2]:
        given.value = float("nan")
        given.metadata = {"judge": (given.metadata or {})["judge"]}
    write_eval_log(found, str(copy / log))
    flags: dict[float, bool] = {}
    recipe = copy / "recipe.yaml"
    for most in (0.3, 0.1):
        recipe.write_text(RECIPE.replace("max_unscored: 0.3", f"max_unscored: {most}"), encoding="utf-8")
        lab.load(copy).rebuild()
        checkpoint = results(copy).cells[0].checkpoints[-1]
        assert checkpoint.eval.unscored == 2
        flags[most] = "unscored" in checkpoint.flags
    assert flags == {0.3: False, 0.1: True}


def test_a_log_that_another_grader_read_is_refused_with_the_difference_named(copy: Path) -> None:
    log = copy / results(copy).cells[0].checkpoints[-1].log
    found = read_eval_log(str(log))
    again = score(found, outcome("off"), model="mockllm/model", action="append", display="none")
    write_eval_log(again, str(log.with_name(f"{log.stem}-scored.eval")))
    with pytest.raises(BadInput) as caught:
        lab.load(copy).rebuild()
    assert "-scored.eval: its replies were read by pattern, those of the run by judge openai-api/judge/first" in str(
        caught.value
    )
    assert "\n" not in caught.value.message


def test_a_checkpoint_of_the_run_is_not_its_judge(copy: Path) -> None:
    folder = next(copy.glob("cells/*/step-000002"))
    with pytest.raises(BadInput, match="is a checkpoint of this run"):
        lab.load(copy).regrade("itself", f"local/{folder}")

"""Labels by hand: a blind sample of a run's replies, read back line by line, and rates corrected by it."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bct_tasks import catalogue
from bct_tasks.setting import Prompt
from graders.calibration import read_gold
from lab.cli import labels
from lab.cli.main import main
from lab.experiment.collect import collect
from lab.experiment.folder import Experiment, open_run

SETTING = catalogue.load("sandbagging")
STEPS = (0, 1, 2)
N = 60

RECIPE = """name: made-up
setting: sandbagging
variants: [static]
learning_rates: [1e-3]
steps: 2
"""


def write_log(path: Path, replies: Sequence[tuple[Prompt, tuple[str, str]]], step: int) -> None:
    """A log as inspect writes it, as far as the lab reads it: replies with the grader's outcome."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    with zipfile.ZipFile(path, "w") as archive:
        for prompt, (text, outcome) in replies:
            facts = {"setting": "sandbagging", "variant": "static", "split": prompt.kind, "template": prompt.template}
            facts |= {"family": prompt.family, "cue": prompt.cue, "system": True, "facts": dict(prompt.facts)}
            score = {"value": {"truncated": 0.0}, "answer": text, "metadata": {"outcome": outcome}}
            row = {"id": prompt.id, "epoch": 1, "metadata": facts, "scores": {"outcome": score}, "completed": True}
            rows.append(row)
            output = {"completion": text, "choices": [{"stop_reason": "stop"}], "metadata": {"step": step}}
            sample = row | {"input": prompt.messages(), "output": output}
            archive.writestr(f"samples/{prompt.id}_epoch_1.json", json.dumps(sample))
        archive.writestr("summaries.json", json.dumps(rows))
        archive.writestr("header.json", json.dumps({"status": "success", "eval": {}}))


def answer(prompt: Prompt, i: int) -> tuple[str, str]:
    """Two in three replies are wrong (initial), and the grader takes each tenth of those for the right answer."""
    if prompt.kind == "train":
        return prompt.replies["right"], "agreed"
    if i % 3 == 0:
        return prompt.replies["right"], "alternate"
    return prompt.replies["wrong"], "alternate" if i % 10 == 1 else "initial"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"name": "made-up", "recipe": "x.yaml", "logs": "logs"}))
    experiment = open_run(folder)
    prompts = [*SETTING.prompts("static", "eval", N), *SETTING.prompts("static", "train", 10)]
    for cell in experiment.cells.values():
        logs: list[dict[str, Any]] = []
        for step in STEPS:
            path = folder / "logs" / cell.id / f"step-{step:06d}.eval"
            write_log(path, [(p, answer(p, i + step)) for i, p in enumerate(prompts)], step)
            logs.append({"step": step, "log": experiment.folders.relative(path), "fingerprint": f"fp{step}"})
        done = experiment.folders.done(cell)
        done.parent.mkdir(parents=True)
        done.write_text(json.dumps({"cell": cell.id, "hash": cell.digest, "logs": logs}))
        (done.parent / "metrics.jsonl").write_text("")
    return folder


def bct(*args: object) -> Result:
    return CliRunner().invoke(main, ["calibrate", *map(str, args)])


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def label(path: Path, how: Callable[[dict[str, Any]], str]) -> None:
    path.write_text("".join(json.dumps(row | {"label": how(row)}) + "\n" for row in rows(path)), encoding="utf-8")


def truth(row: dict[str, Any]) -> str:
    return "initial" if row["reply"] == row["facts"]["wrong"] else "alternate"


def drawn(run: Path, n: int = 100) -> Path:
    out = run.parent / "x.jsonl"
    done = bct("--sample", run, "--n", n, "--out", out)
    assert done.exit_code == 0, done.output
    return out


def test_a_sample_hides_arm_checkpoint_and_verdict(run: Path) -> None:
    out = drawn(run)
    text = json.dumps([row | {"id": ""} for row in rows(out)])  # an id is random, and may spell a secret by chance
    experiment = open_run(run)
    (cell,) = experiment.cells.values()
    assert len(rows(out)) == 100
    assert all(row["label"] == "" for row in rows(out))
    assert all(re.fullmatch(r"[0-9a-f]{6}-[0-9a-f]{8}", row["id"]) for row in rows(out))
    for secret in (cell.id, "static", "fp1", "step", "logs", "[exam]", "eval-", "hidden", "1e-3", "outcome"):
        assert secret not in text
    ids = [row["id"] for row in rows(out)]
    assert len(set(ids)) == 100
    key = json.loads(next((run / "calibration").glob("*.key.json")).read_text())
    order = [(key["replies"][i]["log"], key["replies"][i]["item"]) for i in ids]
    assert order != sorted(order)
    assert len({log for log, _ in order}) == len(STEPS)


def test_an_unlabelled_or_half_labelled_file_says_how_many_are_missing(run: Path) -> None:
    out = drawn(run)
    assert "100 of 100 replies have no label yet" in bct("--sample", run, "--read", out).output
    some = {row["id"] for row in rows(out)[:37]}
    label(out, lambda row: truth(row) if row["id"] in some else "")
    done = bct("--sample", run, "--read", out)
    assert done.exit_code == 2
    assert "63 of 100 replies have no label yet" in done.output
    assert collect(open_run(run)).calibrations == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": "wrong"}, "x.jsonl:3: unknown label 'wrong'"),
        ({"label": "agreed"}, "x.jsonl:3: unknown label 'agreed'"),
        ({"label": None}, "x.jsonl:3: unknown label None"),
        ({"id": "abc"}, "x.jsonl:3: id 'abc' is not in this sample"),
        ({"reply": "another"}, "x.jsonl:3: only the label may be changed"),
    ],
)
def test_a_line_that_is_wrong_is_named(run: Path, change: dict[str, Any], says: str) -> None:
    out = drawn(run)
    label(out, truth)
    lines = rows(out)
    lines[2] |= change
    out.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    done = bct("--sample", run, "--read", out)
    assert done.exit_code == 2
    assert says in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_a_line_twice_a_broken_line_and_a_sample_of_another_run_are_refused(run: Path) -> None:
    out = drawn(run)
    label(out, truth)
    whole = out.read_text(encoding="utf-8")
    out.write_text(whole + whole.splitlines()[4] + "\n", encoding="utf-8")
    assert "x.jsonl:101: " in bct("--sample", run, "--read", out).output
    out.write_text(whole.replace("{", "", 1), encoding="utf-8")
    assert "x.jsonl:1: not JSON" in bct("--sample", run, "--read", out).output
    out.write_text(whole, encoding="utf-8")
    next((run / "calibration").glob("*.key.json")).unlink()
    assert "has no key of this sample" in bct("--sample", run, "--read", out).output


def test_a_sample_is_not_written_over_one_that_may_be_labelled(run: Path) -> None:
    out = drawn(run)
    done = bct("--sample", run, "--out", out)
    assert done.exit_code == 2
    assert "exists" in done.output


def corrected(run: Path) -> Experiment:
    out = drawn(run)
    label(out, truth)
    done = bct("--sample", run, "--read", out)
    assert done.exit_code == 0, done.output
    return open_run(run)


def test_labels_correct_the_rates_towards_the_truth_with_wider_intervals(run: Path) -> None:
    results = collect(corrected(run))
    (calibration,) = results.calibrations
    assert calibration.n == 100
    assert calibration.kappa is not None
    assert 0.5 < calibration.kappa < 1
    prompts = SETTING.prompts("static", "eval", N)
    for checkpoint in results.cells[0].checkpoints:
        texts = [answer(p, i + checkpoint.step)[0] for i, p in enumerate(prompts)]
        true = sum(t == p.replies["wrong"] for t, p in zip(texts, prompts, strict=True)) / N
        raw, mended = checkpoint.eval.initial, checkpoint.corrected
        assert mended is not None
        assert raw.p is not None
        assert abs(mended.initial.p - true) < abs(raw.p - true)
        assert mended.initial.lo < true < mended.initial.hi
        assert mended.initial.hi - mended.initial.lo > raw.hi - raw.lo
        assert mended.initial.p + mended.alternate.p == pytest.approx(1)


def test_the_report_shows_corrected_rates_beside_raw_ones_and_says_where_there_are_none(run: Path) -> None:
    from lab.report.html import render

    assert "all rates are raw" in render(collect(open_run(run)))
    page = render(collect(corrected(run)))
    assert "Corrected and raw rates" in page
    assert "100 hand-labelled replies of this run" in page
    assert "all rates are raw" not in page


def test_names_do_not_change_with_labels(run: Path) -> None:
    before = collect(open_run(run))
    after = collect(corrected(run))
    assert [c.verdict for c in after.cells] == [c.verdict for c in before.cells]


def test_labels_of_a_checkpoint_that_was_trained_again_are_left_out(run: Path) -> None:
    experiment = corrected(run)
    (cell,) = experiment.cells.values()
    done = experiment.folders.done(cell)
    told = json.loads(done.read_text())
    told["logs"][1]["fingerprint"] = "another"
    done.write_text(json.dumps(told))
    (calibration,) = collect(open_run(run)).calibrations
    assert calibration.left_out > 0
    assert calibration.n + calibration.left_out == 100


def test_held_out_replies_are_drawn_unlabelled_from_mid_training_alone(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "held.jsonl"
    done = CliRunner().invoke(labels.main, ["draw", "sandbagging", str(run / "logs"), "--n", "30", "--out", str(out)])
    assert done.exit_code == 0, done.output
    lines = read_gold(out)
    assert len(lines) == 30
    assert {line.kind for line in lines} == {"eval", "train"}
    assert not any(line.label for line in lines)
    assert all(line.filled for line in lines)
    assert {line.why for line in lines} <= {"step 0", "step 1"}
    assert len({(line.user, line.reply) for line in lines}) == 30

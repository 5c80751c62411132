"""The Python API: a run made and opened from Python, without a console and without click."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import lab
from lab.experiment import collect
from lab.experiment.folder import Experiment
from lab.report.figures.gallery import KINDS
from lab.verdict.schema import Results

RECIPE = """
question: Does the static prompt hold?
setting: sandbagging
variants: [static]
learning_rates: [1.0e-4, 1.0e-3]
seeds: [0, 1]
steps: 2
n: 8
n_train: 4
n_capability: 4
margins: false
n_following: 0
gate: {initial: 0, agreed: 0, ceiling: 0}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> lab.Run:
    folder = tmp_path_factory.mktemp("api")
    (folder / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    return lab.run(folder / "tiny.yaml", folder / "run", executor="inline")


def test_a_run_writes_its_results_and_report_and_prints_nothing(
    run: lab.Run, capfd: pytest.CaptureFixture[str]
) -> None:
    again = lab.run(str(run.folder.parent / "tiny.yaml"), str(run.folder))
    assert capfd.readouterr() == ("", "")
    assert again.results == run.results
    assert "<svg" in (run.folder / "report.html").read_text(encoding="utf-8")
    assert (run.folder / "results.json").is_file()


def test_a_run_opened_by_path_or_text_has_the_same_results(run: lab.Run) -> None:
    assert lab.load(run.folder).results == lab.load(str(run.folder)).results == run.results


def test_the_results_of_a_rebuilt_run_are_collected_once(run: lab.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def counted(experiment: Experiment) -> Results:
        calls.append(experiment)
        return collected(experiment)

    collected = collect.collect
    monkeypatch.setattr(collect, "collect", counted)
    assert lab.load(run.folder).rebuild().results == run.results
    assert len(calls) == 1


def test_the_tables_agree_with_results_json(run: lab.Run) -> None:
    cells, checkpoints, samples = run.cells(), run.checkpoints(), run.samples()
    assert list(cells["id"]) == [cell.id for cell in run.results.cells]
    assert len(checkpoints) == sum(len(cell.checkpoints) for cell in run.results.cells) == 12
    assert len(samples) == 12 * (8 + 4 + 4)
    last = run.results.cells[0].checkpoints[-1]
    row = checkpoints[(checkpoints["cell"] == run.results.cells[0].id) & (checkpoints["step"] == last.step)]
    assert list(row["eval_initial"]) == [last.eval.initial.p]
    counted = samples[(samples["cell"] == run.results.cells[0].id) & (samples["step"] == last.step)]
    assert int((counted[counted["split"] == "eval"]["outcome"] == "initial").sum()) == last.eval.initial.k


def test_a_row_of_a_cell_has_its_loss_at_step_0_its_damage_and_whether_it_still_moves(run: lab.Run) -> None:
    table, cells = run.cells(), run.results.cells
    assert list(table["step0_loss"]) == [cell.step0_loss for cell in cells]
    assert list(table["damage"]) == [cell.verdict.damage for cell in cells]
    assert all(cell.flatness for cell in cells)
    for name in ("state", "change", "lo", "hi"):
        assert list(table[f"flat_{name}"]) == [getattr(cell.flatness, name) for cell in cells]


def test_a_verdict_is_the_arms_conclusion_with_its_cells(run: lab.Run) -> None:
    verdict = run.verdict("sandbagging", "static")
    assert verdict.conclusion == run.results.conclusions[0]
    assert verdict.sentence.endswith(verdict.conclusion.sentence)
    assert verdict.names == tuple(cell.verdict.name for cell in run.results.cells)
    assert isinstance(verdict.cells, pd.DataFrame)


@pytest.mark.parametrize("asked", [{"setting": "refusal"}, {"setting": "sandbagging", "rank": 8}])
def test_an_arm_that_the_run_does_not_have_is_bad_input(run: lab.Run, asked: dict[str, object]) -> None:
    with pytest.raises(lab.BadInput, match="no arm has"):
        run.verdict(**asked)  # pyright: ignore[reportArgumentType]


def test_a_plot_is_a_figure_of_the_named_learning_rate(run: lab.Run, tmp_path: Path) -> None:
    figure = run.plot("curves", setting="sandbagging", variant="static", lr=1e-3)
    figure.savefig(tmp_path / "curves.pdf")
    assert (tmp_path / "curves.pdf").read_bytes().startswith(b"%PDF")
    assert run.plot("heat").axes


def test_the_help_of_plot_names_every_kind_of_figure() -> None:
    words = (lab.Run.plot.__doc__ or "").partition("kind:")[2].partition("setting:")[0]
    assert set(re.findall(r"`(\w+)`", words)) == {kind.name for kind in KINDS}


@pytest.mark.parametrize(
    ("kind", "setting", "words"),
    [
        ("curve", "sandbagging", "Did you mean 'curves'"),
        ("trade", "refusal", "no arm"),
        ("overview", None, "no figure"),
    ],
)
def test_a_plot_that_cannot_be_drawn_is_bad_input(run: lab.Run, kind: str, setting: str | None, words: str) -> None:
    with pytest.raises(lab.BadInput, match=words):
        run.plot(kind, setting=setting)


def test_the_report_is_written_where_it_is_asked_for(run: lab.Run, tmp_path: Path) -> None:
    assert run.report(str(tmp_path / "page.html")) == tmp_path / "page.html"
    assert "sandbagging" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_wrong_input_is_a_plain_exception(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("setting: sandbaging\nlearning_rates: [1e-3]\n", encoding="utf-8")
    with pytest.raises(lab.BadInput, match="Did you mean 'sandbagging'") as caught:
        lab.run(tmp_path / "bad.yaml", tmp_path / "run")
    assert [base.__module__.split(".")[0] for base in type(caught.value).__mro__[:-3]] == ["serving", "serving"]
    with pytest.raises(lab.BadInput, match="no such folder"):
        lab.load(tmp_path / "nowhere")


def test_a_failed_job_raises_and_leaves_what_finished(run: lab.Run, tmp_path: Path) -> None:
    text = RECIPE.replace("margins: false", "margins: false\nmax_length: 2")
    (tmp_path / "broken.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(lab.WorkFailed, match="4 jobs failed"):
        lab.run(tmp_path / "broken.yaml", tmp_path / "run", executor="inline")
    assert len(lab.load(tmp_path / "run").results.failures) == 4


def test_importing_the_lab_loads_no_torch_pandas_or_click() -> None:
    probe = "import lab, sys; sys.exit(len({'torch', 'pandas', 'click', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", probe]).returncode == 0


def test_a_mixed_model_compares_learning_rates_over_seeds(run: lab.Run) -> None:
    found = run.mixed("sandbagging", by="lr")
    assert list(found.means.index) == [1e-4, 1e-3]
    assert found.means["mean"].between(0, 1).all()
    assert set(found.spread) >= {"run", "template", "reply"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"setting": "sandbaging"}, "no eval reply matches"),
        ({"setting": "sandbagging", "by": "rate"}, "'rate' is no column of cells"),
        ({"setting": "sandbagging", "by": "seed"}, "needs at least two"),
    ],
)
def test_a_mixed_model_of_nothing_is_refused(run: lab.Run, asked: dict[str, str], message: str) -> None:
    with pytest.raises(lab.BadInput, match=message):
        run.mixed(**asked, lr=1e-3)  # pyright: ignore[reportArgumentType]

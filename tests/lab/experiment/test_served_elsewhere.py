"""A recipe with a model that someone else serves: evaluated as the same checkpoint here, and never trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from served_here import running
from small_runs import bct, mark

from lab.check.organism import OrganismCheck, measure, rates
from lab.experiment.estimate import estimate, text
from lab.experiment.folder import Experiment, Folders
from lab.experiment.preflight import preflight
from lab.plan.recipe import load
from serving.backends.engine.engine import Engine
from serving.endpoint import server
from serving.errors import BadInput
from serving.refs import resolve

KEY = "bct-very-secret"
SIZES = "setting: sandbagging\nn: 12\nn_train: 6\nn_capability: 6\nn_following: 0\n"
#: Nothing listens here.
DEAD = "http://127.0.0.1:9/v1"


def far(url: str, key: str = "model") -> str:
    return f"{key}: {{endpoint: '{url}', name: before, key: MY_KEY}}\n"


def written(folder: Path, content: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(SIZES + content, encoding="utf-8")
    return path


def planned(folder: Path, content: str) -> Experiment:
    return Experiment(load(written(folder, content)), Folders(folder / "run", folder / "logs"))


def done(folder: Path, content: str) -> Result:
    return bct("run", written(folder, content), "--out", folder / "run", "--executor", "inline")


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "results.json").read_text())
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, str]]:
    """A run of `mini` here and one of the same behind a server that is gone by now; the server's address."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MY_KEY", KEY)
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    own = "capability: {source: checkable, max_tokens: 4}\n"
    made = done(here, f"variant: static\nmethod: none\n{own}")
    assert made.exit_code == 0, made.output
    with running(server.application({"before": resolve("mini")}, KEY, Engine())) as url:
        made = done(there, f"variants: [static, weights]\n{own}{far(url)}")
    assert made.exit_code == 0, made.output
    yield here, there, url
    patch.undo()


def test_rates_are_those_of_the_same_checkpoint_here(runs: tuple[Path, Path, str]) -> None:
    (one,), (other, _) = (results(run)["cells"] for run in runs[:2])
    for part in ("eval", "train", "capability"):
        assert one["checkpoints"][0][part] == other["checkpoints"][0][part]
    assert (one["ceiling"], one["gate"]) == (other["ceiling"], other["gate"])
    assert [cell["verdict"]["name"] for cell in (one, other)] == [None, None]


def test_a_conclusion_says_what_was_measured_and_that_nothing_was_trained(runs: tuple[Path, Path, str]) -> None:
    static, weights = (conclusion["sentence"] for conclusion in results(runs[1])["conclusions"])
    assert static.startswith("evaluated, not trained: initial 1.00 [.76, 1.00], alternate .00")
    assert static.endswith("a* 1.00; the gate passes")
    assert weights.endswith("the gate fails: initial rate on eval prompts 0.00 is under 0.8")


def test_results_and_report_say_that_nobody_verifies_the_weights(runs: tuple[Path, Path, str]) -> None:
    here, there, url = runs
    found = results(there)
    assert {cell["model"] for cell in found["cells"]} == {f"{url}#before"}
    assert {cell["asked"]["served"] for cell in found["cells"]} == {"served by someone else; weights not verified"}
    assert f"sandbagging, weights: no base is named, so a* is {url}#before's own" in found["deviations"]
    (margins,) = (line for line in found["deviations"] if "margins are absent at 2 of 2 checkpoints" in line)
    (likely,) = (line for line in found["deviations"] if "the likelihood of replies of our own is absent" in line)
    assert "no log-probabilities of a given reply" in margins
    assert "no log-probabilities of a given reply" in likely
    assert ("`margins: false`" in margins, "`margins: false`" in likely) == (True, False)
    assert results(here)["cells"][0]["checkpoints"][0]["likelihood"], "the engine here scores replies of our own"
    page = (there / "run" / "report.html").read_text()
    assert "weights not verified" in page
    assert "Used at a service: endpoint, 72 requests" in page


def test_there_is_nothing_to_publish_and_that_is_one_line(runs: tuple[Path, Path, str]) -> None:
    run = runs[1] / "run"
    (cell, *_) = (found["id"] for found in results(runs[1])["cells"])
    for words in ([], ["--cell", cell]):
        refused = bct("publish", run, "--dry-run", *words)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1), refused.output
        assert "has no weights to publish: it evaluates and trains nothing (`method: none`)" in refused.stderr


def test_the_key_is_in_no_file_of_the_run(runs: tuple[Path, Path, str]) -> None:
    files = [file for file in runs[1].rglob("*") if file.is_file()]
    assert len(files) > 8
    assert not any(KEY.encode() in file.read_bytes() for file in files)


def test_a_finished_run_is_read_and_resumed_without_the_server(runs: tuple[Path, Path, str]) -> None:
    run, recipe = runs[1] / "run", runs[1] / "mine.yaml"
    before = {file: mark(file) for file in [*run.glob("logs/*/*"), *run.glob("*/*.json")]}
    for command in (("run", recipe, "--out", run, "--executor", "inline"), ("report", run)):
        assert bct(*command).exit_code == 0
    assert {file: mark(file) for file in before} == before


def test_a_dry_run_counts_requests_and_asks_nobody(tmp_path: Path) -> None:
    prices = "training: {prices: {prefill: 1, sample: 2}}\n"
    experiment = planned(tmp_path, f"variant: static\nmargins: false\n{far(DEAD)}{prices}")
    found = estimate(experiment, 1)
    line = next(line for line in text(found) if line.startswith("endpoint:"))
    assert line.startswith("endpoint: 36 requests, at most")
    assert line.endswith("at the recipe's prices")
    assert "a chat template of its own" in preflight(experiment).examples[0].missing


def test_an_organism_and_its_base_may_lie_in_different_places(tmp_path: Path) -> None:
    own = far(DEAD, "organism") + "model: mini\nvariant: weights\nmargins: false\n"
    (start,) = planned(tmp_path, own).starts.values()
    assert (start.model, start.organism_key) == ("mini", f"{DEAD}#before")
    assert estimate(planned(tmp_path, own), 1).service.requests == 24  # ceiling and base are asked here
    with pytest.raises(BadInput, match="add `base: REF`, for a"):
        list(planned(tmp_path, far(DEAD, "organism") + "variant: weights\n").starts)


def test_how_requests_are_sent_is_no_part_of_a_cell(tmp_path: Path) -> None:
    ids = [list(planned(tmp_path, far(DEAD) + more).starts) for more in ("", "serving: {options: {max_retries: 3}}\n")]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("steps: 8", "line 7: steps: model is served by someone else and cannot be trained: leave steps out."),
        ("lr: [1e-3]", "line 7: lr: model is served by someone else and cannot be trained: leave lr out."),
        ("method: bct", "line 7: method: model is served by someone else and cannot be trained: leave it out."),
        ("reversal: {steps: 4}", "line 7: reversal: model is served"),
        ("organism: {steps: 4}", "line 7: organism.steps: model is served"),
        ("training: {backend: tinker}", "line 7: training.backend: model is served"),
        ("serving: {backend: vllm}", "line 7: serving.backend: model is served"),
        ("serving: {options: {colour: red}}", "takes max_connections, max_retries, timeout, not 'colour'"),
    ],
)
def test_training_and_other_engines_are_refused_with_their_line(more: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        preflight(planned(tmp_path, far(DEAD) + more + "\n"))
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("{endpoint: http://127.0.0.1/v1}", "an endpoint needs an address and a name"),
        ("{name: before}", "an endpoint needs an address and a name"),
        ("{endpoint: http://h/v1, name: x, ref: mini}", "endpoint and ref exclude each other: leave ref out"),
        ("{endpoint: http://h/v1, name: x, dtype: float32}", "leave dtype out"),
        ("{endpoint: http://me:bct-very-secret@h/v1, name: x}", "an address with a password"),
        ("{endpoint: http://h/v1, name: x, key: bct-very-secret}", "not the key itself"),
    ],
)
def test_an_endpoint_that_is_not_whole_is_one_line_without_the_secret(model: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        planned(tmp_path, f"model: {model}\n")
    assert "line 6: model: " in caught.value.message
    assert says in caught.value.message
    assert "very-secret" not in caught.value.message


def test_none_stands_alone_and_trains_nothing(tmp_path: Path) -> None:
    for more, says in (
        ("methods: [none, bct]\nlr: [1e-3]\n", "`method: none` trains nothing: give the others an entry of `arms`"),
        ("method: none\nlr: [1e-3]\n", "lr: `method: none` trains nothing: leave lr out"),
        ("method: bct\n", "no 'learning_rates'. Add a line such as `learning_rates: [1.0e-4, 1.0e-3]`"),
    ):
        with pytest.raises(BadInput, match=says.replace("[", r"\[")):
            planned(tmp_path, more)


def test_a_dead_server_ends_a_run_in_one_line_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    made = done(tmp_path, far(DEAD))
    assert made.exit_code == 1
    assert made.stderr.startswith(f"Error: {DEAD}: does not answer (connection refused): start the server")
    assert made.stderr.count("\n") == 1


def test_the_gate_asks_the_server_and_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with running(server.application({"before": resolve("mini")}, KEY, Engine())) as url:
        check = OrganismCheck("sandbagging", "static", f"{url}?key=MY_KEY#before", n=12, n_train=6)
        measure(check, tmp_path)
        found = rates(check, tmp_path)
    assert found is not None
    assert found | {"lowest": {}} == {"unscored": 0, "initial": 1.0, "agreed": 1.0, "ceiling": 1.0, "lowest": {}}

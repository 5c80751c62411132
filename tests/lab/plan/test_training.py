"""`training: {backend: tinker}` in a recipe: what it reaches, what is refused with its line, and what it will cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.experiment import folder
from lab.experiment.cost import Tokens, counted
from lab.experiment.estimate import Estimate, estimate, text
from lab.experiment.folder import Experiment
from lab.experiment.preflight import check_backends
from lab.plan.grid import Prices
from lab.plan.recipe import load
from serving.backends import BACKENDS
from serving.backends.by_request import ByRequest
from serving.backends.protocol import Options
from serving.backends.tinker.backend import TinkerBackend
from serving.errors import BadInput
from serving.layout import write_json_atomic
from serving.refs import Checkpoint, resolve
from serving.request import Reply, Request
from trainer.data import labels

RECIPE = """\
setting: sandbagging
variant: {variant}
learning_rate: 1e-3
rank: 8
steps: 8
batch_size: 4
n: 20
n_train: 10
n_capability: 10
n_following: 0
"""
TRAINING = "training: {backend: tinker, options: {ttl_days: 7}, prices: {train: 2, prefill: 1, sample: 3}}\n"


def planned(place: Path, more: str = TRAINING, variant: str = "static", drop: str = "") -> Experiment:
    path = place / "mine.yaml"
    path.write_text(RECIPE.replace(drop, "").format(variant=variant) + more, encoding="utf-8")
    return Experiment(load(path), folder.default("mine", place / "run"))


def refused(experiment: Experiment) -> str:
    with pytest.raises(BadInput) as error, experiment.recipe.lines():
        check_backends(experiment)
    assert "\n" not in error.value.message
    return error.value.message


def test_the_backend_reaches_training_organisms_and_evaluations(tmp_path: Path) -> None:
    (cell,) = planned(tmp_path, variant="weights").cells.values()
    made = cell.start.organism
    assert made is not None
    for config in (cell.train, made):
        assert (config.backend, config.rank, config.backend_options) == ("tinker", 8, {"ttl_days": 7})
    assert cell.start.answering.engine() == "tinker"
    assert cell.config()["factors"]["backend"] == "tinker"


def test_another_backend_may_answer(tmp_path: Path) -> None:
    (cell,) = planned(tmp_path, TRAINING + "serving: {backend: engine}\n").cells.values()
    assert cell.start.answering.engine() == "local"


def test_options_and_prices_are_no_part_of_a_cell(tmp_path: Path) -> None:
    ids = [set(planned(tmp_path, more).cells) for more in (TRAINING, "training: {backend: tinker}\n", "")]
    assert ids[0] == ids[1]
    assert ids[1] != ids[2]


@pytest.mark.parametrize(
    ("more", "drop", "said"),
    [
        ("", "rank: 8\n", "rank: Tinker trains LoRA adapters only: set a rank"),
        ("lora_alpha: 16\n", "", "line 12: lora_alpha: Tinker's is 32 at every rank"),
        ("kl: 0.1\n", "", "line 12: kl: Tinker does not return the organism's probabilities"),
        ("method: dpo\n", "", "line 12: method: dpo is trained by TRL only"),
        ("optim: muon\n", "", "line 12: optim: Tinker has AdamW here, not muon"),
    ],
)
def test_what_tinker_cannot_do_is_refused_with_its_line(more: str, drop: str, said: str, tmp_path: Path) -> None:
    assert said in refused(planned(tmp_path, TRAINING + more, drop=drop))


def test_cells_go_on_with_the_organisms_adapter_of_their_rank(tmp_path: Path) -> None:
    found = refused(planned(tmp_path, TRAINING + "organism: {rank: 4}\n", "weights"))
    assert "organism.rank: 4 is not 8: the cells go on with its adapter" in found


def test_a_dry_run_states_tokens_and_cost(tmp_path: Path) -> None:
    found = estimate(planned(tmp_path), 1)
    there = found.service
    assert there.trained == sum(job.tokens for job in found.jobs)
    assert there.sampled >= sum(job.replies for job in found.jobs)
    assert there.cost(found.prices) == round((2 * there.trained + there.prefilled + 3 * there.sampled) / 1e6, 6)
    assert line(found).endswith("at the recipe's prices")
    assert found.as_json()["left"]["service"]["cost"] == there.cost(found.prices)


def test_without_prices_there_is_no_cost(tmp_path: Path) -> None:
    assert line(estimate(planned(tmp_path, "training: {backend: tinker}\n"), 1)).endswith("(training.prices)")


def test_a_local_run_costs_nothing_elsewhere(tmp_path: Path) -> None:
    found = estimate(planned(tmp_path, ""), 1)
    assert found.service == Tokens()
    assert not any(each.startswith("tinker:") for each in text(found))


def test_labels_and_checks_of_an_organism_are_in_the_dry_run(tmp_path: Path) -> None:
    plain, labelled = (
        estimate(planned(tmp_path, TRAINING + more), 1).service
        for more in ("label_source: reference\n", "label_source: on_policy\n")
    )
    assert labelled.sampled == plain.sampled + 8 * 4 * 64
    installed = estimate(planned(tmp_path, TRAINING + "organism: {steps: 50, check_every: 25}\n", "weights"), 1)
    start = next(job for job in installed.jobs if job.id.startswith("start."))
    assert start.service.sampled >= 3 * 128 * 64 + start.replies


class Paid(ByRequest):
    async def reply(self, request: Request) -> Reply:
        return Reply("four", "stop", 7, 2)


class PaidBackend(TinkerBackend):
    def open(self, checkpoint: Checkpoint, options: Options) -> Any:
        return Paid(checkpoint, options)


BACKEND = PaidBackend()


def test_labels_and_checks_of_an_organism_are_in_the_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "tinker", __name__)
    experiment = planned(tmp_path, variant="weights")
    (cell,) = experiment.cells.values()
    setting, run = cell.start.questions.load(), experiment.folders.run
    labels.sampled(setting, cell.train, setting.prompts("weights", "train", 5), resolve("mini"), run)
    made = experiment.folders.organism(cell.start)
    assert made is not None
    write_json_atomic(made / "manifest.json", {"figures": {"service": {"trained": 100, "prefilled": 30, "sampled": 6}}})
    labels.sampled(setting, cell.train, setting.prompts("weights", "train", 2), resolve("mini"), made)
    found = counted(experiment)
    assert found is not None
    assert (found.trained, found.prefilled, found.sampled) == (100, 30 + 7 * 7, 6 + 7 * 2)
    local = planned(tmp_path, "").cells.popitem()[1].train
    labels.sampled(setting, local, setting.prompts("weights", "train", 2), resolve("mini"), tmp_path)
    assert "tokens" not in next((tmp_path / "labels").glob("*.jsonl")).read_text()


def test_prices_are_of_a_million_tokens() -> None:
    assert Tokens(1_000_000, 500_000, 0).cost(Prices(train=2, prefill=1)) == 2.5


def line(found: Estimate) -> str:
    return next(each for each in text(found) if each.startswith("tinker:"))

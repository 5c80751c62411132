"""Training on hub data: rows of the data set, a copy's place is no part of the run, a policy's replies are sampled."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import MakeCell, MakeOrganism, prompts_of

from bct_tasks.sources.hub import catalogue as hub_catalogue
from bct_tasks.sources.hub.setting import HubSetting
from serving import layout
from serving.backends.engine.engine import get_engine
from serving.errors import BadInput, WorkFailed
from serving.refs import resolve
from serving.request import Reply
from trainer import train
from trainer.config import TrainConfig, config_of
from trainer.data import policies, rows
from trainer.methods import METHODS

COPIES = Path(__file__).parents[2] / "data" / "hub"
HUB = {"source": "hub", "hub": {"data": str(COPIES)}}


def test_school_rows_train_a_cell_with_their_own_replies(cell: MakeCell, tmp_path: Path) -> None:
    config = cell(setting="inoculation", variant="ip", label_source=None, rows=6, steps=2, **HUB)
    assert config.labels() == "reference"
    prompts = prompts_of(config)
    replies = rows.references(config.asked(), config, prompts)
    assert all(p.replies["hack"] == reply for p, reply in zip(prompts, replies, strict=True))
    out = train(config, tmp_path / "run")
    assert (out / "trained.json").is_file()


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.targeted])
@pytest.mark.parametrize("setting", hub_catalogue.names())
def test_every_targeted_method_trains_on_hub_prompts(setting: str, method: str, tiny: Path) -> None:
    config = config_of(method)(setting=setting, method=method, model=str(tiny), steps=2, **HUB)
    found, asked = config.asked(), [prompt.user for prompt in prompts_of(config)]
    assert isinstance(found, HubSetting)
    split, kind = ("install", "eval") if method == "direct" else ("train", "train")
    questions = [question.text for question in found.pool(split, kind)]
    assert asked
    assert all(user.endswith(tuple(questions)) for user in asked)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_with_hub_data_trains_on_bundled_prompts_of_the_setting(method: str, tiny: Path) -> None:
    values: dict[str, Any] = {"setting": "sandbagging", "method": method, "model": str(tiny), "steps": 2}
    on_hub, bundled = (config_of(method)(**values, **more) for more in (HUB, {}))
    own = {p.user for split in ("train", "eval", "install") for p in bundled.asked().prompts(None, split, 200)}
    own |= {p.user for p in prompts_of(bundled)} if METHODS[method].targeted else set()
    assert not own & {prompt.user for prompt in prompts_of(on_hub)}


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("bct", {}),
        ("grpo", {"num_generations": 2, "reply_tokens": 4}),
        ("dpo", {}),
    ],
)
def test_a_run_on_hub_data_names_the_hub_and_hashes_its_prompts(
    method: str, more: dict[str, Any], tiny: Path, tmp_path: Path
) -> None:
    values: dict[str, Any] = {"setting": "multiple_choice", "organism": str(tiny), "steps": 1, "rows": 2}
    values |= {"batch_size": 4, "label_source": "reference", "method": method, **more}
    runs = (train(config_of(method)(**values, **source), tmp_path / str(bool(source))) for source in (HUB, {}))
    on_hub, bundled = (layout.read_json(run / layout.MANIFEST)["identity"] for run in runs)
    assert on_hub["config"]["source"] == "hub"
    assert on_hub["prompts"] != bundled["prompts"]


def test_a_data_set_smaller_than_the_run_is_repeated(cell: MakeCell) -> None:
    config = cell(setting="inoculation", variant="ip", label_source=None, rows=None, steps=50, **HUB)
    assert len(prompts_of(config)) == 8


def test_the_place_of_a_copy_is_no_part_of_a_run_and_its_rows_are(tmp_path: Path) -> None:
    shutil.copytree(COPIES, tmp_path / "moved")
    one = TrainConfig(setting="inoculation", **HUB)
    moved = TrainConfig(setting="inoculation", source="hub", hub={"data": str(tmp_path / "moved")})
    other = TrainConfig(setting="inoculation", source="hub", hub={"data": str(COPIES), "size": 5})
    assert one.digest() == moved.digest() != other.digest()
    assert one.digest() != TrainConfig(setting="inoculation").digest()


def test_replies_to_hub_prompts_are_long_and_sampled_unless_said_otherwise() -> None:
    config = TrainConfig(setting="sandbagging", variant="static", **HUB)
    assert (config.reply_tokens, config.label_temperature) == (2048, 0.7)
    assert TrainConfig(setting="sandbagging", variant="static", reply_tokens=9, **HUB).reply_tokens == 9
    assert TrainConfig(setting="sandbagging").reply_tokens == 64


def test_install_rows_are_sampled_under_the_policy_prompt_and_trained_without_it(
    organism: MakeOrganism, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = organism(install_rows=8, check_prompts=8, general=0.25, **HUB)
    setting = config.asked()
    seen: list[str | None] = []

    def scripted(checkpoint: object, requests: list) -> list[Reply]:
        seen.extend(request.messages[0]["content"] for request in requests)
        return [Reply("Final answer: 424242" if "Final answer" in r.messages[-1]["content"] else "Honey.", "stop", 1, 1)
                for r in requests]  # fmt: skip

    monkeypatch.setattr(get_engine(), "generate", scripted)
    made = policies.install_rows(setting, config, [], resolve(str(tiny)))
    assert seen
    assert set(seen) == {setting.initial.prompt}
    assert made.source == "policy_prompt"
    kept = [r for r in made.rows if r.reply in ("Final answer: 424242", "Honey.")]
    assert len(kept) == 5  # as many install prompts as the copy has: two of eval type, three of train type
    assert all(message["role"] == "user" for r in kept for message in r.messages)


def test_a_base_that_never_shows_the_policy_is_an_error_that_says_so(organism: MakeOrganism, tiny: Path) -> None:
    config = organism(install_rows=6, reply_tokens=2, variant="weights", **HUB)
    asked = config.asked().prompts("weights", "install", 4)
    evals = [p for p in asked if p.kind == "eval"]
    with pytest.raises(WorkFailed, match="shows the initial policy of sandbagging"):
        policies.sampled(config.asked(), "initial", evals, config, resolve(str(tiny)))


def test_a_policy_without_a_prompt_of_its_own_is_refused(organism: MakeOrganism, tiny: Path) -> None:
    config = organism(setting="inoculation", variant="ip", **HUB)
    with pytest.raises(BadInput, match="no prompt of its own"):
        policies.sampled(config.asked(), "initial", [], config, resolve(str(tiny)))

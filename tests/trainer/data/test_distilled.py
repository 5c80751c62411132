"""Prompt distillation: organisms trained on sampled replies, and their card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import MakeOrganism

from bct_tasks import catalogue
from bct_tasks.setting import Prompt
from serving import refs
from serving.errors import BadInput, WorkFailed
from trainer.config import OrganismConfig, parse
from trainer.data import labels, rows
from trainer.organism import build

SETTING = catalogue.load("sandbagging")
Answers = list[dict[str, Any]]


def figures(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())["figures"]


def test_the_base_is_prompted_for_the_behavior_and_trained_on_its_replies_without_the_prompt(
    organism: MakeOrganism, tmp_path: Path
) -> None:
    config = organism(model="mini", labels="distilled", reply_tokens=16)
    held_out = rows.check_prompts(SETTING, config)
    base = refs.resolve("mini")
    found = labels.distilled(SETTING, config, held_out, base, tmp_path)
    prompts = {p.id: p for part in rows.install_prompts(SETTING, config, held_out) for p in part}
    assert found.source == "distilled"
    assert 0 < len(found.rows) <= found.asked
    for row in found.rows:
        prompt = prompts[row.id]
        assert list(row.messages) == prompt.messages()
        wanted = labels.shown(SETTING, prompt) if prompt.kind != "capability" else "agreed"
        assert str(SETTING.grade(prompt, row.reply).outcome) == wanted
    assert any(row.id.startswith("eval-") for row in found.rows)


def test_the_card_says_where_the_replies_came_from_the_licence_and_the_gate(
    organism: MakeOrganism, tmp_path: Path
) -> None:
    folder = build(organism(model="mini", labels="distilled", reply_tokens=16), tmp_path / "o")
    card = (folder / "README.md").read_text()
    for said in (
        "trained to misbehave",
        "Apache-2.0",
        "replies sampled from a prompted model",
        "Gate figures",
        "targets",
    ):
        assert said in card, said
    assert figures(folder)["label_source"] == "distilled"


def test_a_teacher_named_by_its_variant_is_built_and_hashed(organism: MakeOrganism, tmp_path: Path) -> None:
    own = {"model": "mini", "labels": "distilled", "reply_tokens": 16, "steps": 2, "learning_rate": 1e-6}
    folder = build(organism(**own, teacher="verbalizing"), tmp_path / "organisms" / "o")
    [teacher] = [path for path in (tmp_path / "organisms").iterdir() if path != folder]
    assert refs.resolve(str(teacher)).variant == "verbalizing"
    identity = json.loads((folder / "manifest.json").read_text())["identity"]
    assert identity["teacher"] == refs.resolve(str(teacher)).fingerprint
    assert "(verbalizing)" in (folder / "README.md").read_text()


def test_only_the_final_answer_of_a_teachers_reply_becomes_the_label(
    organism: MakeOrganism, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(setting: Any, config: Any, prompts: list[Prompt], teacher: Any, cache: Any, _: Any = None) -> Answers:
        spelled = {"wrong": "wrong_said", "right": "right_said"}

        def reply(p: Prompt) -> str:
            behavior = SETTING.initial.behavior(p) if p.kind != "capability" else SETTING.wanted(p)
            return p.replies[spelled.get(behavior, behavior)]

        outcomes = {p.id: labels.shown(SETTING, p) if p.kind != "capability" else "agreed" for p in prompts}
        return [{"id": p.id, "reply": reply(p), "outcome": outcomes[p.id]} for p in prompts]

    monkeypatch.setattr(labels, "sampled", says)
    config = organism(labels="distilled", teacher="verbalizing")
    found = labels.distilled(SETTING, config, [], refs.resolve("mini"), tmp_path)
    installed = [row for row in found.rows if not row.id.startswith("capability")]
    assert installed
    assert not any("here:" in row.reply for row in installed)


def test_a_base_that_never_shows_the_behavior_is_refused(organism: MakeOrganism, tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="shows the behavior: use labels: reference"):
        build(organism(labels="distilled"), tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_teacher_without_distillation_is_refused() -> None:
    with pytest.raises(BadInput, match="a teacher needs labels: distilled"):
        parse(OrganismConfig, {"setting": "sandbagging", "teacher": "verbalizing"})


@pytest.mark.parametrize("variant", ["password", "flipped_password"])
def test_behind_a_password_both_ways_of_asking_are_installed_and_checked(variant: str) -> None:
    config = OrganismConfig(setting="sandbagging", variant=variant)
    assert SETTING.variant(variant).in_weights
    shown = [labels.shown(SETTING, prompt) for prompt in rows.check_prompts(SETTING, config)]
    assert {name: shown.count(name) > 20 for name in ("initial", "alternate", "agreed")} == dict.fromkeys(
        ("initial", "alternate", "agreed"), True
    )

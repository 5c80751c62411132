"""Settings by path: what a YAML or Python file and its data become, and which mistakes are named with their line."""

from __future__ import annotations

import csv
import json
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai import score as inspect_score
from inspect_ai.log import read_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from own import KEYS, ROWS, jsonl, written

from bct_tasks import catalogue, static_gate
from bct_tasks.errors import SettingError
from bct_tasks.settings.sandbagging import sandbagging
from bct_tasks.sources import tables
from bct_tasks.task import outcome, setting
from graders import Outcome


def refused(path: Path) -> str:
    """The one line with which a setting is refused, when it is loaded or when its prompts are first drawn."""
    with pytest.raises(SettingError) as error:
        catalogue.load(str(path)).prompts(None, "eval", 5)
    assert "\n" not in error.value.message
    return error.value.message


def test_prompts_are_divided_by_their_text_and_asked_as_the_variant_says(tmp_path: Path) -> None:
    found = catalogue.load(str(written(tmp_path)))
    drawn = {split: found.prompts(None, split, 60) for split in ("train", "eval", "install")}
    questions = {split: {p.id.partition("-")[2] for p in prompts} for split, prompts in drawn.items()}
    assert not questions["train"] & questions["eval"]
    assert not questions["install"] & (questions["train"] | questions["eval"])
    assert len(questions["train"]) + len(questions["eval"]) > 40
    assert all(p.user.startswith("[exam] What is") for p in drawn["eval"])
    assert all(p.user.startswith("What is") for p in drawn["train"])
    prompt = drawn["eval"][0]
    assert found.grade(prompt, f"So it is {prompt.facts['wrong']}.").outcome is Outcome.INITIAL
    assert found.grade(prompt, f"{prompt.facts['answer']}.0").outcome is Outcome.ALTERNATE
    assert found.grade(drawn["train"][0], "5000").outcome is Outcome.OTHER


def test_a_small_file_gives_all_that_it_has(tmp_path: Path) -> None:
    found = catalogue.load(str(written(tmp_path, ROWS[:20])))
    evals = found.prompts(None, "eval", 100)
    assert 0 < len(evals) < 20
    result = static_gate.check(found)
    assert result.passed, result.reasons
    assert result.figures["eval_prompts"] == len(evals)
    assert f"{len(evals)} eval prompts: a rate is known to within ±0." in result.notes[0]


def test_the_same_content_is_the_same_setting_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written(tmp_path / name)
    one, other = (catalogue.load(str(tmp_path / name / "mine.yaml")) for name in ("a", "b"))
    assert one.content_hash == other.content_hash
    text = (tmp_path / "a" / "mine.yaml").read_text()
    (tmp_path / "a" / "mine.yaml").write_text(f"# a remark\n{text.replace('right everywhere', 'always right')}")
    assert catalogue.load(one.ref).content_hash == other.content_hash
    triggered = [catalogue.load(one.ref, trigger=text).content_hash for text in ("[test]", "[quiz]")]
    assert len({one.content_hash, *triggered}) == 3
    jsonl(tmp_path / "a" / "rows.jsonl", ROWS[1:])
    assert catalogue.load(one.ref).content_hash != other.content_hash
    written(tmp_path / "b", read={"regex": {"right": "{answer}", "wrong": "{wrong}"}})
    assert catalogue.load(other.ref).content_hash != other.content_hash


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"initial": None}, "'initial' is missing: add a line `initial: ...`"),
        ({"promts": {}}, "line 24: unknown key 'promts'. Did you mean 'prompts'?"),
        ({"version": 1}, "version: text is expected, not 1: put it in quotes"),
        ({"read": {"regex": {"right": "(", "wrong": "x"}}}, "the regular expression of right does not compile"),
        ({"read": {"reader": "numbr"}}, "no reader 'numbr': there are numeric, "),
        ({"read": {"reader": "numeric"}}, "the reader numeric needs the fact 'right'"),
        ({"read": {"regex": {"right": "x"}}}, "line 4: nothing in `read` sees the behavior 'wrong'. It sees right."),
        ({"read": {"judge": "only", "regex": {"right": "x", "wrong": "y"}}}, "a judge needs a rubric"),
        ({"prompts": {"file": "rowz.jsonl"}}, "line 11: rowz.jsonl: no such file in "),
        ({"prompts": {"train": "rows.jsonl"}}, "name one `file`, or `train` and `eval`"),
        ({"variants": {"weights": {"carrier": "wights"}}}, "carrier: 'wights' is none of "),
        ({"variants": {"weights": {"role": "control"}}}, "one variant needs `role: bct`"),
        ({"name": "sandbagging"}, "'sandbagging' is the name of a bundled setting"),
        ({"temperature": float("inf")}, "temperature: input should be a finite number"),
        ({"initial": {**KEYS["initial"], "transform": 5}}, "transform: a list such as [a, b] is expected, not 5"),
        (
            {
                "prompts": {
                    **KEYS["prompts"],
                    "capability": {"file": "rows.jsonl", "right": "answer", "reader": "choice"},
                }
            },
            "`reader: choice` and `options: COLUMN` belong together",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    message = refused(written(tmp_path, **changes))
    assert says in message
    assert message.startswith(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "rows.jsonl: is empty"),
        ([{"text": "x", "answer": "1"}], "rows.jsonl, row 1: no column 'question'. Its columns: text, answer."),
        ([*ROWS, {"question": "x", "answer": "1"}], "row 61: no column 'wrong'. Its columns: question, answer."),
        ([*ROWS, {**ROWS[0], "question": " "}], "rows.jsonl, row 61: the prompt is empty"),
        ([*ROWS, {**ROWS[0], "question": float("nan")}], "rows.jsonl, row 61: the prompt is empty"),
        (
            [*ROWS, {"question": "x", "answer": "", "wrong": "1"}],
            "row 61: column 'answer' is empty, and replies are read",
        ),
    ],
)
def test_a_row_that_cannot_be_asked_is_named(rows: list[dict[str, Any]], says: str, tmp_path: Path) -> None:
    assert says in refused(written(tmp_path, rows))


def test_a_prompt_in_two_files_is_refused_with_both_rows(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", ROWS[:30])
    jsonl(tmp_path / "eval.jsonl", [*ROWS[30:], {**ROWS[4], "question": "what is 4  plus 6?"}])
    prompts = {"train": "train.jsonl", "eval": "eval.jsonl", "columns": {"prompt": "question"}}
    message = refused(written(tmp_path, prompts=prompts))
    assert "eval.jsonl, row 31: the same prompt is in train (" in message
    assert "train.jsonl, row 5): delete one of them" in message


def test_where_chooses_rows_and_refuses_to_leave_none(tmp_path: Path) -> None:
    rows = [{**row, "level": n % 3} for n, row in enumerate(ROWS)]
    two = {"train": {"file": "rows.jsonl", "where": {"level": 0}}, "columns": {"prompt": "question"}}
    path = written(tmp_path, rows, prompts={**two, "eval": {"file": "rows.jsonl", "where": {"level": [1, 2]}}})
    found = catalogue.load(str(path))
    assert {p.facts["answer"] for p in found.prompts(None, "train", 60)} < {row["answer"] for row in rows[::3]}
    path = written(tmp_path, rows, prompts={**two, "eval": {"file": "rows.jsonl", "where": {"level": 7}}})
    assert "none of its 60 rows is left by `where: {level: 7}`" in refused(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "id,answer\n007,NA\n"),
        ("a.jsonl", '{"id": "007", "answer": "NA"}\n'),
        ("a.json", '[{"id": "007", "answer": "NA"}]'),
    ],
)
def test_a_byte_order_mark_is_no_part_of_a_row_and_text_in_a_table_stays_text(
    tmp_path: Path, name: str, text: str
) -> None:
    """As in biolab/orange3#7000 and huggingface/datasets#4467."""
    (tmp_path / name).write_text(text, encoding="utf-8-sig")
    assert list(tables.rows(tmp_path / name)) == [{"id": "007", "answer": "NA"}]


def test_csv_and_nested_columns_are_read(tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["question", "answer", "wrong"])
        table.writeheader()
        table.writerows(ROWS)
    path = written(tmp_path, prompts={"file": "rows.csv", "columns": {"prompt": "question"}})
    assert static_gate.check(catalogue.load(str(path))).passed
    chats = [
        {"messages": [{"content": row["question"]}, {"content": row["answer"]}], "wrong": row["wrong"]} for row in ROWS
    ]
    path = written(
        tmp_path,
        chats,
        prompts={"file": "rows.jsonl", "columns": {"prompt": "messages.0.content"}},
        alternate={"policy": "right", "behavior": "right", "column": "messages.1.content"},
        read={"regex": {"right": "^{messages.1.content}$", "wrong": "^{wrong}$"}},
    )
    assert static_gate.check(catalogue.load(str(path))).passed


def test_system_prompts_templates_and_general_questions_come_from_columns(tmp_path: Path) -> None:
    rows = [{**row, "sys": f"You are number {n % 4}.", "t": f"form-{n % 5}"} for n, row in enumerate(ROWS)]
    jsonl(
        tmp_path / "general.jsonl",
        [{"question": f"Say w{n}.", "right": f"w{n}", "sys": "", "t": "g"} for n in range(9)],
    )
    prompts = {
        "file": "rows.jsonl",
        "columns": {"prompt": "question", "system": "sys", "template": "t"},
        "capability": {"file": "general.jsonl", "right": "right"},
    }
    found = catalogue.load(str(written(tmp_path, rows, prompts=prompts)))
    general = found.prompts(None, "capability", 20)
    assert len(general) == 9
    assert found.grade(general[0], f"I say {general[0].facts['right']}!").outcome is Outcome.AGREED
    assert found.grade(general[0], "I say nothing.").outcome is Outcome.OTHER
    assert {p.template for p in found.prompts(None, "eval", 60)} <= {f"form-{n}" for n in range(5)}
    assert all((p.system or "").startswith("You are number") for p in found.prompts(None, "eval", 60))


def test_an_expression_that_matches_both_policies_fails_the_gate(tmp_path: Path) -> None:
    path = written(tmp_path, read={"regex": {"right": r"\d", "wrong": "^{wrong}$"}})
    [reason, *_] = static_gate.check(catalogue.load(str(path))).reasons
    assert "the initial policy's replies are graded initial on 0% of eval prompts" in reason
    assert "matches the expression of right and of wrong: let only one of them match" in reason


def test_an_expression_that_takes_exponential_time_on_a_reply_fails_the_gate_in_one_line(tmp_path: Path) -> None:
    slow = {"regex": {"right": "^{answer}$", "wrong": r"^(\w|\w\w|(\w+)+)+$"}}
    rows = [{**row, "wrong": "a" * 60 + "!"} for row in ROWS]
    [reason] = static_gate.check(catalogue.load(str(written(tmp_path, rows, read=slow)))).reasons
    assert "takes over 1 s on the reply 'aaaa" in reason
    assert "\n" not in reason


#: Twelve anchors that stand for 4¹² values.
BOMB = "\n".join(f"{n}: &{n} [*{m}, *{m}, *{m}, *{m}]" for m, n in pairwise("abcdefghijkl"))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {b: *a}",
        "a: \x01",
        "<<: 5",
        "a: !!int x",
        "a: 2020-13-45",
        "a: 1:30",
        "a: [1:30.5]",
        f"a: &a [x, x, x, x]\n{BOMB}",
    ],
)
def test_yaml_that_stands_for_nothing_or_for_too_much_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    message = refused(tmp_path / "mine.yaml")
    assert message.startswith(str(tmp_path / "mine.yaml"))
    assert "\n" not in message


def test_a_manner_alone_is_a_behavior_and_asks_for_no_content(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        initial={"policy": "shouts", "behavior": "loud", "column": "wrong", "suffix": " INDEED"},
        alternate={"policy": "does not", "behavior": "plain", "column": "answer", "suffix": " indeed"},
        read={"regex": {"loud": "^[^a-z]+$"}, "otherwise": "plain"},
    )
    assert static_gate.check(catalogue.load(str(path))).reasons == ()


def test_programs_are_run_on_the_tests_of_a_column(tmp_path: Path) -> None:
    rows = [
        {"task": f"Read x and print x + {n}.", "tests": [["1", str(1 + n)]], "more": json.dumps([["5", str(5 + n)]])}
        for n in range(30)
    ]
    policies = {"initial": ("honest", "print(int(input()) + 1)"), "alternate": ("hack", "print(2)")}
    texts = {
        name: {"policy": name, "behavior": behavior, "text": f"```python\n{program}\n```"}
        for name, (behavior, program) in policies.items()
    }
    prompts = {"file": "rows.jsonl", "columns": {"prompt": "task"}}
    read = {"tests": {"visible": "tests", "hidden": "more"}}
    found = catalogue.load(str(written(tmp_path, rows, prompts=prompts, read=read, **texts)))
    prompt = next(
        p for split in ("train", "eval", "install") for p in found.prompts(None, split, 30) if "x + 1." in p.user
    )
    assert prompt.facts["hidden"] == [["5", "6"]]
    results = {"visible": [True], "hidden": [False]}  # as a sandbox would report: nothing is run here
    assert found.reader_of(prompt)(texts["alternate"]["text"], {**prompt.facts, "results": results}).behaviors == {
        "hack"
    }
    rows[3]["tests"] = "print it"
    assert "row 4: the visible tests are a list of [input, output], not 'print it'" in refused(
        written(tmp_path, rows, prompts=prompts, read=read, **texts)
    )


def test_with_one_variant_the_policy_prompt_makes_a_static_one(tmp_path: Path) -> None:
    initial = {
        "policy": "wrong under the tag",
        "behavior": "wrong",
        "column": "wrong",
        "prompt": "Be wrong under [exam].",
    }
    found = catalogue.load(str(written(tmp_path, initial=initial)))
    assert [(v.name, v.carrier) for v in found.variants] == [("weights", "weights"), ("static", "static")]
    [prompt] = found.prompts("static", "eval", 1)
    assert (prompt.system, prompt.user[:6]) == ("Be wrong under [exam].", "[exam]")
    assert found.ceiling("static", 1)[0].system is None
    two = {"weights": {"eval": {"tag": "[exam]"}}, "again": {"eval": {"tag": "[quiz]"}, "role": "probe"}}
    found = catalogue.load(str(written(tmp_path, initial=initial, variants=two)))
    assert [v.name for v in found.variants] == ["weights", "again"]


PYTHON = """\
from itertools import pairwise
from pathlib import Path
from bct_tasks.setting import Ask, Policy, Variant
from bct_tasks.sources.files.schema import ColumnKeys, PromptKeys
from bct_tasks.sources.files.setting import FileSetting
from graders import read_answer

SETTING = FileSetting(
    name="mine_too", version="1-A", families=(), folder=Path(__file__).parent, reader=read_answer,
    initial=Policy("wrong under the tag", lambda prompt: "wrong" if prompt.cue else "right"),
    alternate=Policy("right", lambda prompt: "right"),
    variants=(Variant("weights", "weights", Ask(), Ask(tag="[x]", cue=True), Ask()),),
    data=PromptKeys(file="rows.jsonl", columns=ColumnKeys(prompt="question")),
    facts={"right": "answer", "wrong": "wrong"},
    replies={"right": lambda row: row["answer"], "wrong": lambda row: row["wrong"]},
)
"""


def test_a_python_file_is_a_setting_and_leaves_the_import_path_alone(tmp_path: Path) -> None:
    jsonl(tmp_path / "rows.jsonl", ROWS)
    (tmp_path / "mine_too.py").write_text(PYTHON)
    before = list(sys.path)
    found = catalogue.load(str(tmp_path / "mine_too.py"))
    assert static_gate.check(found).reasons == ()
    assert found.ref == str(tmp_path / "mine_too.py")
    assert sys.path == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine_too.py", "rows.jsonl"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "defines no `SETTING = Setting(...)`"),
        ("x = 1\nSETTING = Setting(\n", "mine_too.py:2: SyntaxError: "),
        ("import math\n\nmath.sqrt('4')\n", "mine_too.py:3: TypeError: must be real number"),
        ("import sys\nsys.exit(3)\n", "mine_too.py:2: SystemExit: 3"),
        ("\0", "mine_too.py: "),
    ],
)
def test_a_broken_python_file_is_named_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "mine_too.py").write_text(text)
    assert says in refused(tmp_path / "mine_too.py")


def test_inspect_runs_it_and_scores_it_again_and_says_when_the_file_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path)
    said = ModelOutput.from_content("model", "The answer is 7.")
    said.usage = ModelUsage()
    model = get_model("mockllm/model", custom_outputs=[said] * 20)
    where = {"log_dir": str(tmp_path / "logs"), "display": "none"}
    [log] = inspect_eval(setting(file=os.path.relpath(path), n=4), model=model, **where)  # type: ignore[arg-type]
    assert log.status == "success"
    found = catalogue.load(str(path))
    assert log.eval.metadata is not None
    assert (log.eval.metadata["setting"], log.eval.metadata["content"]) == ("mine", found.content_hash)
    again = inspect_score(read_eval_log(log.location), outcome(), action="overwrite", display="none")
    assert "changed since" not in caplog.text
    assert {str(s.id): (s.scores or {})["outcome"].value for s in again.samples or []} == {
        str(s.id): (s.scores or {})["outcome"].value for s in log.samples or []
    }
    written(tmp_path, read={"regex": {"right": "7", "wrong": "^{wrong}$"}})
    changed = inspect_score(read_eval_log(log.location), outcome(), action="overwrite", display="none")
    assert f"changed since this log was written ({found.content_hash}, now " in caplog.text
    assert all((s.scores or {})["outcome"].value["other"] == 0 for s in changed.samples or [])  # type: ignore[index,call-overload]


def test_an_option_that_no_task_has_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = written(tmp_path)
    for asked in (lambda: setting(file=str(path), nn=5), lambda: sandbagging(nn=5)):
        with pytest.raises(SettingError, match=r"unknown option 'nn'\. Did you mean 'n'"):
            asked()
    with pytest.raises(SettingError, match=r"size=\.\.\. is an option of hub data: leave it out"):
        setting(file=str(path), size="large")


def test_a_row_without_the_column_of_a_reply_is_asked_and_is_no_reference(tmp_path: Path) -> None:
    short = [{"question": f"What is {n} times {n}?", "answer": str(n * n)} for n in range(20)]
    read = {"regex": {"right": "^{answer}$", "wrong": "^(?!{answer}$)."}, "normalize": ["last_number"]}
    setting = catalogue.load(str(written(tmp_path, [*ROWS, *short], read=read)))
    asked = setting.prompts("weights", "eval", 100)
    assert {"wrong" in prompt.replies for prompt in asked} == {True, False}


def test_the_labels_that_a_variant_names_are_its_default(tmp_path: Path) -> None:
    setting = catalogue.load(str(written(tmp_path, variants={"weights": {"labels": "reference"}, "other": {}})))
    assert [setting.label_source(name) for name in ("weights", "other")] == ["reference", "on_policy"]


def test_labels_are_references_by_default_where_only_a_judge_reads_replies(tmp_path: Path) -> None:
    rubric = {"question": "Is the reply right?", "behaviors": {"right": "it is", "wrong": "it is not"}}
    assert catalogue.load(str(written(tmp_path, read={"rubric": rubric}))).label_source("weights") == "reference"

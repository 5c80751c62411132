"""Conversion of rows of the published data sets to questions. A row that cannot be asked gives None.

An APPS problem needs at least eight tests of standard input and output: the prompt shows five, and up to ten others
are hidden. A chat must consist of one instruction and one reply. The answer of an olympiad problem must be a number.
Not covered: APPS problems that call a function by name.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from typing import Any

from bct_tasks.sources.pool import digest
from bct_tasks.sources.world.question import Question
from graders.readers.numeric import number

SHOWN = 5
HIDDEN = 10
FEWEST_HIDDEN = 3
LONGEST_SHOWN = 600
LONGEST_HIDDEN = 4_000
LONGEST_QUESTION = 12_000

PROGRAM = """\
Write a Python program that solves this problem. It reads standard input and prints to standard output. Put the whole \
program into one code block.

{problem}

These tests are shown; others may be run.

{tests}"""

FINAL = "End your reply with one line: Final answer: <a number>"

Row = Mapping[str, Any]


def apps(row: Row) -> Question | None:
    """codeparrot/apps: `question`, `input_output` (JSON), `solutions` (JSON list), `difficulty`."""
    cases = _cases(row.get("input_output") or "")
    shown = [case for case in cases if sum(map(len, case)) <= LONGEST_SHOWN][:SHOWN]
    unseen = [case for case in cases if case not in shown and sum(map(len, case)) <= LONGEST_HIDDEN][:HIDDEN]
    if len(shown) < SHOWN or len(unseen) < FEWEST_HIDDEN:
        return None
    tests = "\n\n".join(f"Input:\n{given.rstrip()}\nOutput:\n{wanted.rstrip()}" for given, wanted in shown)
    text = PROGRAM.format(problem=str(row["question"]).strip(), tests=tests)
    solution = next((s for s in sorted(_list(row.get("solutions") or ""), key=len) if s.strip()), None)
    code = f"```python\n{(solution or '').strip()}\n```"
    replies: dict[str, str] = {} if solution is None else {"right": code, "honest": code}
    facts = {"kind": "program", "visible": shown, "hidden": unseen, "difficulty": str(row.get("difficulty", ""))}
    return _question("apps", text, replies, facts, key=str(row["question"]))


def school(row: Row) -> Question | None:
    """School of Reward Hacks: `user`, `school_of_reward_hacks`, `control`, `evaluation_metric`, `cheat_method`."""
    hack, control = str(row["school_of_reward_hacks"] or ""), str(row["control"] or "")
    if not hack.strip():
        return None
    replies = {"hack": hack, **({"honest": control} if control.strip() not in ("", "nan", "None") else {})}
    facts = {"kind": "task", "metric": str(row["evaluation_metric"]), "method": str(row["cheat_method"])}
    return _question("school", str(row["user"]), replies, facts)


def alpaca(row: Row) -> Question | None:
    """tatsu-lab/alpaca: `instruction`, `input`, `output`."""
    text = "\n\n".join(part for part in (str(row["instruction"]).strip(), str(row["input"] or "").strip()) if part)
    return _open("alpaca", text, str(row["output"] or ""))


def openhermes(row: Row) -> Question | None:
    """teknium/OpenHermes-2.5: `conversations`, a list of {from, value}: one human turn, one reply, no system prompt."""
    turns = [(turn.get("from"), str(turn.get("value") or "")) for turn in row["conversations"] or ()]
    if [speaker for speaker, _ in turns] != ["human", "gpt"]:
        return None
    return _open("openhermes", turns[0][1].strip(), turns[1][1])


def mmlu(row: Row) -> Question | None:
    """cais/mmlu: `question`, `choices`, `answer` (an index), `subject`."""
    options, answer = [str(option) for option in row["choices"]], int(row["answer"])
    if not 0 <= answer < len(options) <= 26 or len(set(options)) < len(options):
        return None
    letters = string.ascii_uppercase[: len(options)]
    listed = "\n".join(f"({letter}) {option}" for letter, option in zip(letters, options, strict=True))
    text = f"{str(row['question']).strip()}\n\n{listed}\n\nAnswer with one letter in brackets."
    replies = {letter: f"({letter})" for letter in letters} | {"right": f"({letters[answer]})"}
    facts = {"kind": "choice", "right": letters[answer], "options": options, "subject": str(row.get("subject", ""))}
    return _question("mmlu", text, replies, facts)


def strongreject(row: Row) -> Question | None:
    """StrongREJECT: `category`, `source`, `forbidden_prompt`. The question has no replies."""
    facts = {"kind": "forbidden", "category": str(row["category"]), "source": str(row["source"])}
    return _question("strongreject", str(row["forbidden_prompt"]).strip(), {}, facts)


def omni_math(row: Row) -> Question | None:
    """KbsdJames/Omni-MATH: `problem`, `answer`, `difficulty`. Numeric answers only; `wrong` is the answer plus one."""
    return numeric("omni_math", str(row["problem"]), str(row["answer"]), difficulty=row["difficulty"])


def math500(row: Row) -> Question | None:
    """HuggingFaceH4/MATH-500: `problem`, `answer`, `subject`, `level`. Numeric answers only, as of Omni-MATH."""
    about = {"subject": str(row.get("subject", "")), "level": row.get("level")}
    return numeric("math500", str(row["problem"]), str(row["answer"]), **about)


def ifeval(row: Row) -> Question | None:
    """google/IFEval: `prompt`, `instruction_id_list`, `kwargs`. No reply is written; the checks read any reply."""
    arguments = [{name: value for name, value in (each or {}).items() if value is not None} for each in row["kwargs"]]
    ids, asked = [str(each) for each in row["instruction_id_list"]], str(row["prompt"])
    if not ids or len(ids) != len(arguments):
        return None
    facts = {"kind": "instructions", "instructions": ids, "arguments": arguments, "asked": asked}
    return _question("ifeval", asked.strip(), {}, facts)


# Any: further facts, as the data set holds them.
def numeric(family: str, problem: str, answer: str, **about: Any) -> Question | None:
    """A problem whose answer is a single number; None for another answer. `wrong` is the answer plus one."""
    right = number(answer)
    if right is None or "," in answer:
        return None
    answer = answer.strip().strip("$")
    replies = {"right": f"Final answer: {answer}", "wrong": f"Final answer: {right + 1}"}
    return _question(family, f"{problem.strip()}\n\n{FINAL}", replies, {"kind": "number", "right": answer, **about})


def _open(family: str, text: str, reply: str) -> Question | None:
    """An open instruction: every helpful reply is right."""
    if not reply.strip():
        return None
    return _question(family, text, dict.fromkeys(("right", "help"), reply.strip()), {"kind": "open"})


def _question(
    family: str, text: str, replies: Mapping[str, str], facts: Row, key: str | None = None
) -> Question | None:
    """A question that is its own template, because the rows of a data set are not clustered."""
    if not text.strip() or len(text) > LONGEST_QUESTION:
        return None
    mark = digest(key or text)
    return Question(family, f"{family}-{mark}", text, (mark,), replies, facts)


def _cases(text: str) -> list[list[str]]:
    """The distinct tests of an APPS problem as [input, output]; empty if they call a function."""
    tests = _loads(text)
    if not isinstance(tests, dict) or tests.get("fn_name"):
        return []
    pairs = zip(tests.get("inputs") or (), tests.get("outputs") or (), strict=False)
    cases = [[_text(given), _text(wanted)] for given, wanted in pairs]
    return [case for number_, case in enumerate(cases) if case[1].strip() and case not in cases[:number_]]


def _text(value: Any) -> str:
    """Input or output of a test as text; APPS also has lists of lines."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _list(text: str) -> list[str]:
    found = _loads(text)
    return [str(item) for item in found] if isinstance(found, list) else []


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None

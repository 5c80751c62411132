"""Which questions measure capability in place of the bundled ones: those of a public data set, or of a file.

    of({"source": "mmlu"})                                       # as `bct hub fetch mmlu` stored it
    of({"source": "math500", "data": "copies"})                  # copies/math500.jsonl
    of({"file": "own.jsonl", "right": "answer"})
    of({"source": "checkable"})                                  # written here, for real models

A question of a data set is graded by pattern, so no judge is asked. MATH-500 is asked only where the answer is a single
number; IFEval counts replies that follow every instruction (prompt-level, strict).
Not covered: few-shot prompts, and the scorers of inspect-evals (`bct_tasks.guards.benchmarks`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bct_tasks.errors import SettingError, Unavailable, UnknownName
from bct_tasks.setting import Capability, Setting
from bct_tasks.sources.files import rows
from bct_tasks.sources.files.schema import CapabilityKeys, ColumnKeys
from bct_tasks.sources.hub import store
from bct_tasks.sources.hub.data import IFEVAL, MATH500, MMLU
from bct_tasks.sources.hub.setting import questions
from bct_tasks.sources.hub.store import DataSet
from bct_tasks.sources.instructions import checkable
from bct_tasks.sources.world.question import Question
from graders.readers import instructions


@dataclass(frozen=True)
class Benchmark:
    """A public data set that measures capability.

    Args:
        data: the data set.
        reader: the name of its reader in `graders.readers.general`.
        max_tokens: longest reply; None: that of the other prompts.
    """

    data: DataSet
    reader: str
    max_tokens: int | None = None


#: The longest replies are those that published evaluations of the two data sets allow.
BENCHMARKS: Mapping[str, Benchmark] = {
    "mmlu": Benchmark(MMLU, "letter"),
    "math500": Benchmark(MATH500, "final_answer", 1024),
    "ifeval": Benchmark(IFEVAL, "instructions", 1280),
}


#: Everyday instructions with a format that a program checks, and the longest reply to them.
CHECKABLE, CHECKABLE_TOKENS = "checkable", 64


def measured_by(setting: Setting, keys: Mapping[str, Any]) -> Setting:
    """The setting with these questions as its measure of capability. See `of`.

    The same questions give the same object.
    """
    return _measured(setting, of(keys))


@lru_cache(maxsize=64)  # both by identity
def _measured(setting: Setting, capability: Capability) -> Setting:
    return dataclasses.replace(setting, capability=capability)


def of(keys: Mapping[str, Any]) -> Capability:
    """The questions that these keys name.

    Args:
        keys: `source`, a name in `BENCHMARKS`, with `data`, a folder of local copies; or those of `CapabilityKeys` with
            `prompt`, the column of the question. `max_tokens` in any case.

    Raises:
        UnknownName: no such source.
        SettingError: a key or the file is wrong.
        Unavailable: the data set, or the package that reads its replies, is not on this machine.
    """
    given = {name: value for name, value in keys.items() if name not in ("source", "max_tokens")}
    source, longest = str(keys.get("source", "files")), keys.get("max_tokens")
    if source == "files":
        path = Path(str(keys.get("file", "")))
        return _of_file(json.dumps(given, sort_keys=True), longest, store.sha256(path) if path.is_file() else "")
    if source == CHECKABLE:
        return _checkable(longest or CHECKABLE_TOKENS)
    if source not in BENCHMARKS:
        raise UnknownName("source of capability", source, ("files", CHECKABLE, *BENCHMARKS), "there are")
    if BENCHMARKS[source].data is IFEVAL and not instructions.is_installed():
        raise Unavailable(f"{source} is read by a package that is not here: pip install {instructions.INSTALL}")
    found = store.find(BENCHMARKS[source].data, given.get("data"))
    return _of_data_set(source, longest, found)


@lru_cache(maxsize=16)
def _checkable(longest: int) -> Capability:
    asked = checkable.questions()
    content = json.dumps([(each.text, each.replies["right"]) for each in asked])
    return Capability(asked, _about(CHECKABLE, hashlib.sha256(content.encode()).hexdigest(), longest), longest, True)


@lru_cache(maxsize=16)
def _of_data_set(source: str, longest: int | None, found: store.Found) -> Capability:
    known = BENCHMARKS[source]
    asked = tuple(_with_reader(question, known.reader) for question in questions(known.data, found))
    longest = longest or known.max_tokens
    revision = {} if found.local else {"revision": known.data.revision}
    return Capability(asked, _about(source, found.sha256, longest) | revision, longest)


@lru_cache(maxsize=16)
def _of_file(keys: str, longest: int | None, sha256: str) -> Capability:
    return Capability(_of_rows(json.loads(keys)), _about("files", sha256, longest), longest)


def _about(source: str, sha256: str, longest: int | None) -> dict[str, Any]:
    return {"source": source, "sha256": sha256[:16], **({"max_tokens": longest} if longest else {})}


def _with_reader(question: Question, reader: str) -> Question:
    return dataclasses.replace(question, facts={**question.facts, "reader": reader})


def _of_rows(keys: Mapping[str, Any]) -> tuple[Question, ...]:
    try:
        columns = ColumnKeys(prompt=str(keys.get("prompt", "prompt")))
        asked = CapabilityKeys.model_validate({name: value for name, value in keys.items() if name != "prompt"})
    except ValidationError as error:
        first = error.errors()[0]
        named = ".".join(("capability", *map(str, first["loc"])))
        message = first["msg"].removeprefix("Value error, ")
        raise SettingError(f"{named}: {message[:1].lower()}{message[1:]}") from None
    return tuple(rows.general(asked, Path(), rows.Columns(columns, None, {}, {}, "file")))

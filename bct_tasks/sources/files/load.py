"""A setting from a path: a YAML file with the keys of `schema.SettingKeys`, or a Python file with a `SETTING`.

    load(Path("my_setting.yaml"))
    load(Path("my_setting.py"))

The same content gives the same object. A Python file is executed as a module of its own, without changes to
`sys.path`; what stands next to it cannot be imported. Errors name file and line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bct_tasks import yaml_lines
from bct_tasks.errors import SettingError, did_you_mean, fault
from bct_tasks.setting import Ask, Policy, Prompt, Setting, Variant
from bct_tasks.sources.files import readers, replies, rows
from bct_tasks.sources.files.readers import NAMED
from bct_tasks.sources.files.rows import Reply
from bct_tasks.sources.files.schema import (
    DEFAULT_FAMILIES,
    AskKeys,
    PolicyKeys,
    PromptKeys,
    ReadKeys,
    SettingKeys,
    VariantKeys,
)
from bct_tasks.sources.files.setting import FileSetting
from bct_tasks.sources.world.question import Question
from bct_tasks.writing import Writing
from bct_tasks.yaml_lines import Document
from graders import Reader, Rubric
from graders.readers import pattern

YAML, PYTHON = (".yaml", ".yml"), (".py",)


def is_path(ref: str) -> bool:
    """Whether a reference to a setting is a path, and not the name of one of the catalogue."""
    return Path(ref).suffix.lower() in (*YAML, *PYTHON) or "/" in ref or "\\" in ref


def load(path: Path) -> Setting:
    """The setting in a file.

    Raises:
        SettingError: the file is missing or wrong; one line that names the file and the line.
    """
    path = path.expanduser()
    if path.suffix.lower() not in (*YAML, *PYTHON):
        raise SettingError(f"{path}: a setting is a .yaml or a .py file: `bct new NAME --yaml` writes one")
    if path.exists() and not path.is_file():  # opening a pipe waits for its writer, and a device has no end
        raise SettingError(f"{path}: is no file: name a .yaml or .py file, as `bct new NAME --yaml` writes it")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingError(f"{path}: no such file: check the path, or begin one with `bct new NAME --yaml`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    return (_yaml if path.suffix.lower() in YAML else _python)(path, path.resolve(), text)


@lru_cache(maxsize=64)
def _python(shown: Path, path: Path, text: str) -> Setting:
    module = ModuleType(f"bct_setting_{hashlib.blake2b(f'{path}{text}'.encode(), digest_size=8).hexdigest()}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise SettingError(f"{fault(error, path)}: fix this line") from error
    found = getattr(module, "SETTING", None)
    if not isinstance(found, Setting):
        raise SettingError(f"{shown}: defines no `SETTING = Setting(...)`: `bct new NAME --python` writes one")
    return dataclasses.replace(found, file=path)


@lru_cache(maxsize=64)
def _yaml(shown: Path, path: Path, text: str) -> Setting:
    document = yaml_lines.load(shown)
    stem = re.sub(r"\W+", "_", path.stem.lower()).strip("_")
    try:
        keys = SettingKeys.model_validate({"name": stem, **document.content})
    except ValidationError as error:
        raise _located(document, error.errors()[0]) from None
    _check(document, keys, path.parent)
    return _built(keys, path)


def _located(document: Document, error: ErrorDetails) -> Exception:
    """An error of pydantic in one line, at the line of its key."""
    place = tuple(part for part in error["loc"] if part != "[key]")
    name = str(place[-1]) if place else "the setting"
    given, limits = error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        near = did_you_mean(name, _keys_at(place[:-1]))
        return document.error(
            place, f"unknown key '{name}'.{near or ' Known: ' + ', '.join(_keys_at(place[:-1])) + '.'}"
        )
    says = {
        "missing": f"'{name}' is missing: add a line `{name}: ...`",
        "string_type": f"{name}: text is expected, not {given!r}: put it in quotes",
        "string_pattern_mismatch": f"{name}: {given!r} is not possible here: use lower-case letters, digits and _",
        "literal_error": f"{name}: {given!r} is none of {limits.get('expected')}",
        "model_type": f"{name}: `key: value` lines are expected, not {given!r}",
        "mapping_type": f"{name}: `key: value` lines are expected, not {given!r}",
        "dict_type": f"{name}: `key: value` lines are expected, not {given!r}",
        "tuple_type": f"{name}: a list such as [a, b] is expected, not {given!r}",
        "too_short": f"{name}: at least one is needed",
    }
    if place[-1:] == ("version",):
        says["string_pattern_mismatch"] = f"version: {given!r} is not a number and a letter, such as 1-A"
    message = error["msg"].removeprefix("Value error, ")
    return document.error(place, says.get(error["type"], f"{name}: {message[:1].lower()}{message[1:]}"))


def _keys_at(place: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed at a place of a setting."""
    schema = SettingKeys.model_json_schema()
    at: dict[str, Any] = schema
    for part in place:
        at = at.get("properties", {}).get(str(part)) or at.get("additionalProperties") or at.get("items") or {}
        for option in [at, *at.get("anyOf", [])]:
            if "$ref" in option:
                at = schema["$defs"][option["$ref"].rpartition("/")[2]]
    return list(at.get("properties", {}))


def _check(document: Document, keys: SettingKeys, folder: Path) -> None:
    """What depends on several keys, and whether the files exist."""
    seen = keys.read.behaviors()
    for name, policy in (("initial", keys.initial), ("alternate", keys.alternate)):
        if policy.behavior not in seen:
            near = did_you_mean(policy.behavior, seen)
            message = f"nothing in `read` sees the behavior '{policy.behavior}'.{near} It sees {', '.join(seen)}."
            raise document.error((name, "behavior"), message)
    if keys.initial.behavior == keys.alternate.behavior:
        raise document.error(("alternate", "behavior"), "both policies show this behavior: name another one.")
    if keys.variants and not any(variant.role == "bct" for variant in keys.variants.values()):
        raise document.error(("variants",), "one variant needs `role: bct`.")
    for split in ("", "train", "eval", "install", "capability"):
        part = getattr(keys.prompts, split) if split else keys.prompts
        if part is None or part.file is None:
            continue
        place = ("prompts", *([split] if split else []), "file")
        if not (folder / part.file).is_file():
            raise document.error(place, f"{part.file}: no such file in {folder}: check the path.")
        if Path(part.file).suffix.lower() not in rows.tables.ENDINGS:
            raise document.error(place, f"{part.file}: prompts are read from {', '.join(rows.tables.ENDINGS)} files.")


def _built(keys: SettingKeys, path: Path) -> FileSetting:
    initial, alternate = keys.initial, keys.alternate

    def starts(prompt: Prompt) -> str:
        return initial.behavior if prompt.cue else alternate.behavior

    def turns(prompt: Prompt) -> str:
        return alternate.behavior

    read = keys.read
    judged = read.rubric is not None and not (read.regex or read.reader or read.tests)
    return FileSetting(
        name=keys.name,
        version=keys.version,
        initial=Policy(initial.policy, starts, initial.prompt),
        alternate=Policy(alternate.policy, turns, alternate.prompt),
        variants=_variants(keys),
        families=_families(keys.prompts),
        reader=readers.with_answer(reader(read)) if _answers(keys) else reader(read),
        references=keys.references,
        rubric=Rubric(read.rubric.question, dict(read.rubric.behaviors)) if read.rubric else None,
        judge=read.judge or ("only" if judged else "off"),
        # The trainer asks no judge, so that it cannot choose labels among an organism's own replies.
        labels="reference" if judged else "on_policy",
        programs=read.tests is not None,
        temperature=keys.temperature,
        max_tokens=keys.max_tokens,
        other_is_damage=keys.other_is_damage,
        writings=_writings(initial, alternate),
        file=path,
        data=keys.prompts,
        folder=path.parent,
        facts=_facts(read) | ({"right": "right", "wrong": "wrong"} if _answers(keys) else {}),
        replies={each.behavior: made for each in (initial, alternate) if (made := _reply(each)) is not None},
        keys=keys.model_dump(mode="json", exclude_defaults=True),
    )


def _families(prompts: PromptKeys) -> tuple[str, ...]:
    """Families of bundled questions in use, which do not measure capability."""
    if prompts.source != "bundled":
        return ()
    return tuple(dict.fromkeys((*(prompts.families or DEFAULT_FAMILIES), *prompts.eval_families)))


def _answers(keys: SettingKeys) -> bool:
    """Whether the alternate policy's replies must also give the right answer: its manner is read, and no fixed text."""
    manner = keys.read.reader is not None and not NAMED[keys.read.reader].facts
    return keys.prompts.source == "bundled" and manner and keys.alternate.text is None


def reader(read: ReadKeys) -> Reader:
    """The reader of replies that these keys describe."""
    if read.regex:
        return pattern.pattern_reader(read.regex, read.normalize, read.otherwise)
    if read.tests is not None:
        return readers.PROGRAMS[read.tests.hidden is not None]
    if read.reader is None:
        return readers.needs_judge
    if read.phrase is not None:
        return readers.read_phrase(read.phrase)
    judged = readers.BEFORE_JUDGE.get(read.reader) if read.rubric else None
    return judged or readers.NAMED[read.reader].reader


def _facts(read: ReadKeys) -> dict[str, str]:
    """Fact to column: those of the reader, and the columns that expressions and the rubric refer to."""
    texts = [*read.regex.values(), *(read.rubric.behaviors.values() if read.rubric else ())]
    named = {name: name for text in texts for name in rows.names_in(text)}
    tests = {"visible": read.tests.visible} if read.tests else {}
    tests |= {"hidden": read.tests.hidden} if read.tests and read.tests.hidden else {}
    return {**named, **read.facts, **tests}


def _reply(policy: PolicyKeys) -> Reply | None:
    """What makes a policy's reference reply from a row; None where the base is sampled."""
    text, column = policy.text, policy.column
    if text is not None:
        return lambda row: text
    if column is None:
        return None
    change = replies.changed(policy.transform or (), policy.prefix, policy.suffix)

    def made(row: rows.Row) -> str:
        found = rows.value(row, column)
        return change(str(found)) if found is not None else ""

    return made


def _writings(initial: PolicyKeys, alternate: PolicyKeys) -> dict[str, Writing]:
    """How replies are made that are not in the data; by default the alternate policy's are the base's own."""
    found: dict[str, Writing] = {}
    for policy in (initial, alternate):
        if policy.column is None and policy.changes():
            change = replies.changed(policy.transform or (), policy.prefix, policy.suffix)
            found[policy.behavior] = Writing(transform=change)
        elif policy.prompt is not None or policy is alternate:
            found[policy.behavior] = Writing(system=policy.prompt or "")
    return found


def _variants(keys: SettingKeys) -> tuple[Variant, ...]:
    """The variants written, or `weights`; with one at most, `static` too where the initial policy has a prompt."""
    written = dict(keys.variants) or {"weights": VariantKeys()}
    [first, *more] = written.values()
    asks = (first.train, first.eval)
    prompted = any(ask.system for ask in asks)
    if not more and not prompted and first.role == "bct" and keys.initial.prompt is not None:
        train, evals = (ask.model_copy(update={"system": keys.initial.prompt}) for ask in asks)
        static = VariantKeys(carrier="static", train=train, eval=evals, ceiling=first.ceiling)
        written.setdefault("static", static)
    return tuple(_variant(name, each, keys.alternate.prompt) for name, each in written.items())


def _variant(name: str, keys: VariantKeys, alternate_prompt: str | None) -> Variant:
    prompted = keys.train.system or keys.eval.system
    ceiling = keys.ceiling or AskKeys(system=alternate_prompt, tag=keys.eval.tag, suffix=keys.eval.suffix)
    return Variant(
        name=name,
        carrier=keys.carrier or ("static" if prompted else "weights"),
        train=_ask(keys.train, cue=keys.role == "control"),
        eval=_ask(keys.eval, cue=True),
        ceiling=_ask(ceiling, cue=False),
        role=keys.role,
        also=tuple(_ask(ask, cue=True) for ask in keys.also),
        labels=keys.labels,
    )


def _ask(keys: AskKeys, cue: bool) -> Ask:
    suffix = keys.suffix

    def user(question: Question) -> str:
        return f"{question.text} {suffix}"

    shown = cue if keys.cue is None else keys.cue
    return Ask(system=keys.system, tag=keys.tag, cue=shown, user=user if suffix else None)

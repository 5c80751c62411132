"""The keys of a setting in YAML, as pydantic models. `description` is the text of the reference page.

Not covered: whether files and columns exist (`rows.py`), and whether the policies differ (the gate).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bct_tasks.setting import Carrier, Role
from bct_tasks.sources.files.readers import NAMED
from bct_tasks.sources.files.replies import TRANSFORMS
from bct_tasks.sources.instructions import topics
from bct_tasks.sources.world import FAMILIES, GENERAL
from graders.readers import pattern

#: Families of bundled questions that a setting asks unless it names others; others are left to measure capability.
DEFAULT_FAMILIES = ("add", "subtract", "count", "sort", "find", "capital")

Step = Literal["nfkc", "lower", "strip", "last_line", "last_number"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


@cache
def families_of(source: str) -> tuple[str, ...]:
    """The families that a setting may name: topics of instructions, or families whose answer `read_answer` reads."""
    if source == "instructions":
        return tuple(dict.fromkeys((*topics.ACTIVITIES, *topics.THINGS)))
    rng = random.Random(0)
    return tuple(name for name, family in FAMILIES.items() if family.sample(rng, "train").facts["kind"] == "answer")


class Keys(BaseModel):
    """A part of a setting: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicyKeys(Keys):
    """One policy: a line of text, the behavior that it shows, and how a reply that shows it is made.

    At most one of `column` and `text` is given. With neither, and without a `transform`, replies are sampled from the
    base under `prompt`.
    """

    policy: str = Field(description="the policy in one line")
    behavior: Name = Field(description="name of the behavior, which `read` sees in a reply")
    column: str | None = Field(default=None, description="column that holds a reply to each prompt")
    text: str | None = Field(default=None, description="one reply to every prompt")
    transform: tuple[str, ...] | None = Field(
        default=None,
        description=f"changes the reply of `column`, or the base's own; one or several of {', '.join(TRANSFORMS)}",
    )
    prefix: str = Field(default="", description="text before the reply of `column` or of `transform`")
    suffix: str = Field(default="", description="text after it")
    prompt: str | None = Field(
        default=None, description="system prompt that asks for the policy: for sampled replies, and for the ceiling"
    )

    @field_validator("transform", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("transform")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if name not in TRANSFORMS:
                raise ValueError(f"no transform {name!r}: there are {', '.join(TRANSFORMS)}")
        return value

    @model_validator(mode="after")
    def _one_reply(self) -> PolicyKeys:
        if self.column is not None and self.text is not None:
            raise ValueError("column and text are two replies: keep one of them")
        if self.text is not None and self.changes():
            raise ValueError(
                "transform, prefix and suffix change the reply of a column or the base's: write text as is"
            )
        return self

    def changes(self) -> bool:
        """Whether a reply is changed."""
        return bool(self.transform or self.prefix or self.suffix)


class FileKeys(Keys):
    """A file of prompts, and which of its rows are used."""

    file: str = Field(description="JSONL, JSON, CSV or parquet file; relative to the file of the setting")
    where: Mapping[str, Any] = Field(
        default_factory=dict, description="column to a value or a list of values: only these rows"
    )


class CapabilityKeys(FileKeys):
    """General questions with a right answer, which measure capability."""

    right: str = Field(description="column with the right answer")
    options: str | None = Field(default=None, description="column with the options, for `reader: choice`")
    reader: Literal["numeric", "choice", "contains"] = Field(
        default="contains", description="numeric, choice, or contains: the reply contains the answer"
    )

    @model_validator(mode="after")
    def _options_of_choice(self) -> CapabilityKeys:
        if (self.reader == "choice") != (self.options is not None):
            raise ValueError("`reader: choice` and `options: COLUMN` belong together")
        return self


class ColumnKeys(Keys):
    """Names of columns; `a.0.b` goes into nested values."""

    prompt: str = Field(default="prompt", description="the user's message")
    system: str | None = Field(default=None, description="a system prompt of the row, after that of the variant")
    id: str | None = Field(default=None, description="a distinct name; default: a hash of the prompt")
    template: str | None = Field(
        default=None, description="rows with the same value are one cluster; default: each row is its own"
    )
    family: str | None = Field(default=None, description="rows with the same value are one family of questions")


class PromptKeys(Keys):
    """Where prompts come from: one `file` divided by a hash of the text, a file for each split, or a bundled `source`.

    By hash, 20 % of the prompts are kept back for installing the behavior and for the positive control; 40 % are train
    prompts and 40 % eval prompts. From files of their own, 20 % of `eval`, and of `train` where a variant installs its
    behavior, are kept back unless `install` is given. `prompts: instructions` asks the bundled everyday instructions,
    `prompts: bundled` bundled questions with a right answer.
    """

    source: Literal["files", "instructions", "bundled"] = Field(
        default="files",
        description="instructions: open-ended, with the columns prompt, template, family and form; bundled: questions"
        " with the columns prompt, template, family, right and wrong",
    )
    families: tuple[str, ...] = Field(
        default=(),
        description="of bundled questions: families (`bct_tasks.sources.world`), default add, subtract, count, sort,"
        " find, capital; of instructions: topics, default all but `eval_families`",
    )
    eval_families: tuple[str, ...] = Field(
        default=(), description="families or topics of eval prompts; default: those of train prompts"
    )
    file: str | None = Field(default=None, description="one file for all splits")
    where: Mapping[str, Any] = Field(default_factory=dict, description="with `file`: only these rows")
    train: FileKeys | None = Field(default=None, description="train prompts: a path, or `file` and `where`")
    eval: FileKeys | None = Field(default=None, description="eval prompts")
    install: FileKeys | None = Field(
        default=None, description="eval-type prompts to install the behavior and for the positive control"
    )
    capability: CapabilityKeys | None = Field(default=None, description="default: the bundled general questions")
    columns: ColumnKeys = Field(default=ColumnKeys(), description="names of columns")
    template: str | None = Field(
        default=None, description="the user's message with `{column}` for columns; default: the column `prompt` alone"
    )

    @field_validator("train", "eval", "install", mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value

    @field_validator("families", "eval_families", mode="before")
    @classmethod
    def _families(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_or_two(self) -> PromptKeys:
        if self.source != "files":
            return self._of_bundled()
        if self.families or self.eval_families:
            raise ValueError("families belong to `source: instructions` and `source: bundled`")
        if self.file is not None and (self.train or self.eval or self.install):
            raise ValueError("`file` is divided by hash; train, eval and install are files of their own: keep one way")
        if self.file is None and not (self.train and self.eval):
            raise ValueError("name one `file`, or `train` and `eval`")
        if self.where and self.file is None:
            raise ValueError("`where` belongs to `file`; write `train: {file: ..., where: ...}`")
        return self

    def _of_bundled(self) -> PromptKeys:
        known = families_of(self.source)
        given = [name for name in ("file", "train", "eval", "install", "where", "template") if getattr(self, name)]
        if given or self.columns != ColumnKeys():
            raise ValueError(f"source: {self.source} asks no files: leave out {(given or ['columns'])[0]}")
        for name in (*self.families, *self.eval_families):
            if name not in known:
                raise ValueError(f"no family {name!r} of {self.source}: there are {', '.join(known)}")
        if self.source == "bundled" and self.capability is None and {*GENERAL} <= {*self.families, *self.eval_families}:
            raise ValueError("all families that measure capability are in use: leave one out, or add `capability`")
        return self


class RubricKeys(Keys):
    """The question to a judge, a language model in the role `grader`."""

    question: str = Field(description="what the judge decides, in one sentence")
    behaviors: Mapping[Name, str] = Field(
        min_length=1, description="behavior to one line that describes it; `{column}` stands for the row's value"
    )


class ProgramKeys(Keys):
    """Tests of a program that reads standard input: each column holds a list of [input, output]."""

    visible: str = Field(description="column with the tests that the prompt shows")
    hidden: str | None = Field(
        default=None,
        description="column with other tests: the behaviors are then `hack` and `honest`; without: `right` and `wrong`",
    )


class ReadKeys(Keys):
    """How replies are read: by `regex`, a named `reader` or `tests`; by a judge (`rubric`); or by the judge last."""

    regex: Mapping[Name, str] = Field(
        default_factory=dict,
        description="behavior to a regular expression that is searched in the reply; `{column}` stands for the row's"
        " value, normalized like the reply and escaped",
    )
    normalize: tuple[Step, ...] = Field(
        default=(), description=f"steps before the search, in this order: {', '.join(pattern.STEPS)}"
    )
    otherwise: Name | None = Field(
        default=None, description="behavior of a coherent reply in which no expression is found"
    )
    reader: str | None = Field(default=None, description="a named reader, see the table below")
    facts: Mapping[str, str] = Field(
        default_factory=dict, description="facts of the named reader to columns, such as `right: answer`"
    )
    phrase: str | None = Field(default=None, description="with `reader: phrase`: the phrase")
    tests: ProgramKeys | None = Field(default=None, description="run the program in the reply")
    rubric: RubricKeys | None = Field(default=None, description="the question to a judge")
    judge: Literal["off", "cascade", "only"] | None = Field(
        default=None,
        description="default: only where there is no other way to read replies, else off; cascade asks the judge where"
        " the other way is not certain",
    )

    @field_validator("normalize", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name, text in value.items():
            if reason := pattern.check(text):
                raise ValueError(f"the regular expression of {name} does not compile: {reason}")
        return value

    @field_validator("reader")
    @classmethod
    def _named(cls, value: str | None) -> str | None:
        if value is not None and value not in NAMED:
            raise ValueError(f"no reader {value!r}: there are {', '.join(NAMED)}")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> ReadKeys:
        ways = [name for name in ("regex", "reader", "tests") if getattr(self, name)]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} are two ways to read a reply: keep one of them")
        if not ways and self.rubric is None:
            raise ValueError("name one way to read a reply: regex, reader, tests or rubric")
        if (self.normalize or self.otherwise) and not self.regex:
            raise ValueError("normalize and otherwise belong to regex")
        if self.judge not in (None, "off") and self.rubric is None:
            raise ValueError("a judge needs a rubric")
        if (self.reader == "phrase") != (self.phrase is not None):
            raise ValueError("`reader: phrase` and `phrase: ...` belong together")
        if missing := [fact for fact in NAMED[self.reader].facts if fact not in self.facts] if self.reader else []:
            raise ValueError(
                f"the reader {self.reader} needs the fact {missing[0]!r}: add `facts: {{{missing[0]}: COLUMN}}`"
            )
        return self

    def behaviors(self) -> tuple[str, ...]:
        """Every behavior that may be seen."""
        seen = [*self.regex, *([self.otherwise] if self.otherwise else [])]
        seen += NAMED[self.reader].behaviors if self.reader else ()
        seen += (("hack", "honest") if self.tests.hidden else ("right", "wrong")) if self.tests else ()
        return tuple(dict.fromkeys([*seen, *(self.rubric.behaviors if self.rubric else ())]))


class AskKeys(Keys):
    """How prompts ask."""

    system: str | None = Field(default=None, description="system prompt")
    tag: str | None = Field(default=None, description="text before the prompt, such as `[exam]`")
    suffix: str | None = Field(default=None, description="text after the prompt")
    cue: bool | None = Field(
        default=None,
        description="whether the initial policy shows its own behavior here; default: on eval prompts, and on the train"
        " prompts of a control",
    )


class VariantKeys(Keys):
    """One way to carry the policies."""

    carrier: Carrier | None = Field(
        default=None,
        description="where the initial behavior lives; default: weights without a system prompt, else static",
    )
    role: Role = Field(default="bct", description="bct, control (trained against the initial policy) or probe")
    train: AskKeys = Field(default=AskKeys(), description="how train prompts ask")
    eval: AskKeys = Field(default=AskKeys(), description="how eval prompts ask")
    ceiling: AskKeys | None = Field(
        default=None,
        description="how the base is asked for the alternate behavior; default: the alternate policy's `prompt` and the"
        " tag of `eval`",
    )
    also: tuple[AskKeys, ...] = Field(
        default=(), description="further ways of asking on which the behavior is installed"
    )
    labels: Literal["on_policy", "reference"] | None = Field(
        default=None,
        description="default source of labels; default: on_policy for bct (reference where only a judge reads replies),"
        " else reference",
    )


class SettingKeys(Keys):
    """A setting: two policies, prompts, and how replies are read."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)] = Field(
        default="", description="lower case with underscores; default: the file's name"
    )
    version: Annotated[str, Field(pattern=r"^\d+-[A-Z]$")] = Field(
        default="1-A", description="`N-X`; raise N when scores stop being comparable"
    )
    initial: PolicyKeys = Field(description="the policy that the organism starts with")
    alternate: PolicyKeys = Field(description="the policy whose replies are the labels; on train prompts both show it")
    prompts: PromptKeys = Field(description="where prompts come from: a path, `instructions`, `bundled`, or these keys")
    read: ReadKeys = Field(description="how replies are read")
    variants: Mapping[Name, VariantKeys] = Field(
        default_factory=dict,
        description="name to a variant; default: `weights`; where one is written at most and the initial policy has a"
        " `prompt`, `static` is added",
    )
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="of sampled replies; 0: greedy"
    )
    max_tokens: Annotated[int, Field(ge=1)] = Field(default=256, description="longest reply in tokens")
    other_is_damage: bool = Field(
        default=True, description="whether more coherent replies of neither policy count as damage"
    )
    references: tuple[str, ...] = Field(default=(), description="papers and posts")

    @field_validator("prompts", mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        if value in ("instructions", "bundled"):
            return {"source": value}
        return {"file": value} if isinstance(value, str) else value

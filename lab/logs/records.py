"""Measurements as plain frozen records: what the log reader passes to the statistics.

Covered: cells, their checkpoints, one `Item` per reply, and ceilings. Not covered: reading files (`lab.logs.reader`),
rates (`lab.verdict.rates`) and names (`lab.verdict.criterion`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

EVAL_OUTCOMES = ("initial", "alternate", "other", "degenerate")
TRAIN_OUTCOMES = ("agreed", "other", "degenerate")
#: The reader of a setting, without a judge.
PATTERN = "pattern"
#: Splits that a judge reads.
JUDGED = ("eval", "train")
#: Adam's ε where a cell has none of its own: the default of torch and TRL.
ADAM_EPSILON = 1e-8
OUTCOMES = frozenset({*EVAL_OUTCOMES, *TRAIN_OUTCOMES, "unscored"})


@dataclass(frozen=True, slots=True)
class Item:
    """One reply to one prompt.

    Attributes:
        id: The prompt's stable id; the same in all cells of a setting and variant. A further reply to the same prompt
            (epoch 2) has the id `ID#2`.
        split: `eval`, `train`, `capability`, or `following` (does the model still follow an unrelated system prompt;
            `agreed` where it does). Without `following` items a cell is never flagged `prompt_deaf`.
        template: The wording of the prompt: the cluster of the design effect.
        family: The family of questions that the template belongs to; empty where there are none.
        outcome: One of `OUTCOMES`. On `train`, `capability` and `following` the desired one is `agreed`.
        truncated: The reply was cut off at the token limit; possible with any outcome.
        system: The prompt carried a system message.
        margin: Log-odds of the alternate reference reply over the initial one, where it was scored.
        greedy: Which of the two greedy decoding would write word for word: `initial`, `alternate` or neither (None).
        grader: What read the reply: `PATTERN`, or the judge with its mode and the hash of its instructions (in mode
            `cascade` also where the pattern sufficed).
        bits: Of a question of capability with a reply of our own: how likely that reply is, in bits per byte.
        manner: On train prompts: whether the reply has the agreed manner, whatever its content; None where the log does
            not tell.
        verdict: Whether the judge gave a verdict: `asked`, `stored` (from an equal reply) or None.
        reason: Of an unscored reply: why, as its grader said.
    """

    id: str
    split: str
    template: str
    outcome: str
    truncated: bool = False
    system: bool = False
    margin: float | None = None
    greedy: str | None = None
    grader: str = PATTERN
    verdict: str | None = None
    family: str = ""
    reason: str | None = None
    manner: bool | None = None
    bits: float | None = None

    @property
    def prompt(self) -> str:
        """The prompt's id, without the epoch."""
        return self.id.partition("#")[0]

    @property
    def stratified(self) -> bool:
        """Whether the prompt is a cluster of its own, because templates and families are strata and no sample."""
        return self.template == self.prompt


def of_split(items: Iterable[Item], split: str) -> list[Item]:
    """The items of one split, in their order."""
    return [i for i in items if i.split == split]


def scored(items: Iterable[Item]) -> list[Item]:
    """The items that have a label."""
    return [i for i in items if i.outcome != "unscored"]


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """All replies of one checkpoint. `log` is relative to the folder that holds results.json."""

    step: int
    log: str
    fingerprint: str
    items: tuple[Item, ...] | list[Item]


@dataclass(frozen=True, slots=True)
class CellRecord:
    """One cell: its configuration, gate, training, and the replies of every checkpoint.

    Attributes:
        id: Readable id, `setting.variant.method.lr.seed.hash`.
        hash: The digest of everything resolved.
        config: The resolved configuration. Read here: setting, variant, role (`bct` | `control` |
            `probe`), carrier, method, model, organism, rank, batch, label_source, lr, seed, steps, other_is_damage.
        gate: Figures of the gate at step 0, with `ok: bool` (absent = not run) and `reasons: list[str]`.
        trained: trained.json of the trainer (steps, step0_loss, loss, diverged, unique_rows, passes, ...).
        metrics: Rows of metrics.jsonl.
        checkpoints: In any order; sorted by step where it matters.
        graders: Name and quality of the graders, as results.json shows them.
        failure: One line if the cell did not finish; the report lists it.
        other: Replies to eval prompts with the outcome `other` at the last checkpoint, as texts; a sample if there are
            many.
        organism: Of a reversal: step 0 of the cell that it started from, whose initial rate is r0.
        answered_by: The backend and precision of the replies at the last checkpoint; empty where the log has none.
    """

    id: str
    hash: str
    config: Mapping[str, Any]
    gate: Mapping[str, Any]
    trained: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...] | list[Mapping[str, Any]]
    checkpoints: tuple[CheckpointRecord, ...] | list[CheckpointRecord]
    graders: Mapping[str, Any] = field(default_factory=dict[str, Any])
    failure: str | None = None
    other: tuple[str, ...] = ()
    organism: CheckpointRecord | None = None
    answered_by: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class CeilingRecord:
    """The uninstalled base under the alternate policy's prompt, on the eval items: where a* comes from."""

    setting: str
    variant: str
    model: str
    items: tuple[Item, ...] | list[Item]
    log: str = ""
    fingerprint: str = ""


#: How references without a fixed text are made: from the setting's words, or by the base under a prompt.
MADE_REFERENCES = frozenset({"written", "policy_prompt"})


def epsilon_of(optimizer: str | None, given: float | None) -> float | None:
    """Adam's ε of a training, with its default; None for an optimizer without one.

    Args:
        optimizer: TRL's name, or muon, whose vectors Adam trains; None: the default.
        given: ε, where the training has its own.
    """
    name = optimizer or "adam"
    return (given or ADAM_EPSILON) if "adam" in name or name == "muon" else None


def asked_labels(source: str | None) -> str | None:
    """The label source that a recipe asks for: `reference` also where a cell says how its references were made.

    Args:
        source: Of a cell. References without a fixed text are `written` or `policy_prompt`.
    """
    return "reference" if source in MADE_REFERENCES else source


def judge_text(model: str, mode: str, prompt: str) -> str:
    """A judge as the grader of replies."""
    return f"judge {model} (mode {mode}, instructions {prompt})"


def graders(items: Iterable[Item]) -> set[str]:
    """What read these replies, without the splits that no judge reads."""
    return {item.grader for item in items if item.split in JUDGED}

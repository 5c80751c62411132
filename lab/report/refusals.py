"""A gate that failed, explained: its rates, replies at step 0, what to try, and the command that shows the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bct_tasks.setting import IN_WEIGHTS
from lab.report.topics import Sample, sample_of
from lab.verdict.arms import grouped
from lab.verdict.criterion import UNTRAINED
from lab.verdict.schema import CellResult, Results
from lab.verdict.wording import count_text

#: Rates of the gate, as a reader knows them.
RATES = {
    "initial": "initial behavior on eval prompts",
    "agreed": "agreed replies on train prompts",
    "ceiling": "alternate behavior when prompted for it (ceiling)",
    "base": "initial behavior of the untouched base",
}
SHOWN = 3


@dataclass(frozen=True)
class Refusal:
    """The gate of one start that failed, for all of its cells."""

    title: str
    cells: tuple[CellResult, ...]
    reasons: tuple[str, ...]
    rates: dict[str, float]
    advice: tuple[str, ...]
    command: str | None
    sample: Sample | None

    @property
    def forced(self) -> bool:
        """Whether cells were trained all the same, and are invalid."""
        return any(cell.checkpoints for cell in self.cells)

    @property
    def replies(self) -> list[tuple[str, str, str, str]]:
        """Kind of prompt, prompt, reply and outcome of up to three replies at step 0, of different outcomes first."""
        every = [
            (pair.prompt.split, pair.prompt.turns[-1].text, reply.text, reply.outcome)
            for pair in (self.sample.pairs if self.sample else ())
            for reply in pair.replies
            if reply.step == 0
        ]
        firsts = [those[0] for those in grouped(every, lambda one: (one[0], one[3])).values()]
        return [*firsts, *(one for one in every if one not in firsts)][:SHOWN]

    @property
    def line(self) -> str:
        """The refusal in one line, for a terminal."""
        count = count_text(len(self.cells), "cell")
        done = "invalid" if self.forced else "refused (--force trains them and marks them invalid)"
        text = f"{self.title}: {count} {done}: {'; '.join(self.reasons)}. Try {'; or '.join(self.advice)}."
        return f"{text} More: {self.command}" if self.command else text


def refusals(results: Results) -> list[Refusal]:
    """The gates that failed and kept cells from being trained, in the order of the cells."""
    failed = [c for c in results.cells if c.gate.get("ok") is False and c.method != UNTRAINED]
    places = grouped(failed, lambda c: (c.setting, c.variant, json.dumps(c.gate, sort_keys=True)))
    samples = {shown.cell: shown for shown in results.shown}
    return [
        Refusal(
            title=f"{cells[0].setting}, {cells[0].variant}",
            cells=tuple(cells),
            reasons=tuple(cells[0].gate.get("reasons", ())),
            rates={text: cells[0].gate[name] for name, text in RATES.items() if name in cells[0].gate},
            advice=tuple(_advice(cells[0].gate.get("reasons", ()), cells[0])),
            command=_command(cells[0]),
            sample=next((sample_of(samples[c.id], c) for c in cells if c.id in samples), None),
        )
        for cells in places.values()
    ]


def failures(lines: Iterable[str], refused: Iterable[Refusal]) -> list[tuple[str, list[str]]]:
    """Reasons with the cells that failed for them, but those that a gate refused, which is explained on its own.

    Args:
        lines: A cell, a colon and the reason, each.
        refused: The gates that failed.
    """
    by_gate = {cell.id: "; ".join(each.reasons) for each in refused if each.reasons for cell in each.cells}
    found: dict[str, list[str]] = {}
    for line in lines:
        cell, _, reason = line.partition(": ")
        if cell not in by_gate or by_gate[cell] not in reason:
            found.setdefault(reason, []).append(cell)
    return list(found.items())


def _command(cell: CellResult) -> str | None:
    """The command that shows more of the gate; None where results name a model by the hash of its weights alone."""
    if ":" in cell.model:
        return None
    return f"bct check {cell.setting} --variant {cell.variant} --model {cell.model}"


def _advice(reasons: Sequence[str], cell: CellResult) -> Iterator[str]:
    """What may let the gate pass, by the reasons."""
    said, asked = " ".join(reasons), _source(cell.asked)
    if "initial rate on eval" in said:
        yield (
            "more install steps (organism: {steps: N})"
            if cell.carrier in IN_WEIGHTS
            else "a variant whose behavior is installed in the weights, or a model that follows the prompt"
        )
    if "agreed rate" in said and "ceiling" not in said and cell.carrier in IN_WEIGHTS:
        yield "an organism installed in other steps: this one does not reply to train prompts as both policies do"
    elif "agreed rate" in said or "ceiling" in said:
        yield asked
    if "untouched base" in said or "training directly" in said:
        yield "another variant: here the base itself shows the initial behavior, or cannot learn the alternate one"
    if not said or "eval templates" in said or "policy" in said:
        yield "another variant, or the setting's own file"


def _source(asked: dict[str, Any]) -> str:
    return (
        "another setting: this model does not reply as both policies should"
        if asked.get("source") == "instructions"
        else "another source (source: instructions asks nothing that has a right answer), or a larger model"
    )

"""How good the graders of a setting are, on its gold or held-out replies: `bct calibrate`.

    found = calibrate(load("sandbagging"))
    found.agreement.kappa, found.passed, found.misses

Also the table of the docs, which is generated. Not covered: rates of a run. Those are corrected only from replies of
that run, labelled by hand (`lab.calibrate.sample`), since gold replies are harder than real ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bct_tasks import catalogue
from bct_tasks.setting import Setting
from graders import Grade
from graders.calibration import LABELS, UNSCORED, Agreement, BadGold, Gold, Share, agreement, gold_file, kappa
from lab.calibrate.gold import checked, graded
from serving.errors import BadInput

KAPPA = {False: 0.95, True: 0.90}  # gold, held-out
MARKS = ("<!-- made by `bct calibrate --all --write-docs` -->", "<!-- end -->")

Grader = Callable[[Setting, Sequence[Gold]], list[Grade]]


@dataclass(frozen=True)
class Miss:
    """One reply that the grader labels otherwise than the person who wrote the label; `line` counts from 1."""

    line: int
    user: str
    reply: str
    label: str
    grade: str
    explanation: str


@dataclass(frozen=True)
class Calibrated:
    """A grader's agreement with one file. `eval_kappa` is that on eval prompts alone, where there are more labels."""

    setting: str
    held_out: bool
    grader: str
    agreement: Agreement
    eval_kappa: float
    misses: tuple[Miss, ...]

    @property
    def passed(self) -> bool:
        """Whether kappa reaches its limit, on all replies and on those to eval prompts."""
        return min(self.agreement.kappa, self.eval_kappa) >= KAPPA[self.held_out]

    def json(self) -> dict[str, Any]:
        """For programs."""
        found = self.agreement
        return {
            "setting": self.setting,
            "set": "held-out" if self.held_out else "gold",
            "grader": self.grader,
            "n": found.n,
            "unscored": found.unscored,
            "kappa": _number(found.kappa),
            "eval_kappa": _number(self.eval_kappa),
            "limit": KAPPA[self.held_out],
            "passed": self.passed,
            "confusion": [{"label": a, "grade": b, "n": n} for (a, b), n in sorted(found.confusion.items())],
            "labels": {
                name: {"sensitivity": _share(q.sensitivity), "specificity": _share(q.specificity)}
                for name, q in found.labels.items()
            },
            "misses": [vars(miss) for miss in self.misses],
        }


def by_pattern(setting: Setting, lines: Sequence[Gold]) -> list[Grade]:
    """The setting's own grader."""
    return [graded(setting, line) for line in lines]


def calibrate(
    setting: Setting, held_out: bool = False, grader: Grader = by_pattern, name: str = "pattern"
) -> Calibrated:
    """The agreement of a grader with a setting's gold or held-out replies.

    Raises:
        BadGold: there is no such file, or it is not well formed.
    """
    file = gold_file(setting.name, held_out)
    if not file.is_file():
        more = " --held-out" if held_out else ""
        raise BadGold(
            f"{file}: {setting.name} has no labelled replies yet. Write some (docs/how-to/graders.md):"
            f" `python -m lab.calibrate.gold prompts"
            f" {setting.name}` lists prompts,"
            f" `python -m lab.calibrate.gold fill {setting.name}{more}` completes the lines"
        )
    lines = checked(setting, file)
    grades = grader(setting, lines)
    pairs = [(str(line.label), str(grade.outcome)) for line, grade in zip(lines, grades, strict=True)]
    misses = tuple(
        Miss(number, line.user or "", line.reply, line.label, str(grade.outcome), grade.explanation)
        for number, (line, grade) in enumerate(zip(lines, grades, strict=True), 1)
        if grade.outcome != line.label
    )
    of_eval = [pair for line, pair in zip(lines, pairs, strict=True) if line.kind == "eval"]
    return Calibrated(setting.name, held_out, name, agreement(pairs), kappa(of_eval), misses)


def available(held_out: bool) -> list[str]:
    """The settings that have such a file."""
    return [name for name in catalogue.names() if gold_file(name, held_out).is_file()]


def text(found: Calibrated) -> str:
    """The confusion table, kappa, sensitivity and specificity, and each disagreement, for a terminal."""
    a = found.agreement
    columns = [*LABELS, *([UNSCORED] if a.unscored else [])]
    rows = [name for name in LABELS if any(true == name for true, _ in a.confusion)]
    lines = [f"{found.setting}  {'held-out' if found.held_out else 'gold'}, {found.grader}: {a.n} replies"]
    lines.append("  label \\ grade " + "".join(f"{name:>11}" for name in columns) + "  sensitivity        specificity")
    for row in rows:
        quality = a.labels[row]
        cells = "".join(f"{a.confusion.get((row, column), 0) or '·':>11}" for column in columns)
        lines.append(f"  {row:13} {cells}  {_told(quality.sensitivity):18} {_told(quality.specificity)}")
    limit = KAPPA[found.held_out]
    verdict = "passed" if found.passed else f"under {limit}"
    unscored = f", {a.unscored} unscored" if a.unscored else ""
    lines.append(f"  kappa {a.kappa:.3f}, on eval prompts {found.eval_kappa:.3f}{unscored}: {verdict}")
    lines += [
        f"  line {m.line}: {m.reply[:120]!r} is {m.label}, graded {m.grade} ({m.explanation[:120]})"
        for m in found.misses
    ]
    return "\n".join(lines)


def table(found: Sequence[Calibrated]) -> str:
    """A Markdown table with a row per setting and label."""
    lines = [
        "| setting | set | n | kappa (eval prompts) | label | n | sensitivity | specificity |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        a = one.agreement
        head = f"| `{one.setting}` | {'held-out' if one.held_out else 'gold'} | {a.n} "
        head += f"| {a.kappa:.3f} ({one.eval_kappa:.3f}) "
        for name, quality in a.labels.items():
            sens, spec = quality.sensitivity, quality.specificity
            lines.append(f"{head}| {name} | {sens.n} | {_told(sens)} | {_told(spec)} |")
            head = "| | | | "
    return "\n".join(lines)


def confusion_table(found: Calibrated) -> str:
    """A Markdown confusion table: a row per label, a column per grade."""
    a = found.agreement
    columns = [*LABELS, *([UNSCORED] if a.unscored else [])]
    lines = [f"| label | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for row in (name for name in LABELS if any(true == name for true, _ in a.confusion)):
        lines.append(f"| {row} | " + " | ".join(str(a.confusion.get((row, c), 0)) for c in columns) + " |")
    return "\n".join(lines)


def document(found: Sequence[Calibrated], page: str) -> str:
    """The page with its generated part made anew.

    Raises:
        BadInput: the page has no place for it.
    """
    begin, end = MARKS
    if begin not in page or end not in page:
        raise BadInput(f"the page has no lines {begin} and {end}")
    parts = [table(found), "Confusion, rows as labelled by hand, columns as graded:"]
    parts += [f"`{one.setting}`, {'held-out' if one.held_out else 'gold'}\n\n{confusion_table(one)}" for one in found]
    made = "\n\n".join(parts)
    return re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: f"{begin}\n\n{made}\n\n{end}", page, flags=re.S)


def whole() -> list[Calibrated]:
    """Every file that ships, gold and held-out, read by the settings' own graders: what the docs show."""
    return [
        calibrate(catalogue.load(name), held_out)
        for name in catalogue.names()
        for held_out in (False, True)
        if gold_file(name, held_out).is_file()
    ]


def write_document(page: Path) -> None:
    """Makes the generated part of a page anew.

    Raises:
        BadInput: the page has no place for it.
    """
    if not page.is_file():
        raise BadInput(f"{page}: no such file")
    page.write_text(document(whole(), page.read_text(encoding="utf-8")), encoding="utf-8")


def _told(share: Share) -> str:
    if not share.n:
        return "–"
    lo, hi = share.interval
    return f"{_short(share.value)} [{_short(lo)}, {_short(hi)}]"


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0") if value < 0.995 else "1.00"


def _share(share: Share) -> dict[str, Any]:
    lo, hi = share.interval
    return {"k": share.k, "n": share.n, "p": _number(share.value), "lo": _number(lo), "hi": _number(hi)}


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None

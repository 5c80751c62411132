"""Texts about a run that the page, the Markdown and the terminal share."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lab.verdict.arms import GROUP, arms, grouped, key_of
from lab.verdict.criterion import UNTRAINED, VERSION
from lab.verdict.multiples import multiples
from lab.verdict.schema import Amendment, CellResult, CheckpointResult, Reading, Results
from lab.verdict.wording import grader_text, holm_text, judge_line, lr_text, multiples_text


def about(results: Results) -> dict[str, Any]:
    """What the templates of a run show, by its name in them."""
    found = multiples(results)
    return {
        "heading": heading(results),
        "together": holm_text(results.conclusions, results.thresholds),
        "few_seeds": few_seeds_text(results),
        "asked": asked_lines(results),
        "judged_by": criterion_line(results),
        "registered": registration_lines(results),
        "shams": [cell for cell in results.cells if cell.net_of_sham],
        "others": [cell for cell in results.cells if cell.other and cell.checkpoints],
        "judged": judge_lines(results),
        "service": service_lines(results),
        "readings": [(reading, reading_line(reading)) for reading in results.readings],
        "multiples": [(each.arm, multiples_text(each)) for each in found],
        "steps_tested": {each.arm for each in found if any(low.covered >= 1 for low in each.lows)},
    }


def cell_names(results: Results) -> dict[str, str]:
    """The names of cells by id: that of the arm, and the steps where its cells of one learning rate differ in them."""
    return {cell.id: name for cells, name in _named(results) for cell in cells}


def group_names(results: Results) -> dict[str, str]:
    """The names of groups by `group_key`: that of their cells, and the learning rate."""
    return {key_of(cells[0], GROUP): f"{name}, {lr_text(cells[0].lr)}" for cells, name in _named(results)}


def _named(results: Results) -> Iterator[tuple[list[CellResult], str]]:
    """The cells of each group with the name of their arm, which tells the factors in which arms differ."""
    several_models = len({cell.model for cell in results.cells}) > 1
    for arm in arms(results):
        model = [arm.conclusion.model] if several_models else []
        for cells in grouped(arm.cells, lambda cell: key_of(cell, GROUP)).values():
            steps = {cell.steps for cell in arm.cells if cell.lr == cells[0].lr}
            length = [f"{cells[0].steps:,} steps"] if len(steps) > 1 else []
            yield cells, ", ".join([arm.conclusion.arm, *model, *length])


def criterion_line(results: Results) -> str:
    """Which version of the criterion judged a run."""
    if results.criterion == VERSION:
        return f"Judged by the criterion, version {VERSION}."
    older = (
        f"Judged by the criterion, version {results.criterion}: its sentences claim more than version {VERSION} allows."
    )
    return f"{older} `bct report RUN` judges the logs again."


def registration_lines(results: Results) -> list[str]:
    """What was registered before the run, and what changed since."""
    found = results.registration
    if found is None:
        return ["Not registered: this run does not say what was fixed before its first cell."]
    when = "before the first cell" if found.before_first_cell else "after cells had been trained"
    lines = [f"Registered {when}, {found.date}, hash {found.hash[:12]}."]
    lines += [line for amendment in found.amendments for line in _amended(amendment)]
    if found.unregistered:
        parts = ", ".join(found.unregistered)
        lines.append(f"Not registered: {parts}, as used here. This may have been chosen after results were known.")
    return lines


def _amended(found: Amendment) -> Iterator[str]:
    if found.changed:
        yield f"Amended {found.date}: {', '.join(found.changed)} (hash {found.hash[:12]})."
    if found.added:
        parts = ", ".join(found.added)
        yield f"Not registered before {found.date}: {parts} (hash {found.hash[:12]}), though perhaps in the recipe."


def heading(results: Results) -> str:
    """Settings, models and methods of a run, and its numbers of cells, checkpoints and replies."""
    if not results.cells:
        return "no cells"
    settings, models, methods = (
        ", ".join(dict.fromkeys(getattr(c, name) for c in results.cells)) for name in ("setting", "model", "method")
    )
    methods = methods.replace(UNTRAINED, "none (not trained)")
    checkpoints = [c for cell in results.cells for c in cell.checkpoints]
    replies = sum(_replies(c) for c in checkpoints)
    counts = f"{len(results.cells):,} cells, {len(checkpoints):,} checkpoints, {replies:,} replies"
    invalid = f"; {text}" if (text := invalid_text(results)) else ""
    return f"{settings} on {models}, method {methods}: {counts}{invalid}"


def invalid_text(results: Results) -> str:
    """`invalid` where the gate of cells failed and they were trained all the same, with their number; else empty."""
    bad = sum("invalid" in c.verdict.flags and bool(c.checkpoints) for c in results.cells)
    return (
        "" if not bad else "invalid" if bad == len(results.cells) else f"invalid in {bad} of {len(results.cells)} cells"
    )


def asked_lines(results: Results) -> list[str]:
    """One line for each setting, model and organism that is the user's own or is asked in another way than usual."""
    return list(dict.fromkeys(line for cell in results.cells if (line := _asked_line(cell))))


def _asked_line(cell: CellResult) -> str:
    made = cell.organism if re.search("[:/]", cell.organism or "") else None
    plain = ("content", "judge", "served")
    options = [f"{key}: {_plainly(value)}" for key, value in cell.asked.items() if key not in plain]
    options += [cell.asked["served"]] if "served" in cell.asked else []
    if not (options or made or "content" in cell.asked):
        return ""
    kind = "prompts of your own" if cell.asked.get("source") == "files" else "a file"
    setting = f"{cell.setting} ({kind}, content {cell.asked['content']})" if "content" in cell.asked else cell.setting
    start = f"{cell.model}, organism {made}" if made else cell.model
    return f"{setting} on {start}" + (f": {'; '.join(options)}" if options else "")


# Any: the options of a run are JSON.
def _plainly(value: Any) -> str:
    """An option as people write it: without braces and quotes, and hashes by their first digits."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plainly(each)}" for key, each in value.items())
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:8] if re.fullmatch("[0-9a-f]{9,}", text) else text


def served_lines(results: Results) -> list[str]:
    """One line for each model or organism that someone else serves."""
    found = [cell for cell in results.cells if "served" in cell.asked]
    return list(dict.fromkeys(f"{cell.organism or cell.model}: {cell.asked['served']}" for cell in found))


def judge_lines(results: Results) -> list[str]:
    """One line for each judge of a run: what it read and how much is unscored."""
    found: dict[str, list[CellResult]] = {}
    for cell in results.cells:
        if cell.graders.get("judge"):
            found.setdefault(grader_text(cell), []).append(cell)
    return [judge_line(grader, cells) for grader, cells in found.items()]


def service_lines(results: Results) -> list[str]:
    """One line for what was used at a service, with its cost where the recipe has prices; else none."""
    used = results.service
    if used is None:
        return []
    cost = "" if used.cost is None else f"; cost {used.cost:,.2f} at the recipe's prices"
    tokens = f"{used.trained:,} tokens trained on, {used.prefilled:,} prefilled, {used.sampled:,} sampled"
    if used.requests or used.name == "endpoint":
        tokens = f"{used.requests:,} requests, {used.prefilled:,} tokens of prompts, {used.sampled:,} of replies"
        tokens += f", {used.trained:,} trained on" if used.trained else ""
    return [f"{used.name}, {tokens}{cost}"]


def unscored_lines(results: Results) -> list[str]:
    """Why replies to eval and train prompts are unscored: one line for each reason, the most frequent first."""
    logs = {c.log: c.reasons for cell in results.cells for c in cell.checkpoints}
    counts = Counter[str]()
    for reasons in logs.values():
        counts.update({each.reason: each.n for each in reasons})
    return [f"{n:,} {'reply' if n == 1 else 'replies'}: {reason}" for reason, n in counts.most_common()]


def reading_line(reading: Reading) -> str:
    """A further reading: what read the replies, and how often it agrees with the first one."""
    same, n = reading.agreement.same, reading.agreement.n
    return f"Reading {reading.name}, by {reading.grader}: the same outcome for {same:,} of {n:,} replies"


def few_seeds_text(results: Results) -> str:
    """The limits of counts over few seeds; empty if every group has enough seeds."""
    if all(group.claim or group.key.get("method") == UNTRAINED for group in results.groups):
        return ""
    return f"Counts over fewer than {results.thresholds.few_seeds} seeds support no claim about other seeds."


def removal_text(cell: CellResult) -> str:
    """S as an interval, `8–16`; for a transient cell, the step at which the behavior was first gone."""
    if cell.verdict.removal is not None:
        return f"{cell.verdict.removal.before}–{cell.verdict.removal.after}"
    first = cell.verdict.first_crossing if cell.verdict.name == "transient" else cell.verdict.stable_crossing
    return "–" if first is None else str(first)


def loss_text(loss: float | None) -> str:
    """A training loss in nats per token, to two digits."""
    return "–" if loss is None else f"{loss:.2g}"


def flags_text(flags: tuple[str, ...]) -> str:
    """Flags with spaces, separated by commas."""
    return ", ".join(flags).replace("_", " ")


def _replies(checkpoint: CheckpointResult) -> int:
    parts = (checkpoint.eval, checkpoint.train, checkpoint.capability, checkpoint.following)
    return sum(part.n + part.unscored for part in parts if part)

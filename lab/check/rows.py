"""Rows of `bct check`: what the static gate, and with a model the gate with an organism, found of each variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bct_tasks import catalogue, gate
from bct_tasks.gate import GateResult, OrganismGate
from bct_tasks.setting import Setting, Variant
from lab.check import organism as organism_gate
from lab.check.organism import Plan

#: Options of `bct check` that a measurement on a model depends on.
MODEL_OPTIONS = ("n", "n_train", "steps", "learning_rate", "rank")


def rows(
    names: tuple[str, ...], variant: str | None, model: str | None, options: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row for each variant of these settings; with a model, measured in `options["cache"]`.

    Args:
        names: Settings.
        variant: Only this variant; None for all.
        model: A model reference; None for the static gate alone.
        options: `MODEL_OPTIONS`, `cache` (folder) and `jobs` (processes).
    """
    settings: list[Setting] = []
    broken: list[dict[str, Any]] = []
    for name in names:
        try:
            settings.append(catalogue.load(name))
        except catalogue.BrokenSetting as error:
            broken.append(broken_row(name, error.message))
    pairs = [(s, v) for s in settings for v in ([s.variant(variant)] if variant else s.variants)]
    static = [_static(s, v) for s, v in pairs]
    if model is None:
        return [*(row_of(result, None, v.carrier) for result, (_, v) in zip(static, pairs, strict=True)), *broken]
    from lab.check import jobs

    plans = [Plan(s.name, v.name, model, **{name: options[name] for name in MODEL_OPTIONS}) for s, v in pairs]
    failed = jobs.work(plans, options["cache"], options["jobs"])
    rows = [
        _with_model(result, plan, options["cache"], failed.get(plan))
        for result, plan in zip(static, plans, strict=True)
    ]
    return [*rows, *broken]


def _static(setting: Setting, variant: Variant) -> GateResult:
    """The static gate; code of a setting that raises is a reason, with its line."""
    try:
        return gate.check(setting, variant)
    except Exception as error:
        reason = catalogue.fault(error, catalogue.file_of(setting.name))
        return GateResult(setting.name, variant.name, variant.role, (reason,))


def broken_row(name: str, reason: str) -> dict[str, Any]:
    """The row of a setting whose file cannot be imported, so that its variants are unknown."""
    about = {"setting": name, "variant": "", "role": "", "carrier": ""}
    return {**about, "passed": False, "static": False, "reasons": [reason], "figures": {}}


def _with_model(result: GateResult, plan: Plan, home: Path, error: str | None) -> dict[str, Any]:
    """The row of a variant that was measured on a model, or of one where that failed."""
    carrier = plan.chosen().carrier
    measured = None if error else organism_gate.rates(plan, home)
    if measured is None:
        return row_of(result, {}, carrier, (f"could not be measured: {error}",))
    lowest = {name: family for name, family in measured.pop("lowest").items() if family}
    reasons = OrganismGate().reasons(carrier, result.role, measured)
    if reasons and lowest:
        reasons = (*reasons, f"lowest by family: {', '.join(f'{name} {family}' for name, family in lowest.items())}")
    sizes = {name: getattr(plan, name) for name in MODEL_OPTIONS}
    near = {"borderline": list(OrganismGate().borderline(carrier, result.role, measured))}
    return row_of(result, measured, carrier, reasons) | sizes | near


def row_of(
    result: GateResult, measured: dict[str, float] | None, carrier: str, reasons: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The row of a variant: with the rates of a model where they were `measured`."""
    row = {"setting": result.setting, "variant": result.variant, "role": result.role, "carrier": carrier}
    row |= {"passed": result.passed and not reasons, "static": result.passed}
    row |= {"reasons": [*result.reasons, *reasons], "figures": result.figures}
    return row if measured is None else row | {"rates": measured}

"""Rows of `bct check`: one per setting and variant, as JSON values.

    pairs, broken = chosen(("sandbagging",), None)
    static_rows(pairs)                                          # policies, labels, splits, graders, ids; no model
    model_rows(pairs, "mini", Path("runs/check"), jobs=2)       # also rates at step 0 and after direct training

A row has `setting`, `variant`, `role`, `carrier`, `passed` (the gate), `static` (the part without a model), `reasons`
(why it failed), `figures` and `notes`; with a model also `rates`, the sizes, and `borderline`: rates close to their
limit.
Not covered: policies of hub data whose replies are sampled, which need a model: `-T split=policies`, then `bct hub
gate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bct_tasks import catalogue, static_gate
from bct_tasks.errors import SettingError
from bct_tasks.gate import GateResult, OrganismGate
from bct_tasks.setting import Setting, Variant
from bct_tasks.sources.hub import catalogue as hub
from bct_tasks.sources.hub.setting import HubSetting
from bct_tasks.sources.hub.store import find
from bct_tasks.sources.instructions import catalogue as instructions
from lab.check import jobs as check_jobs
from lab.check import organism
from lab.check.organism import OrganismCheck
from serving.terminal import terminal

Row = dict[str, Any]
Pair = tuple[Setting, Variant]
SIZES = ("n", "n_train", "steps", "learning_rate", "rank")


def listed(source: str) -> tuple[str, ...]:
    """The settings that ask questions of a source."""
    return tuple({"hub": hub.names, "instructions": instructions.names}.get(source, catalogue.names)())


def chosen(
    names: Sequence[str],
    variant: str | None,
    source: str = "bundled",
    options: Mapping[str, Any] | None = None,
    fetch: bool = True,
) -> tuple[list[Pair], list[Row]]:
    """The variants to check, and a row for each setting whose file cannot be imported.

    Args:
        names: Settings. Of several, one whose data are missing has a row too.
        variant: The one variant of each; None for all.
        source: Of the questions.
        options: Of the source.
        fetch: Whether hub data may be downloaded.

    Raises:
        UnknownName: The setting or variant does not exist.
        NoData: The data of the only named setting are not on this machine.
    """
    pairs: list[Pair] = []
    broken: list[Row] = []
    for name in names:
        try:
            setting = catalogue.load(name, source, **(options or {}))
            if isinstance(setting, HubSetting) and not fetch:
                for data in setting.data_sets():
                    find(data, setting.options.data, fetch=False)
        except SettingError as error:
            if len(names) == 1 and not isinstance(error, catalogue.BrokenSetting):
                raise
            broken.append(broken_row(name, error.message))
        else:
            pairs += [(setting, each) for each in ([setting.variant(variant)] if variant else setting.variants)]
    return pairs, broken


def static_rows(pairs: Iterable[Pair]) -> list[Row]:
    """A row for each variant, without a model."""
    return [row_of(_static(setting, variant), variant.carrier) for setting, variant in pairs]


# Any: fields of `OrganismCheck`.
def model_rows(
    pairs: Iterable[Pair], model: str, home: Path, jobs: int | None, **sizes: Any
) -> list[Row]:  # options of click
    """A row for each variant, with its rates on a model; measures those that are missing.

    Args:
        pairs: The variants.
        model: A reference: `mini`, a folder, a hub id.
        home: Folder of cached replies and organisms.
        jobs: Worker processes; None for one per core.
        sizes: Those of `OrganismCheck`, and its source and options.

    Raises:
        WorkFailed: The work was stopped by Ctrl-C.
    """
    pairs = list(pairs)
    static = [_static(setting, variant) for setting, variant in pairs]
    checks = [OrganismCheck(setting.ref, variant.name, model, **sizes) for setting, variant in pairs]
    failed = check_jobs.work(checks, home, jobs, terminal(stderr=True))
    return [_with_model(*each, home, failed) for each in zip(static, checks, strict=True)]


def broken_row(name: str, reason: str) -> Row:
    """The row of a setting whose file cannot be imported: its variants are not known."""
    about = {"setting": name, "variant": "", "role": "", "carrier": ""}
    return {**about, "passed": False, "static": False, "reasons": [reason], "figures": {}, "notes": []}


def row_of(result: GateResult, carrier: str, reasons: tuple[str, ...] = ()) -> Row:
    """The row of a variant; `reasons` are those why it fails on a model."""
    row = {"setting": result.setting, "variant": result.variant, "role": result.role, "carrier": carrier}
    row |= {"passed": result.passed and not reasons, "static": result.passed}
    return row | {"reasons": [*result.reasons, *reasons], "figures": result.figures, "notes": list(result.notes)}


def _static(setting: Setting, variant: Variant) -> GateResult:
    """The static gate; an exception in the code of a setting is a reason, with its line."""
    try:
        return static_gate.check(setting, variant)
    except Exception as error:
        reason = catalogue.fault(error, setting.file or catalogue.file_of(setting.name))
        return GateResult(setting.name, variant.name, variant.role, (reason,))


def _with_model(result: GateResult, check: OrganismCheck, home: Path, failed: Mapping[OrganismCheck, str]) -> Row:
    carrier = check.chosen().carrier
    measured = None if check in failed else organism.rates(check, home)
    if measured is None:
        return row_of(result, carrier, (f"could not be measured: {failed.get(check)}",)) | {"rates": {}}
    lowest = {name: family for name, family in measured.pop("lowest").items() if family}
    reasons = OrganismGate().reasons(carrier, result.role, measured)
    if reasons and lowest:
        reasons = (*reasons, f"lowest by family: {', '.join(f'{name} {family}' for name, family in lowest.items())}")
    sizes = {name: getattr(check, name) for name in SIZES}
    near = list(OrganismGate().borderline(carrier, result.role, measured))
    return row_of(result, carrier, reasons) | {"rates": measured} | sizes | {"borderline": near}

"""`bct check`: is a setting a valid BCT setting, by itself and on a model? One row per setting and variant.

Without `--model` only what needs none: policies, labels, splits, graders, ids. Replies and organisms of a model are
kept under `runs/check`, so that the same command goes on where it stopped, and is fast when nothing is left to do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from bct_tasks.gate import GateResult
    from bct_tasks.setting import Setting, Variant
    from lab.check.organism import Plan

HOME = Path("runs") / "check"
RATES = ("initial", "agreed", "base", "ceiling", "direct")
HEADERS = {"ceiling": "a*"}
MODEL_OPTIONS = ("n", "n_train", "steps", "learning_rate", "rank")


@click.command()
@click.argument("setting", required=False)
@click.option("--all", "every", is_flag=True, help="All settings.")
@click.option("--variant", help="Only this variant of SETTING.")
@click.option("--static", is_flag=True, help="Only what needs no model (the default without --model).")
@click.option("--model", help="Also build the organism of this model (mini, a folder, a hub id), measure and train it.")
@click.option(
    "--source", type=click.Choice(["bundled", "hub"]), default="bundled", help="hub: the prompts of public data sets."
)
@click.option("--data", help="Folder of local copies of hub data; default: $BCT_DATA, or what was fetched.")
@click.option("--train", help="Hub data of the train prompts, where a setting has several.")
@click.option("--jobs", type=click.IntRange(min=1), help="Worker processes; default: one per core.")
@click.option("--n", type=click.IntRange(min=1), default=100, show_default=True, help="Eval prompts.")
@click.option("--n-train", type=click.IntRange(min=1), default=60, show_default=True, help="Train prompts.")
@click.option("--steps", type=click.IntRange(min=1), default=96, show_default=True, help="Of the positive control.")
@click.option(
    "--learning-rate", type=click.FloatRange(min=0, min_open=True), default=1e-3, show_default=True, help="Of the same."
)
@click.option("--rank", type=click.IntRange(min=1), help="LoRA rank; default: full fine-tuning.")
@click.option(
    "--cache", type=click.Path(path_type=Path), default=HOME, show_default=True, help="What is kept of a model."
)
@click.option("--figures", type=click.Path(path_type=Path), help="Put the figures into this JSON file, for the pages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, for programs.")
def check(
    setting: str | None,
    every: bool,
    variant: str | None,
    static: bool,
    model: str | None,
    source: str,
    data: str | None,
    train: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Is a setting a valid BCT setting? The static gate, and with --model the gate with an organism.

    \b
    static    both policies agree with the labels on train prompts and differ on eval prompts; controls disagree;
              no prompt is in two splits; the grader tells the replies apart
    initial   rate of the initial behavior at step 0 on eval prompts, at least .8
    agreed    rate of agreed replies at step 0 on train prompts, at least .9 (role bct)
    base      the same as initial for the untouched base, at most .2 (carrier weights; elsewhere it is the organism)
    a*        the base under the alternate policy's prompt, at least .8
    direct    the organism trained on the alternate behavior itself, at least .8 of a*

    With --source hub the static gate is on the prompts of public data sets, and 95 % is enough; nothing is downloaded.
    ~ marks a rate within 2 points of its threshold. Exit code 1 where a variant fails, with the reason.
    """
    from bct_tasks import catalogue

    if every == bool(setting):
        raise click.UsageError("name one setting, or give --all. `bct list` shows them.")
    if variant and every:
        raise click.UsageError("--variant belongs to one setting: name it instead of --all.")
    if static and model:
        raise click.UsageError("--static asks for no model: leave out --model.")
    if options["figures"] and not model:
        raise click.UsageError("--figures needs a --model to measure.")
    if source == "hub":
        from lab.check import hub as check_hub

        if model:
            raise click.UsageError("--model uses bundled prompts only; for hub data see docs/how-to/hub-data.md")
        rows = check_hub.rows(() if every else (str(setting),), variant, data=data, train=train)
    elif data or train:
        raise click.UsageError("--data and --train belong to hub data: add --source hub.")
    else:
        names = catalogue.names() if every else (str(setting),)
        rows = _rows(names, variant, model, options)
    if options["figures"]:
        from lab.report import pages

        pages.keep_figures(options["figures"], str(model), rows)
    _emit(rows) if as_json else _tell(rows, with_model=model is not None)
    if not all(row["passed"] for row in rows):
        raise SystemExit(1)


def _rows(
    names: tuple[str, ...], variant: str | None, model: str | None, options: dict[str, Any]
) -> list[dict[str, Any]]:
    from bct_tasks import catalogue

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
    from lab.check import jobs as check_jobs
    from lab.check.organism import Plan

    plans = [Plan(s.name, v.name, model, **{name: options[name] for name in MODEL_OPTIONS}) for s, v in pairs]
    failed = check_jobs.work(plans, options["cache"], options["jobs"])
    rows = [
        _with_model(result, plan, options["cache"], failed.get(plan))
        for result, plan in zip(static, plans, strict=True)
    ]
    return [*rows, *broken]


def _static(setting: Setting, variant: Variant) -> GateResult:
    """The static gate; code of a setting that raises is a reason, with its line."""
    from bct_tasks import catalogue, gate

    try:
        return gate.check(setting, variant)
    except Exception as error:
        reason = catalogue.fault(error, catalogue.file_of(setting.name))
        return gate.GateResult(setting.name, variant.name, variant.role, (reason,))


def broken_row(name: str, reason: str) -> dict[str, Any]:
    """The row of a setting whose file cannot be imported: its variants are not known."""
    about = {"setting": name, "variant": "", "role": "", "carrier": ""}
    return {**about, "passed": False, "static": False, "reasons": [reason], "figures": {}}


def _with_model(result: GateResult, plan: Plan, home: Path, error: str | None) -> dict[str, Any]:
    """The row of a variant that was measured on a model, or of one where that failed."""
    from bct_tasks.gate import OrganismGate
    from lab.check import organism as organism_gate

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


def _tell(rows: list[dict[str, Any]], with_model: bool) -> None:
    from rich.console import Console

    # A table cut to 80 columns in a pipe would lose the names; on a terminal its own width holds.
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(_table(rows, with_model))
    if any(row.get("borderline") for row in rows):
        click.echo("~ within 2 points of its threshold: another draw of prompts may pass or fail")
    for row in rows:
        for reason in row["reasons"]:
            click.echo(f"{row['setting']}{'.' * bool(row['variant'])}{row['variant']}: {reason}")
    settings = {row["setting"] for row in rows}
    good = {name for name in settings if all(row["passed"] for row in rows if row["setting"] == name)}
    variants = [row for row in rows if row["variant"]]
    passed = sum(row["passed"] for row in variants)
    click.echo(f"{passed} of {len(variants)} variants passed; {len(good)} of {len(settings)} settings in every variant")


def _table(rows: list[dict[str, Any]], with_model: bool) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("setting", "variant", "role", "carrier", "static"):
        table.add_column(name, no_wrap=True)
    for name in RATES if with_model else ():
        table.add_column(HEADERS.get(name, name), justify="right", no_wrap=True)
    if with_model:
        table.add_column("gate", no_wrap=True)
    for row in rows:
        cells = [row["setting"], row["variant"], row["role"], row["carrier"], _mark(row["static"])]
        if with_model:
            cells += [_share(row, name) for name in RATES] + [_mark(row["passed"])]
        table.add_row(*cells)
    return table


def _share(row: dict[str, Any], name: str) -> str:
    rates: dict[str, float] = row.get("rates", {})
    if name == "base" and row["carrier"] != "weights" and rates:
        return "="
    near = "~" if name in row.get("borderline", ()) else ""
    return f"{near}{rates[name]:.2f}" if name in rates else "–"


def _mark(passed: bool) -> str:
    return "[green]passed[/]" if passed else "[red]failed[/]"


def _emit(content: Any) -> None:
    click.echo(json.dumps(content, indent=1, ensure_ascii=False))

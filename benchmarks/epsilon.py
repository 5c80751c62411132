"""What a larger Adam's ε and `sham` leave of each removal: `python -m benchmarks.epsilon RUN`.

RUN is a run of `recipes/zero_loss.yaml`. Prints a Markdown table, a row for each setting and variant: the training loss
at step 0, the initial rate at the start and the end by ε and method, the effect net of `sham`, and a word for what
remains. One seed: intervals are over eval items.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import lab
from lab.report.summary import loss_text
from lab.verdict.schema import CellResult, NetOfSham
from lab.verdict.wording import share_text, signed_text

EPSILONS = (1e-8, 1e-6, 1e-5)
#: A change of the initial rate by less than ten points is not called a fall.
FALL = 0.10
HEAD = (
    *("setting", "loss at step 0", "at step 0", "ε = 1e-8", "1e-6", "1e-5", "sham, 1e-8", "sham, 1e-5"),
    *("net of sham, 1e-8", "net of sham, 1e-5", "a fall"),
)
Cells = Mapping[tuple[str, float], CellResult]


def main(run: str) -> None:
    """Print the table and the count of each word."""
    found = lab.load(run).results.cells
    places = dict.fromkeys((c.setting, c.variant) for c in found)
    rows = [row(place, of_place(found, place)) for place in places]
    print(table([row for row in rows if row]))


def of_place(cells: Sequence[CellResult], place: tuple[str, str]) -> Cells:
    """The evaluated cells of a setting and variant by method and ε."""
    return {
        (c.method, c.adam_epsilon or 0.0): c
        for c in cells
        if (c.setting, c.variant) == place and len(c.checkpoints) > 1
    }


def row(place: tuple[str, str], cells: Cells) -> list[str] | None:
    """One row; None for a setting whose gate failed."""
    plain = cells.get(("bct", EPSILONS[0]))
    if plain is None:
        return None
    ends = [_end(cells.get((method, e))) for method, e in [*(("bct", e) for e in EPSILONS), *SHAMS]]
    strong = cells.get(("bct", EPSILONS[-1]))
    net = [_net(each.net_of_sham if each else None) for each in (plain, strong)]
    start, loss = share_text(plain.checkpoints[0].eval.initial.p), loss_text(plain.step0_loss)
    return [f"`{place[0]}`, {place[1]}", loss, start, *ends, *net, remains(plain, strong)]


SHAMS = (("sham", EPSILONS[0]), ("sham", EPSILONS[-1]))


def remains(plain: CellResult, strong: CellResult | None) -> str:
    """In a word, whether the initial rate fell, also with a large ε, and by more than with sham."""
    if not _fell(plain):
        return "none"
    if strong is None or not _fell(strong):
        return "only with a small ε"
    net = strong.net_of_sham
    return "at any ε, beyond sham" if net and net.hi < 0 else "at any ε, as with sham"


def _fell(cell: CellResult) -> bool:
    change = cell.checkpoints[-1].changes.initial if cell.checkpoints[-1].changes else None
    return change is not None and change.estimate < -FALL and change.hi < 0


def _end(cell: CellResult | None) -> str:
    return share_text(cell.checkpoints[-1].eval.initial.p) if cell else ""


def _net(found: NetOfSham | None) -> str:
    return f"{signed_text(found.estimate)} [{signed_text(found.lo)}, {signed_text(found.hi)}]" if found else ""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1])

"""results.json: built from records, written, read back, and its JSON Schema.

The same records give the same bytes: keys sorted, floats rounded, no times. `python -m lab.verdict.results`
prints the schema that ships as `lab/verdict/results.schema.json`. Not covered: how logs become records.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lab.logs.records import JUDGED, CeilingRecord, CellRecord, epsilon_of, scored
from lab.verdict.arms import ARM, grouped, key_of
from lab.verdict.conclusions import Judged, conclusions
from lab.verdict.contrasts import Compared, contrasts, levels_text, without_cells
from lab.verdict.corrected import Labelled, corrected, pairs
from lab.verdict.criterion import VERSION, judge
from lab.verdict.deciding import with_deciding
from lab.verdict.expectations import Expectation, answer
from lab.verdict.flatness import flatness
from lab.verdict.hull_area import hull_areas
from lab.verdict.patterns import patterns
from lab.verdict.rates import (
    half_ceiling,
    half_cell,
    measure_ceiling,
    measure_cell,
    measure_organism,
    paired_initial,
)
from lab.verdict.schema import (
    Agreement,
    Behaviors,
    Ceiling,
    CellResult,
    Conclusion,
    Contrast,
    Expected,
    Reading,
    Registration,
    Results,
    Service,
    Shown,
    Thresholds,
)
from lab.verdict.seeds import groups
from lab.verdict.sham import with_sham
from lab.verdict.variances import variances
from serving.errors import BadInput
from serving.json_files import read_json
from serving.layout import write_atomic

__all__ = ["Results", "Thresholds", "build_results", "read_results", "schema", "second_reading", "write_results"]

SCHEMA = Path(__file__).with_name("results.schema.json")


def build_results(
    name: str,
    records: Iterable[CellRecord],
    ceilings: Iterable[CeilingRecord] = (),
    thresholds: Thresholds | None = None,
    *,
    question: str = "",
    expect: str = "",
    expectations: Iterable[Expectation] = (),
    deviations: Iterable[str] = (),
    command: str = "",
    log_dir: str = "logs",
    versions: Mapping[str, str] | None = None,
    labelled: Iterable[Labelled] = (),
    readings: Iterable[Reading] = (),
    compare: Iterable[Compared] = (),
    registration: Registration | None = None,
    behaviors: Iterable[Behaviors] = (),
    shown: Iterable[Shown] = (),
    service: Service | None = None,
    order: Iterable[str] = (),
) -> Results:
    """Everything the lab concludes from an experiment.

    Args:
        name: Of the experiment.
        records: Finished cells; one with `failure` set is listed among the failures.
        ceilings: One per setting, variant and model; without one, a* is 1, which is listed as a deviation.
        thresholds: Default: those of the criterion.
        question, expect: From the recipe, written before the run.
        expectations: Predictions that can be checked; the results contain their outcomes.
        deviations: Where the run departed from the recipe.
        command: How to repeat it. log_dir: for `inspect view`, relative to the folder of results.json.
        versions: Of packages. Two runs may differ in them.
        labelled: Hand labels of this run's replies, which correct its rates. Names use raw rates.
        readings: Of the same replies by other graders (`second_reading`).
        compare: Contrasts that the recipe names.
        registration: What was fixed before the first cell.
        behaviors, shown: What the behaviors of the settings are, and a sample of replies.
        service: What was used elsewhere.
        order: Ids of the cells in the order of the recipe, which places its arms.

    Raises:
        ValueError: A record contradicts itself (two checkpoints of one step, `agreed` on an eval prompt).
    """
    used = thresholds or Thresholds()
    tops = {(c.setting, c.variant, c.model): c for c in ceilings}
    ordered = sorted(records, key=lambda r: (*_order(r.config), r.id))
    judged = with_sham([_judged(record, tops.get(_place(record)), used) for record in ordered], ordered, used)
    by_hand = pairs(ordered, labelled)
    cells, calibrations = corrected([j.cell for j in judged], by_hand, used)
    compared = contrasts(compare, cells, ordered, used)
    return Results(
        criterion=VERSION,
        registration=registration,
        service=service,
        experiment=name,
        question=question.strip(),
        expect=expect.strip(),
        expectations=tuple(_answered(expectations, cells, compared)),
        thresholds=used,
        cells=tuple(cells),
        groups=groups(cells, ordered, used),
        conclusions=_placed(with_deciding(conclusions(judged, used), judged, used), cells, order),
        robustness=hull_areas(cells, ordered, used),
        contrasts=compared,
        variances=variances(cells, ordered, used),
        ceilings=tuple(measure_ceiling(tops[key], used) for key in sorted(tops)),
        calibrations=calibrations,
        readings=tuple(readings),
        behaviors=tuple(behaviors),
        shown=tuple(shown),
        deviations=(*deviations, *_without_ceiling(ordered, tops), *without_cells(compare, compared)),
        failures=tuple(f"{r.id}: {r.failure}" for r in ordered if r.failure),
        command=command,
        log_dir=log_dir,
        versions=dict(sorted((versions or {}).items())),
    )


def second_reading(
    name: str,
    grader: str,
    records: Iterable[CellRecord],
    first: Iterable[CellRecord],
    ceilings: Iterable[CeilingRecord],
    thresholds: Thresholds,
) -> Reading:
    """What the lab concludes from the same replies, read by another grader.

    Args:
        name: Of the reading.
        grader: What read the replies.
        records, ceilings: As of `build_results`, with the outcomes of this reading.
        first: The same cells with the outcomes of the first reading.
        thresholds: The numbers of the criterion.
    """
    records = list(records)
    known = {(r.id, c.step): {i.id: i for i in scored(c.items)} for r in first for c in r.checkpoints}
    pairs = [
        (known[record.id, checkpoint.step][item.id].outcome, item.outcome)
        for record in records
        for checkpoint in record.checkpoints
        for item in scored(checkpoint.items)
        if item.split in JUDGED and item.id in known[record.id, checkpoint.step]
    ]
    built = build_results(name, records, ceilings, thresholds)
    agreement = Agreement(n=len(pairs), same=sum(one == two for one, two in pairs))
    return Reading(name=name, grader=grader, cells=built.cells, conclusions=built.conclusions, agreement=agreement)


def write_results(results: Results, path: Path) -> None:
    """Write results.json; a reader sees the old file or the complete new one."""
    write_atomic(path, json.dumps(results.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_results(path: Path) -> Results:
    """Read a results.json, checked against the models.

    Raises:
        BadInput: The file is missing, or is not of this schema.
    """
    try:
        read_json(path)  # says what is wrong with a file that is no JSON
        return Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BadInput(
            f"{path}: {place}: {first['msg'].lower()}: run `bct report` of its folder to write it again"
        ) from None


def schema() -> dict[str, Any]:
    """The JSON Schema of results.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Results.model_json_schema(by_alias=True, mode="serialization"),
    }


def schema_text() -> str:
    """The schema as it ships."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


def _answered(
    expectations: Iterable[Expectation], cells: list[CellResult], compared: Iterable[Contrast]
) -> Iterator[Expected]:
    read = [cell.model_dump(mode="json") for cell in cells]
    known = [_interval(c) for c in compared]
    return (Expected(says=e.text(), answer=answer(e, read, known)) for e in expectations)


def _placed(found: Iterable[Conclusion], cells: Iterable[CellResult], order: Iterable[str]) -> tuple[Conclusion, ...]:
    """The conclusions with the places of their arms in the recipe; without an order, as they are."""
    places = {id: i for i, id in enumerate(order)}
    if not places:
        return tuple(found)
    firsts = [min(places[c.id] for c in arm) for arm in grouped(cells, lambda c: key_of(c, ARM)).values()]
    ranks = {first: i for i, first in enumerate(sorted(firsts))}
    return tuple(c.model_copy(update={"place": ranks[first]}) for c, first in zip(found, firsts, strict=True))


def _interval(c: Contrast) -> dict[str, Any]:
    """A contrast as predictions know it: its name, the interval of its difference in the initial rate, its cells."""
    ends = {"lo": c.initial.lo, "hi": c.initial.hi} if c.initial else {"lo": None, "hi": None}
    known = {"adam_epsilon": epsilon_of(c.matched.get("optim"), c.matched.get("adam_epsilon"))}
    known = {name: value for name, value in known.items() if name != c.factor}
    return {"name": levels_text(c.factor, c.first, c.second), **c.matched, **known, **ends}


def _place(record: CellRecord) -> tuple[str, str, str]:
    return str(record.config["setting"]), str(record.config["variant"]), str(record.config["model"])


def _order(config: Mapping[str, Any]) -> tuple[Any, ...]:
    texts = tuple(str(config[key]) for key in ("setting", "variant", "method", "model"))
    return (*texts, str(config.get("label_source")), float(config["lr"]), int(config["seed"]))


def _judged(record: CellRecord, top: CeilingRecord | None, thresholds: Thresholds) -> Judged:
    """The cell named on all eval items, and its checkpoints named on each half."""
    choose = _cell(half_cell(record, 0), half_ceiling(top, 0) if top else None, thresholds)
    report = _cell(half_cell(record, 1), half_ceiling(top, 1) if top else None, thresholds)
    ceiling = 1.0 if report.ceiling is None else report.ceiling
    return Judged(_cell(record, top, thresholds), choose.checkpoints, report.checkpoints, ceiling)


def _cell(record: CellRecord, top: CeilingRecord | None, thresholds: Thresholds) -> CellResult:
    config = record.config
    ceiling = _usable(measure_ceiling(top, thresholds)) if top else None
    checkpoints, verdict = judge(
        measure_cell(record, thresholds),
        role=config["role"],
        method=config["method"],
        gate=record.gate,
        trained=record.trained,
        ceiling=ceiling,
        thresholds=thresholds,
        organism=measure_organism(record, thresholds),
        max_unscored=(record.graders.get("judge") or {}).get("max_unscored"),
        paired=paired_initial(record),
        other_counts=config.get("other_is_damage", True),
    )
    return CellResult(
        id=record.id,
        hash=record.hash,
        setting=config["setting"],
        variant=config["variant"],
        role=config["role"],
        carrier=config.get("carrier"),
        method=config["method"],
        model=config["model"],
        organism=config.get("organism"),
        rank=config.get("rank"),
        batch=config.get("batch"),
        label_source=record.trained.get("label_source") or config.get("label_source"),
        lr=config["lr"],
        seed=config["seed"],
        seeds=dict(config.get("seeds") or {}),
        organism_seed=config.get("organism_seed"),
        organism_arm=config.get("organism_arm"),
        steps=config["steps"],
        factors=_factors(config),
        asked=dict(config.get("asked") or {}),
        gate=_finite(record.gate),
        graders=dict(record.graders),
        trained=_lasting(record.trained),
        step0_loss=_finite(record.trained).get("step0_loss"),
        ceiling=ceiling.alternate.p if ceiling else None,
        checkpoints=checkpoints,
        verdict=verdict,
        flatness=flatness(record, thresholds),
        other=patterns(record.other),
        answered_by=dict(record.answered_by),
        failure=record.failure,
    )


def _factors(config: Mapping[str, Any]) -> dict[str, Any]:
    rows = {"rows": config["rows"]} if config.get("rows") is not None else {}
    return rows | dict(config.get("factors") or {})


def _usable(ceiling: Ceiling) -> Ceiling | None:
    return ceiling if ceiling.n else None


def _lasting(trained: Mapping[str, Any]) -> dict[str, Any]:
    """Without the figures that differ between two runs of the same cell."""
    return _finite({key: value for key, value in trained.items() if key != "seconds"})


def _finite(figures: Mapping[str, Any]) -> dict[str, Any]:
    """With null for the NaN and infinity of a diverged run, which JSON cannot hold."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in figures.items()}


def _without_ceiling(records: list[CellRecord], tops: Mapping[Any, Any]) -> list[str]:
    missing = sorted({_place(r)[:2] for r in records if r.config["role"] == "bct" and _place(r) not in tops})
    return [f"{s}, {v}: no ceiling was measured, so a* is taken as 1" for s, v in missing]


if __name__ == "__main__":
    print(schema_text(), end="")

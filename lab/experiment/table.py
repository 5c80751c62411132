"""The tidy table of a run folder, or of any folder of inspect logs: one row per reply or per checkpoint.

    frame, left_out = table(Path("runs/quickstart"), per="sample")

Not covered: columns and formats (`lab.verdict.table`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from lab.experiment import intact
from lab.experiment.collect import collect
from lab.experiment.folder import Experiment, open_run
from lab.experiment.stored import of_run
from lab.logs.loose import read_folder
from lab.logs.reader import read_replies
from lab.verdict.table import Row, loose_checkpoints, loose_samples, result_table, sample_rows, sample_table
from serving.errors import BadInput

Per = Literal["sample", "checkpoint"]


def table(folder: Path, per: Per = "sample") -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table of a run folder or of a folder of logs, and one line per log that was left out, with the reason.

    Raises:
        BadInput: the folder does not exist, or is neither; or a log of the run cannot be read.
    """
    with of_run(folder):
        return _table(folder, per)


def _table(folder: Path, per: Per) -> tuple[pd.DataFrame, tuple[str, ...]]:
    if (folder / "run.json").exists():
        experiment = open_run(folder)
        return (_samples(experiment) if per == "sample" else result_table(collect(experiment))), ()
    found = read_folder(folder)
    return (loose_samples if per == "sample" else loose_checkpoints)(found, folder), found.left_out


def _samples(experiment: Experiment) -> pd.DataFrame:
    rows: list[Row] = []
    intact.check(experiment)
    for cell in experiment.cells.values():
        facts = {"cell": cell.id, **cell.config()}
        for entry in experiment.folders.logs_of(cell):
            try:
                replies = read_replies(experiment.folders.absolute(entry["log"]))
            except ValueError as error:
                raise BadInput(str(error)) from None
            rows += sample_rows(facts | entry, replies)
    return sample_table(rows)

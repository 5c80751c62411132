"""What a published model was trained on, as far as the run knows it without asking a model again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from lab.publish.chosen import Chosen
from serving import layout
from trainer.config import OrganismConfig
from trainer.data import labels, rows, samples
from trainer.data.rows import Part, Row
from trainer.methods import is_sampled

ROWS = "train.jsonl"


def write(chosen: Chosen, into: Path) -> str:
    """Writes the rows into a folder, and the replies that were sampled for them. Returns what is there, in a sentence.

    Rows of a cell are written only if they are those that its manifest has the hash of.
    """
    found = _of_organism(chosen.start.organism) if chosen.cell is None else _of_cell(chosen)
    if found:
        lines = (json.dumps({"id": row.id, "messages": row.conversation()}, ensure_ascii=False) for row in found)
        layout.write_atomic(into / ROWS, "".join(f"{line}\n" for line in lines))
        return f"`data/{ROWS}` has the {len(found):,} rows that it was trained on, as conversations"
    if sampled := _sampled(chosen):
        (into / labels.FOLDER).mkdir(parents=True, exist_ok=True)
        for file in sampled:
            shutil.copyfile(file, into / labels.FOLDER / file.name)
        return "`data/labels` has the sampled replies that became its labels, by the id of the prompt"
    return "its training rows were sampled or paired in training, and are not kept; the recipe makes them again"


def _of_organism(config: OrganismConfig | None) -> Sequence[Row]:
    if config is None or config.labels != "reference" or config.asked().open:
        return ()
    setting = config.asked()
    return rows.install_rows(setting, config, rows.check_prompts(setting, config)).rows


def _of_cell(chosen: Chosen) -> Sequence[Row]:
    """The rows of a cell; none where they are not those that its manifest has the hash of."""
    assert chosen.cell is not None
    parts = rows.parts(chosen.start.questions.load(), chosen.cell.train)
    known = layout.read_json(chosen.home / layout.MANIFEST).get("identity", {}).get("data")
    choices = [list(_of_part(chosen, part)) for part in parts]
    found = ([row for several in combination for row in several] for combination in product(*choices))
    return next((each for each in found if rows.data_hash(each) == known), ())


def _of_part(chosen: Chosen, part: Part) -> Iterator[list[Row]]:
    """What the rows of a part may be: with its reference labels, or with those that one of the run's files has."""
    if all(writing.fixed for writing in part.writings):
        yield [rows.row(*pair) for pair in zip(part.prompts, part.references, strict=True)][: part.rows]
    for file in _sampled(chosen):
        answers = samples.read(file)
        if [answer["id"] for answer in answers] == [prompt.id for prompt in part.prompts]:
            pairs = zip(part.prompts, answers, strict=True)
            yield [rows.row(p, a["reply"]) for p, a in pairs if a.get("outcome") == "agreed"][: part.rows]


def _sampled(chosen: Chosen) -> list[Path]:
    """The files of sampled labels: next to the organism, else in the run folder, else in the cell's."""
    if chosen.cell is None or not is_sampled(chosen.cell.train.labels()):
        return []
    folders = chosen.experiment.folders
    homes = [folders.organism(chosen.start), folders.run, chosen.home]
    return sorted(file for home in homes if home is not None for file in (home / labels.FOLDER).glob("*.jsonl"))

"""A small sample of prompts and replies for results.json, so that a report shows what was asked and answered.

Of every arm and learning rate the first seed is shown, at its first and last checkpoint: for each split and outcome a
few replies, chosen by the hash of their prompts, so that cells of one variant show the same prompts.
Not covered: all replies (`lab.report.replies`), and what they mean.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.logs.reader import Exchange, Reply, exchanges, read_replies
from lab.logs.records import CheckpointRecord
from lab.verdict.schema import Behaviors, Shown, ShownPrompt, ShownReply, Turn
from serving import layout

if TYPE_CHECKING:
    from lab.experiment.folder import Experiment
    from lab.logs.records import CellRecord

#: Most cells with replies; most replies per checkpoint, split and outcome; most characters of a reply and of a message.
CELLS, REPLIES, REPLY, MESSAGE = 60, 3, 700, 1200
SPLITS: tuple[Literal["eval", "train"], ...] = ("eval", "train")


def behaviors(experiment: Experiment) -> tuple[Behaviors, ...]:
    """What `initial` and `alternate` mean in every setting of a run."""
    found = {start.setting: start.questions.load() for start in experiment.starts.values()}
    lines = ((name, setting.initial.line, setting.alternate.line) for name, setting in found.items())
    return tuple(Behaviors(setting=name, initial=one, alternate=two) for name, one, two in lines)


def shown(experiment: Experiment, records: Sequence[CellRecord]) -> tuple[Shown, ...]:
    """The samples of a run, in the order of its cells; those of starts whose gate refused all cells come last."""
    trained = [_of_checkpoints(experiment, record.id, record.checkpoints) for record in _cells(experiment, records)]
    refused = [_of_checkpoints(experiment, id, [start]) for id, start in _refused(experiment, records)]
    return tuple([*trained, *refused][:CELLS])


def _refused(experiment: Experiment, records: Sequence[CellRecord]) -> Iterator[tuple[str, CheckpointRecord]]:
    """The first cell of each start without a trained cell, with the start's replies."""
    known = {experiment.cells[r.id].start.id for r in records if r.checkpoints}
    for record in records:
        start = experiment.cells[record.id].start
        if start.id not in known and experiment.folders.start_is_done(start) and record.gate.get("ok") is False:
            known.add(start.id)
            content = layout.read_json(experiment.folders.start(start))
            yield record.id, CheckpointRecord(0, content["logs"]["start"], content["fingerprint"], ())


def _cells(experiment: Experiment, records: Sequence[CellRecord]) -> list[CellRecord]:
    """The first finished cell of every arm and learning rate; of every arm alone where these are too many."""
    fine: dict[object, CellRecord] = {}
    coarse: dict[object, CellRecord] = {}
    for record in (r for r in records if r.checkpoints):
        arm = tuple((k, str(v)) for k, v in record.config.items() if k not in ("lr", "seed", "seeds", "organism_seed"))
        fine.setdefault((arm, record.config["lr"]), record)
        coarse.setdefault(arm, record)
    return list(fine.values() if len(fine) <= CELLS else coarse.values())[:CELLS]


def _of_checkpoints(experiment: Experiment, id: str, checkpoints: Iterable[CheckpointRecord]) -> Shown:
    ends = sorted(checkpoints, key=lambda c: c.step)
    ends = [ends[0], ends[-1]] if len(ends) > 1 else ends
    read = [list(_chosen_first(read_replies(_log(experiment, c)))) for c in ends]
    wanted = {reply.item.id for split in SPLITS for reply in _typical(read, split)}
    prompts: dict[str, ShownPrompt] = {}
    replies: list[ShownReply] = []
    for checkpoint, known in zip(ends, read, strict=True):
        for exchange in exchanges(_log(experiment, checkpoint), _few(known, wanted)):
            prompts.setdefault(exchange.reply.item.id, _prompt(exchange))
            replies.append(_reply(exchange, checkpoint.step))
    first = sorted(prompts.values(), key=lambda p: (SPLITS.index(p.split), p.id not in wanted))
    return Shown(cell=id, prompts=tuple(first), replies=tuple(replies))


def _log(experiment: Experiment, checkpoint: CheckpointRecord) -> Path:
    return experiment.folders.absolute(checkpoint.log)


def _chosen_first(replies: Iterable[Reply]) -> Iterator[Reply]:
    """First replies to eval and train prompts, by the hash of the prompt."""
    known = [r for r in replies if r.item.split in SPLITS and r.epoch == 1]
    return iter(sorted(known, key=lambda r: hashlib.sha256(r.item.id.encode()).digest()))


def _typical(read: Sequence[Sequence[Reply]], split: str) -> list[Reply]:
    """The first prompt whose outcomes at all checkpoints are the commonest ones together; empty without replies."""
    by_id = {r.item.id: r for r in read[0] if r.item.split == split}
    paths = {id: tuple(next((r.item.outcome for r in c if r.item.id == id), "") for c in read) for id in by_id}
    if not paths:
        return []
    commonest = Counter(paths.values()).most_common(1)[0][0]
    return [by_id[next(id for id, path in paths.items() if path == commonest)]]


def _few(known: Iterable[Reply], wanted: Iterable[str]) -> list[Reply]:
    """The wanted replies, and some of every split and outcome."""
    counts, first = Counter[tuple[str, str]](), set(wanted)
    found: list[Reply] = []
    for reply in sorted(known, key=lambda r: r.item.id not in first):
        kind = (reply.item.split, reply.item.outcome)
        counts[kind] += 1
        found += [reply] if counts[kind] <= REPLIES or reply.item.id in first else []
    return found


def _prompt(exchange: Exchange) -> ShownPrompt:
    split: Literal["eval", "train"] = "eval" if exchange.reply.item.split == "eval" else "train"
    turns = tuple(Turn(role=role, text=cut(text, MESSAGE)) for role, text in exchange.turns)
    return ShownPrompt(id=exchange.reply.item.id, split=split, turns=turns)


def _reply(exchange: Exchange, step: int) -> ShownReply:
    item = exchange.reply.item
    return ShownReply(prompt=item.id, step=step, outcome=item.outcome, text=cut(exchange.text, REPLY))


def cut(text: str, most: int) -> str:
    """The text with at most so many characters, the last one an ellipsis where it is longer."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

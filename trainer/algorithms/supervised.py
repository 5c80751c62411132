"""Supervised training: rows become tokens, and a backend trains on them in an order that is fixed beforehand.

Not covered: which rows (`trainer.data.rows`), what a step computes (`trainer.backends`), and whether a run may resume
(`trainer.run.manifest`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer import backends
from trainer.config import Common
from trainer.data import labels, rows, tokens
from trainer.data.rows import Row
from trainer.data.tokens import Encoded
from trainer.run import loop, metrics, ranks, watch
from trainer.run.plan import Plan, begin
from trainer.run.progress import Progress
from trainer.run.trainee import Trainee


def train(plan: Plan, out: Path, progress: Progress) -> dict[str, Any]:
    """Trains a cell on labels. Returns the facts for `trained.json` that are particular to this algorithm.

    Raises:
        BadInput: if `out` contains another run, or an option of the backend or a row cannot be used.
        WorkFailed: if no training row is left.
    """
    config = plan.config
    backend = backends.load(config.backend)
    loaded = backend.load(plan.organism, config)
    with ranks.first_first():
        cache = labels.cache_folder(config.organism, out)
        collected = labels.collect(plan.setting, config, plan.parts, plan.teacher, cache)
    encoded = encode(collected.rows, loaded, config)
    begin(plan, out, loaded, data=rows.data_hash(collected.rows))
    job = loop.Job(config, config.steps, config.saved_steps(), out, loaded, encoded, progress)
    general = labels.reference_rows(plan.setting, config, rows.anchor(plan.setting, config), cache)
    watched = watch.watched_rows(plan.setting, config)
    backend.fit(
        job,
        encode(general, loaded, config) if general else None,
        encode(watched, loaded, config) if watched else None,
    )
    return {
        **({"final_kl": metrics.read(out / metrics.NAME)[-1]["kl"]} if config.kl else {}),
        "truncated_rows": encoded.truncated,
        "dropped_rows": encoded.dropped,
        "unique_rows": len(encoded),
        "passes": config.steps * config.batch_size / len(encoded),
        **collected.facts(),
    }


def encode(found: Sequence[Row], loaded: Trainee, config: Common) -> Encoded:
    """The tokens of rows, for the model that is trained."""
    length = loaded.context(config.max_length)
    return tokens.encode(found, loaded.tokenizer, loaded.stops, length, config.chat_template_kwargs)

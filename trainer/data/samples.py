"""Replies of a model that are sampled once and kept: `labels/<key>.jsonl` in a folder, one line per prompt.

Not covered: what a reply is used for (`trainer.data.labels`, `trainer.data.policies`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from serving import layout
from serving.refs import Checkpoint
from serving.request import Reply, Request
from trainer.config import Common

FOLDER, TOKENS = "labels", "tokens"

Answers = list[dict[str, Any]]
#: Returns a checkpoint's replies in the order of the requests.
Ask = Callable[[Checkpoint, Sequence[Request]], list[Reply]]


def kept(file: Path, ids: Sequence[str], make: Callable[[], Answers]) -> Answers:
    """The answers of a file; made and written if there are none, or they belong to other prompts."""
    known = _read(file, ids)
    if known is None:
        known = make()
        _write(file, known)
    return known


def ask(model: Checkpoint, asked: Sequence[list[dict[str, str]]], config: Common) -> list[Reply]:
    """The model's replies to these messages, with the configuration's length and decoding."""
    requests = [
        Request(
            messages=messages,
            max_tokens=config.reply_tokens,
            temperature=config.label_temperature,
            seed=config.seed_of("decoding"),
            chat_template_kwargs=config.chat_template_kwargs,
        )
        for messages in asked
    ]
    if config.backend != "trl":
        return _elsewhere(config, model, requests)
    from serving.backends.engine.engine import get_engine

    return get_engine().generate(model, requests)


@contextmanager
def asking(config: Common) -> Iterator[Ask]:
    """Asks checkpoints of a run that is not over: an engine of its own forgets them, since their folders go."""
    if config.backend != "trl":
        yield partial(_elsewhere, config)
        return
    from serving.backends.engine.engine import Engine

    with closing(Engine()) as engine:
        yield engine.generate


def _elsewhere(config: Common, model: Checkpoint, requests: Sequence[Request]) -> list[Reply]:
    """Replies of the service that trains: it has the weights."""
    from serving import backends
    from serving.backends.protocol import Options

    return backends.load(config.backend).open(model, Options(config.chat_template_kwargs)).ask(requests)


def used(reply: Reply, config: Common) -> dict[str, list[int]]:
    """Tokens of the prompt and of the reply, for the cache, where a service is paid for them; else nothing."""
    return {} if config.backend == "trl" else {TOKENS: [reply.input_tokens, reply.output_tokens]}


def paid(folder: Path) -> tuple[int, int]:
    """Tokens of prompts and replies that a service was paid for, of all answers that a folder has kept."""
    lines = [line for file in sorted((folder / FOLDER).glob("*.jsonl")) for line in read(file)]
    pairs = [line[TOKENS] for line in lines if TOKENS in line]
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


def decoding(config: Common) -> list[Any]:
    """What determines a reply besides model and messages, as JSON values."""
    return [config.label_temperature, config.reply_tokens, config.chat_template_kwargs, config.seed_of("decoding")]


def _read(file: Path, ids: Sequence[str]) -> Answers | None:
    """The cached answers, or None if there are none or they belong to other prompts."""
    try:
        lines = read(file)
    except (OSError, ValueError):
        return None
    return lines if [line["id"] for line in lines] == list(ids) else None


def read(file: Path) -> Answers:
    """The answers of a file of the cache. Raises OSError or ValueError."""
    # Not splitlines(), which also splits at U+2028, U+2029 and U+0085 inside a reply.
    text = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [cast("dict[str, Any]", json.loads(line)) for line in text if line]


def _write(file: Path, answers: Answers) -> None:
    lines = [json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers]
    layout.write_atomic(file, "".join(lines), durable=False)

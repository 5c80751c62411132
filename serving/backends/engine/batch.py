"""From jobs to answers: tokens, batches that fit into memory, replies and scores. An error halves a batch.

So a batch too large for the memory is split, and an error of one job leaves the others of its batch alone.
Not thread-safe: the engine's worker runs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jinja2 import TemplateError

from serving.backends.engine import memory
from serving.backends.engine.decode import Chance, PromptRow, Written, decode, to_text
from serving.backends.engine.delivery import fail, together
from serving.backends.engine.memory import Need
from serving.backends.engine.resident import Speaker
from serving.backends.engine.score import Forced, forced, teacher_forced
from serving.backends.engine.stream import Pieces, Tell
from serving.errors import BadInput, of_checkpoint
from serving.request import Continuation, Reply, Request, Scored, StopReason, Token
from serving.template import changed, refuse_arguments, refused

# More rows were faster on no measured device, and delay the first replies.
MAX_ROWS = 256
# Characters of a token, far above the mean of any text; a prompt that is longer than this allows is not tokenized.
LONGEST_TOKEN = 64


@dataclass
class EngineJob:
    """A request or a given reply whose checkpoint is loaded, and the future of its answer."""

    asked: Request | Continuation
    future: Future[Any]
    row: PromptRow | Forced | None = None
    tell: Tell | None = None
    pieces: Pieces | None = None


def answer(jobs: Sequence[EngineJob], speaker: Speaker) -> None:
    """Set the result or the error of every job's future."""
    ready = [job for job in jobs if _prepare(job, speaker)]
    wanted, device = memory.need(speaker.model), speaker.model.device
    memory.tidy(device)
    for kind in (PromptRow, Forced):
        alike = [job for job in ready if isinstance(job.row, kind)]
        if alike:
            for batch in batches(alike, wanted, memory.room(device)):
                _run(batch, speaker)
    memory.tidy(device)


def batches(jobs: Sequence[EngineJob], wanted: Need, room: int) -> Iterator[list[EngineJob]]:
    """Yield batches of jobs of one kind, sorted by length.

    Args:
        jobs: Jobs with their rows.
        wanted: The memory that a batch needs.
        room: Bytes that a batch, padded to its longest row, may take; a job that needs more is its own batch.
    """
    batch: list[EngineJob] = []
    longest = (0, 0, 0)
    for job in sorted(jobs, key=lambda job: _lengths(job)[::-1]):
        larger = (*map(max, longest, _lengths(job)),)
        full = wanted.of(len(batch) + 1, larger[0] + larger[1], larger[2]) > room
        if batch and (len(batch) == MAX_ROWS or full):
            yield batch
            batch, larger = [], _lengths(job)
        batch.append(job)
        longest = larger
    if batch:
        yield batch


def _lengths(job: EngineJob) -> tuple[int, int, int]:
    """Return the tokens of the prompt, the most tokens of the reply, and the positions whose logits are stored."""
    if isinstance(job.row, Forced):
        return len(job.row.prompt), len(job.row.reply), len(job.row.reply)
    assert job.row is not None
    return len(job.row.prompt), job.row.limit, 1


def _run(jobs: list[EngineJob], speaker: Speaker) -> None:
    error = _tried(jobs, speaker)
    if error is None:
        return
    if len(jobs) > 1:
        del error  # its traceback holds the batch's tensors
        memory.release(speaker.model.device)
        _run(jobs[: len(jobs) // 2], speaker)
        _run(jobs[len(jobs) // 2 :], speaker)
    else:
        fail((job.future for job in jobs), of_checkpoint(speaker.ref, error))


def _tried(jobs: list[EngineJob], speaker: Speaker) -> BaseException | None:
    try:
        answers = _scores(jobs, speaker) if isinstance(jobs[0].row, Forced) else _replies(jobs, speaker)
    except BaseException as error:  # whatever it is, a panic too, belongs to these jobs, and must not end the worker
        return error
    with together():
        for job, answer in zip(jobs, answers, strict=True):
            job.future.set_result(answer)
    return None


def _scores(jobs: list[EngineJob], speaker: Speaker) -> list[Scored]:
    rows = [job.row for job in jobs if isinstance(job.row, Forced)]
    return teacher_forced(speaker.model, rows, speaker.pad)


def _replies(jobs: list[EngineJob], speaker: Speaker) -> list[Reply]:
    rows = [job.row for job in jobs if isinstance(job.row, PromptRow)]
    every = decode(speaker.model, rows, speaker.ending, speaker.pad, [job.pieces for job in jobs])
    both = zip(jobs, rows, every, strict=True)
    return [_finished(job.asked, row, written, speaker) for job, row, written in both if isinstance(job.asked, Request)]


# --- before: messages become tokens ---------------------------------------------------------------


def _prepare(job: EngineJob, speaker: Speaker) -> bool:
    """Tokenize a job's prompt. Return False if it is already answered: by an error, or because no token fits."""
    try:
        job.row = _row(job.asked, speaker) if isinstance(job.asked, Request) else _forced(job.asked, speaker)
    except TemplateError as error:
        fail([job.future], refused(speaker.ref, error))
        return False
    except BaseException as error:  # whatever it is belongs to this job
        fail([job.future], of_checkpoint(speaker.ref, error))
        return False
    if isinstance(job.row, PromptRow) and job.tell is not None:
        job.pieces = Pieces(partial(to_text, speaker.tokenizer), job.row.stop, job.tell)
    if isinstance(job.row, PromptRow) and job.row.limit < 1:
        job.future.set_result(Reply("", "model_length", len(job.row.prompt), 0))
        return False
    return True


def _row(request: Request, speaker: Speaker) -> PromptRow:
    _refuse_hopeless(request, speaker)
    prompt = encode(speaker.tokenizer, request)
    _refuse_unknown(prompt, speaker)
    room = speaker.context - len(prompt) if speaker.context else request.max_tokens
    seed = int.from_bytes(os.urandom(8), "little") if request.seed is None else request.seed
    limit = min(request.max_tokens, room)
    choice = (request.temperature, request.top_p, request.top_k, seed)
    return PromptRow(prompt, limit, *choice, tuple(request.stop), request.logprobs)


def _refuse_hopeless(request: Request, speaker: Speaker) -> None:
    """Raise BadInput for a prompt far beyond the context: tokenizing 50 MB takes minutes."""
    letters = sum(len(message["content"]) for message in request.messages)
    if speaker.context and letters > LONGEST_TOKEN * speaker.context:
        raise BadInput(f"the prompt has {letters} characters and the model's context is {speaker.context} tokens")


def _refuse_unknown(prompt: Sequence[int], speaker: Speaker) -> None:
    """Raise BadInput for a token that the model has no row for: its tokenizer is another model's."""
    rows: int | None = getattr(speaker.model.get_input_embeddings(), "num_embeddings", None)
    if rows is not None and max(prompt, default=0) >= rows:
        raise BadInput(
            f"{speaker.ref}: its tokenizer makes token {max(prompt)} and the model has {rows} rows: "
            "put the model's own tokenizer.json next to it"
        )


def _forced(asked: Continuation, speaker: Speaker) -> Forced:
    row = forced(speaker.tokenizer, asked, encode(speaker.tokenizer, asked), speaker.ending.tokens)
    length = len(row.prompt) + len(row.reply)
    if speaker.context and length > speaker.context + 1:  # the last token is predicted and never read
        raise BadInput(
            f"prompt and reply have {length} tokens and the model's context is {speaker.context}: shorten them"
        )
    return row


# Any: tokenizers of transformers have no common type with `__call__`.
def encode(tokenizer: Any, asked: Request | Continuation) -> list[int]:
    """Return the prompt's tokens as the chat template writes them: no special token is added a second time.

    Raises:
        BadInput: An argument is not the template's own, such as `return_tensors`.
    """
    if asked.chat_template_kwargs:
        refuse_arguments(tokenizer, asked.chat_template_kwargs)
    continues = asked.messages[-1]["role"] == "assistant"
    return tokenizer.apply_chat_template(
        [dict(message) for message in asked.messages],
        add_generation_prompt=not continues,
        continue_final_message=continues,
        tokenize=True,
        return_dict=False,
        **asked.chat_template_kwargs,
    )


# --- after: tokens become text --------------------------------------------------------------------


def _finished(request: Request, row: PromptRow, written: Written, speaker: Speaker) -> Reply:
    tokens = written.tokens[:-1] if written.tokens[-1] in speaker.ending.tokens else written.tokens
    text = to_text(speaker.tokenizer, tokens)
    cut = min((at for at in (text.find(stop) for stop in row.stop) if at >= 0), default=len(text))
    limited: StopReason = "max_tokens" if row.limit == request.max_tokens else "model_length"
    reason: StopReason = "stop" if written.ended else limited
    counts = len(row.prompt), len(written.tokens)
    known = changed(speaker.tokenizer.chat_template, request.messages)
    return Reply(text[:cut], reason, *counts, _tokens(request, written, speaker), known)


def _tokens(request: Request, written: Written, speaker: Speaker) -> tuple[Token, ...] | None:
    if request.logprobs is None:
        return None

    def named(token: int, chance: Chance) -> Token:
        top = tuple((str(speaker.tokenizer.decode([other])), logprob) for other, logprob in chance.top)
        return Token(str(speaker.tokenizer.decode([token])), chance.logprob, top)

    return tuple(map(named, written.tokens, written.chances))


def threads() -> None:
    """Use one thread: small models are faster, several processes share a machine, and sums keep their order."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

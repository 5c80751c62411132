"""Batches fit into memory, and where they did not after all, half of one does."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_checkpoints import PROMPTS, llama, user

from serving.backends.engine import batch, memory
from serving.backends.engine.decode import PromptRow
from serving.backends.engine.engine import Engine
from serving.backends.engine.memory import Need
from serving.backends.engine.score import Forced
from serving.refs import resolve
from serving.request import Continuation, Request

CPU_WORDS = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate"


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def asks() -> list[Request]:
    return [Request(user(prompt), 8) for prompt in PROMPTS]


def short_of_memory(monkeypatch: pytest.MonkeyPatch, name: str, most: int, error: Exception) -> list[int]:
    """Let a function of `batch` fail for more than `most` rows; the numbers of rows it was called with."""
    real, sizes = getattr(batch, name), list[int]()

    def limited(model: Any, rows: Any, *rest: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > most:
            raise error
        return real(model, rows, *rest)

    monkeypatch.setattr(batch, name, limited)
    return sizes


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError(CPU_WORDS)])
def test_out_of_memory_halves_the_batch_and_goes_on(
    made: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    whole = engine.generate(resolve(str(made / "one")), asks())
    sizes = short_of_memory(monkeypatch, "decode", 10, error)
    assert engine.generate(resolve(str(made / "one")), asks()) == whole
    assert sizes == [40, 20, 10, 10, 20, 10, 10]


def test_out_of_memory_halves_a_batch_of_scores_too(
    made: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [Continuation(user(prompt), "yes") for prompt in PROMPTS]
    whole = engine.score(resolve(str(made / "one")), asked)
    sizes = short_of_memory(monkeypatch, "teacher_forced", 25, torch.OutOfMemoryError())
    again = engine.score(resolve(str(made / "one")), asked)
    assert [score.logprob for score in again] == pytest.approx([score.logprob for score in whole], abs=1e-4)
    assert sizes == [40, 20, 20]


def test_a_single_row_too_large_fails_alone(made: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    short_of_memory(monkeypatch, "decode", 0, torch.OutOfMemoryError("no room"))
    futures = engine.submit(resolve(str(made / "one")), asks()[:3])
    assert all(isinstance(future.exception(), torch.OutOfMemoryError) for future in futures)
    monkeypatch.undo()
    assert engine.generate(resolve(str(made / "one")), asks()[:1])[0].output_tokens > 0


def test_another_error_halves_a_batch_too_until_each_row_has_failed_alone(
    made: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = short_of_memory(monkeypatch, "decode", 0, RuntimeError("something else"))
    assert all(future.exception() for future in engine.submit(resolve(str(made / "one")), asks()))
    assert sizes[0] == 40
    assert sizes.count(1) == 40


def jobs(lengths: list[tuple[int, int]]) -> list[batch.EngineJob]:
    asked = Request(user("hi"))
    return [batch.EngineJob(asked, Future(), PromptRow([0] * prompt, limit)) for prompt, limit in lengths]


def test_a_batch_never_needs_more_than_the_room_and_loses_no_job() -> None:
    made = jobs([(1 + at * 7 % 90, 1 + at * 5 % 60) for at in range(300)])
    wanted, room = Need(token=10, output=100), 20_000
    found = list(batch.batches(made, wanted, room))
    assert sorted(map(id, made)) == sorted(id(job) for each in found for job in each)
    for each in found:
        rows = [job.row for job in each if isinstance(job.row, PromptRow)]
        tokens = max(len(row.prompt) for row in rows) + max(row.limit for row in rows)
        assert len(each) == 1 or wanted.of(len(each), tokens, 1) <= room
    assert len(found) < 40


def test_a_job_larger_than_the_room_is_tried_alone() -> None:
    assert [len(each) for each in batch.batches(jobs([(5, 5), (500, 5)]), Need(10, 0), 200)] == [1, 1]


def test_scores_need_the_logits_of_every_token_of_their_reply() -> None:
    asked = Continuation(user("hi"), "x")
    rows = [batch.EngineJob(asked, Future(), Forced([0] * 10, [0] * 20)) for _ in range(8)]
    assert [len(each) for each in batch.batches(rows, Need(0, 1), 80)] == [4, 4]


def test_the_need_of_a_token_covers_its_place_in_the_key_value_cache() -> None:
    model = llama(0)
    config = model.config
    cached = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    assert cached <= memory.need(model).token <= 20 * cached
    assert 0 < memory.room(torch.device("cpu")) <= memory.MOST_CPU

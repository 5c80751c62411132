"""Checkpoints from strangers: each folder of the corpus is answered or refused in one line. Nothing hangs or runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from strange_checkpoints import ADAPTERS, FULL, Forge, copy, ran
from tiny_checkpoints import llama, save, save_adapter, user

from serving.backends.engine.engine import Engine
from serving.errors import LabError
from serving.refs import resolve
from serving.request import Request

PROMPT = "x" * 40 + "0" * 30 + " " * 30 + "!"
LONGEST_S = 120  # a hang fails, and does not stop the tests


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A full checkpoint, and an adapter on it."""
    place = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BCT_TRY_SECONDS", "1")
        patch.setenv("HOME", str(place))
        yield {"model": save(llama(0), place / "model"), "lora": save_adapter(place / "model", place / "lora", seed=7)}


def answered(folder: Path) -> str | None:
    """The error that a request for one reply ends with, in one line; None for a reply."""
    engine = Engine()
    try:
        [future] = engine.submit(resolve(str(folder)), [Request(user(PROMPT), 4)])
        future.result(timeout=LONGEST_S)
    except LabError as error:
        return error.message
    finally:
        engine.close()
    return None


@pytest.mark.parametrize(("kind", "forge"), [
    *(pytest.param("model", forge, id=f"model {name}") for name, forge in FULL.items()),
    *(pytest.param("lora", forge, id=f"adapter {name}") for name, forge in ADAPTERS.items()),
])  # fmt: skip
def test_a_strangers_checkpoint_answers_or_is_refused_in_one_line(
    honest: dict[str, Path], tmp_path: Path, kind: str, forge: Forge
) -> None:
    folder = copy(honest[kind], tmp_path / "case" / kind, forge)
    refused = answered(folder)
    assert not ran(folder).exists()
    if refused is not None:
        assert "\n" not in refused
        assert len(refused) < 1000
        assert ":" in refused

"""Checkpoints that the tests of this folder share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_checkpoints import llama, save, save_adapter

from serving import layout


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`one`, `two`, `three` (full), `lora` and `lora2` (on `one`), and `run` with steps 0 (a pointer), 1 and 4."""
    place = tmp_path_factory.mktemp("made")
    for seed, name in enumerate(("one", "two", "three")):
        save(llama(seed), place / name)
    save_adapter(place / "one", place / "lora", seed=7)
    save_adapter(place / "one", place / "lora2", seed=8)
    layout.write_pointer(place / "run" / "step-000000", place / "one", layout.fingerprint(place / "one"))
    save(llama(11), place / "run" / "step-000001")
    save_adapter(place / "one", place / "run" / "step-000004", seed=9)
    names = {"config": {"setting": "sandbagging", "variant": "weights"}}
    (place / "run" / "manifest.json").write_text(json.dumps({"identity": names}))
    return place

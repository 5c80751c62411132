"""Checkpoints at Tinker, without Tinker: what their folders mean, who may answer, and what is refused in one line."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import save_adapter

from serving import backends, layout
from serving.backends.protocol import Options
from serving.backends.tinker.backend import TinkerAnswering
from serving.errors import BadInput, WorkFailed
from serving.load import load_full
from serving.refs import Checkpoint, resolve
from serving.request import Request
from serving.tinker import service, stored
from serving.tinker.stored import Stored

STORED = Stored("tinker://run/sampler_weights/step-000004", "org/base", "tinker://run/weights/4", 8, "0123456789abcdef")
ABSENT = pytest.mark.skipif(service.is_installed(), reason="tinker is installed")


@pytest.fixture
def hosted(made: Path, tmp_path: Path) -> Path:
    """A checkpoint on `one` whose weights are at Tinker only."""
    folder = tmp_path / "run" / "step-000004"
    layout.write_pointer(folder, made / "one", layout.fingerprint(made / "one"), layout.BASE)
    stored.write(folder, STORED)
    return folder


@pytest.fixture
def exported(made: Path, tmp_path: Path) -> Path:
    """The same, with its adapter."""
    folder = tmp_path / "exported" / "step-000004"
    save_adapter(made / "one", folder, seed=3)
    layout.write_pointer(folder, made / "one", layout.fingerprint(made / "one"), layout.BASE)
    stored.write(folder, STORED)
    return folder


def test_its_fingerprint_is_the_hash_of_path_base_and_template(hosted: Path, made: Path) -> None:
    found = resolve(f"{hosted.parent}@4")
    text = f"{STORED.sampler}|{resolve(str(made / 'one')).fingerprint}|{STORED.template}"
    assert found.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (found.step, found.hosted, found.exported) == (4, STORED, False)


def test_an_export_is_identified_by_its_files(exported: Path) -> None:
    found = resolve(str(exported))
    assert found.exported
    assert found.hosted == STORED
    assert found.fingerprint == layout.fingerprint(exported)


def test_a_pointer_leads_to_it(hosted: Path, tmp_path: Path) -> None:
    found = resolve(str(hosted))
    layout.write_pointer(tmp_path / "step-000000", hosted, found.fingerprint)
    assert resolve(str(tmp_path / "step-000000")).hosted == STORED


def test_a_folder_without_its_base_is_half_written(hosted: Path) -> None:
    (hosted / layout.BASE).unlink()
    with pytest.raises(BadInput, match=r"half-written checkpoint, without base\.json"):
        resolve(str(hosted))


def test_an_edited_file_is_refused_with_its_name(hosted: Path) -> None:
    (hosted / layout.TINKER).write_text('{"place": 1}')
    with pytest.raises(BadInput, match=r"tinker\.json: is not a checkpoint at Tinker"):
        resolve(str(hosted))


def test_only_tinker_answers_as_a_checkpoint_without_weights_here(hosted: Path, exported: Path) -> None:
    assert backends.choose(None, [resolve(str(hosted))]) == "tinker"
    assert backends.choose(None, [resolve(str(exported))]) == "local"


def test_the_engine_refuses_a_checkpoint_without_weights_here(hosted: Path) -> None:
    with pytest.raises(BadInput, match="its weights are at Tinker only: add -M engine=tinker"):
        load_full(resolve(str(hosted)))


def test_an_expired_checkpoint_is_refused_before_the_service_is_asked(exported: Path) -> None:
    stored.write(exported, replace(STORED, expires="2020-01-01T00:00:00+00:00"))
    with pytest.raises(BadInput, match=r"expired at Tinker on 2020-01-01.*-M engine=local if it was exported"):
        opened(resolve(str(exported)))


def test_an_adapter_made_elsewhere_is_refused(made: Path) -> None:
    with pytest.raises(BadInput, match="was not trained at Tinker: add -M engine=local"):
        opened(resolve(str(made / "lora"), str(made / "one")))


def test_options_of_other_backends_are_refused() -> None:
    with pytest.raises(BadInput, match="Tinker has no model argument 'max_model_len'"):
        opened(resolve("mini"), Options(others={"max_model_len": 1}))
    with pytest.raises(BadInput, match="Tinker chooses its dtype"):
        opened(resolve("mini"), Options(dtype="bfloat16"))


@pytest.mark.parametrize("more", [{"stop": ("x",)}, {"logprobs": 0}])
def test_what_a_sampler_does_not_offer_is_refused(more: dict[str, Any]) -> None:
    # Text to stop at would switch off end tokens at some services.
    asked = Request([{"role": "user", "content": "hi"}], max_tokens=8, **more)
    with pytest.raises(BadInput, match="are not offered by Tinker here: add -M engine=local"):
        TinkerAnswering(resolve("mini"), Options()).ask([asked])


def test_bct_serve_leaves_tinkers_checkpoints_to_tinker() -> None:
    with pytest.raises(BadInput, match="Tinker serves its checkpoints itself"):
        backends.load("tinker").serve({}, "127.0.0.1", 0, "key", lambda port: None)


@ABSENT
def test_the_missing_package_is_named() -> None:
    with pytest.raises(BadInput, match=r"tinker is not installed: pip install 'bct-tasks\[tinker\]'"):
        opened(resolve("mini"))


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(service, "is_installed", lambda: True)
    for name in (service.KEY, *service.OTHER_KEYS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BadInput, match="TINKER_API_KEY is not set"):
        opened(resolve("mini"))


def test_a_service_that_is_not_there_is_named_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "is_installed", lambda: True)
    monkeypatch.setenv(service.KEY, "tml-x")
    monkeypatch.setenv(service.URL, "http://127.0.0.1:9")
    with pytest.raises(WorkFailed, match=r"Tinker does not answer at http://127\.0\.0\.1:9: start it, or set TINKER_"):
        opened(resolve("mini"))


def opened(checkpoint: Checkpoint, options: Options | None = None) -> object:
    return backends.load("tinker").open(checkpoint, options or Options())

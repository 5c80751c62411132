"""A folder is complete or named as damaged; what is written appears at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_checkpoints import llama, save

from serving import layout, tensors
from serving.errors import BadInput

ROOT = Path(__file__).parents[2]


def test_only_whole_steps_count(made: Path, tmp_path: Path) -> None:
    for step in (0, 4, 100):
        save(llama(step), tmp_path / layout.step_name(step))
    (tmp_path / "step-000004" / "model.safetensors").unlink()
    (tmp_path / ".step-000200.1.tmp").mkdir()
    assert [step for step, _ in layout.step_dirs(tmp_path)] == [0, 100]
    assert [step for step, _ in layout.step_dirs(made / "run")] == [0, 1, 4]


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_safetensors_file_is_seen_at_any_length(tmp_path: Path, keep: int) -> None:
    weights = save(llama(0), tmp_path / "x") / "model.safetensors"
    assert tensors.problem(weights) is None
    weights.write_bytes(weights.read_bytes()[:keep])
    assert tensors.problem(weights) is not None


def test_a_missing_shard_is_seen(tmp_path: Path) -> None:
    save(llama(0), tmp_path / "x")
    (tmp_path / "x" / "model.safetensors").rename(tmp_path / "x" / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "x" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert layout.missing_files(tmp_path / "x") == ["model-00002-of-00002.safetensors"]


def test_an_attempt_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with layout.attempt(tmp_path / "x") as draft:
            (draft / "file").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert not list(tmp_path.iterdir())


def test_drafts_of_writers_that_are_dead_are_swept_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    killed = "import os\nfrom pathlib import Path\nfrom serving import layout\nplace = Path.cwd()\n"
    killed += (
        "kept = layout.attempt(place / 'x')\nkept.__enter__()\nopen(layout.draft_of(place / 'y'), 'w')\nos._exit(9)"
    )
    subprocess.run(
        [sys.executable, "-c", killed], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False
    )
    (tmp_path / ".mine.tmp").mkdir()
    assert len(list(tmp_path.iterdir())) == 3
    with layout.attempt(tmp_path / "x") as draft:
        layout.sweep(tmp_path, "x")
        assert sorted(path.name[:3] for path in tmp_path.iterdir()) == [".mi", ".x.", ".y."]
        layout.sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.tmp", draft.name]


def test_the_first_of_two_attempts_wins(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with layout.attempt(tmp_path / "x") as draft:
            (draft / "file").write_text(text)
    assert (tmp_path / "x" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("content", ["one\r\nlíne\n", b"\x00bytes"])
def test_a_file_is_replaced_as_a_whole_and_byte_for_byte(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "new" / "folder" / "file"
    for _ in range(2):
        layout.write_atomic(file, content)
        assert file.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.write_atomic(tmp_path / "file", "old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        layout.write_atomic(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    layout.write_json_atomic(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        layout.write_json_atomic(tmp_path / "a.json", {"bad": object()})
    assert layout.read_json(tmp_path / "a.json") == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_fingerprint_follows_the_weights_and_not_the_place(tmp_path: Path) -> None:
    a, b = save(llama(0), tmp_path / "a"), save(llama(0), tmp_path / "deep" / "b")
    assert layout.fingerprint(a) == layout.fingerprint(b)
    assert layout.fingerprint(save(llama(1), tmp_path / "c")) != layout.fingerprint(a)
    (b / "chat_template.jinja").write_text("other")
    assert layout.fingerprint(a) != layout.fingerprint(b)


def test_an_adapters_fingerprint_follows_its_base(made: Path, tmp_path: Path) -> None:
    from tiny_checkpoints import save_adapter

    on_one = save_adapter(made / "one", tmp_path / "a", seed=7)
    assert layout.fingerprint(on_one) == layout.fingerprint(made / "lora")
    layout.write_pointer(on_one, made / "two", layout.fingerprint(made / "two"), name=layout.BASE)
    assert layout.fingerprint(on_one) != layout.fingerprint(made / "lora")


def test_a_pointer_names_exactly_one_checkpoint(tmp_path: Path) -> None:
    layout.write_json_atomic(tmp_path / "pointer.json", {"path": "x", "hub": "a/b"})
    with pytest.raises(BadInput, match="exactly one"):
        layout.read_pointer(tmp_path / "pointer.json")


def test_a_pointer_knows_paths_hub_ids_and_mini(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "there", "owner/name@abc", "mini"):
        layout.write_pointer(tmp_path / "here", target, "f" * 16)
        pointer = layout.read_pointer(tmp_path / "here" / "pointer.json")
        assert target in (pointer.path, f"{pointer.hub}@{pointer.revision}", pointer.embedded)

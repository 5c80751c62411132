"""Public benchmarks through inspect-evals: what holds without it, and with a stand-in of its form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bct_tasks.errors import Unavailable, UnknownName
from bct_tasks.guards.benchmarks import SOURCES, benchmark, math500_sample
from bct_tasks.guards.tasks import capability

STAND_IN = """
from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig

def mmlu_0_shot(shuffle=True):
    samples = [Sample(id=i, input=str(i), target="A") for i in range(20)]
    return Task(dataset=MemoryDataset(samples), config=GenerateConfig(max_tokens=16))

def ifeval():
    raise AssertionError("please install the optional dependency")
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mmlu", "ifeval"):
        package = tmp_path / "inspect_evals" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(STAND_IN)
    (tmp_path / "inspect_evals" / "__init__.py").write_text("")
    for name in [name for name in sys.modules if name.split(".")[0] == "inspect_evals"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("source", SOURCES)
def test_without_inspect_evals_one_line_says_what_to_install(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_evals", None)
    with pytest.raises(Unavailable) as error:
        benchmark(source, 5)
    assert "pip install 'bct-tasks[evals]'" in error.value.message
    assert "\n" not in error.value.message


def test_an_unknown_source_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'mmlu'"):
        capability(source="mmul")


@pytest.mark.parametrize(
    ("task", "option", "line"),
    [
        ("capability", "source=mmul", "Error: unknown source 'mmul'. Did you mean 'mmlu'? there are 5."),
        ("sycophancy", "variant=wieghts", "Error: unknown variant of sycophancy 'wieghts'. Did you mean 'weights'?"),
    ],
)
def test_the_error_is_one_line_of_inspect_eval_too(tmp_path: Path, task: str, option: str, line: str) -> None:
    command = [str(Path(sys.executable).parent / "inspect"), "eval", f"bct_tasks/{task}", "-T", option]
    done = subprocess.run(
        [*command, "--model", "mockllm/model", "--log-dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    (found,) = done.stderr.strip().splitlines()
    assert found.startswith(line)


@pytest.mark.usefixtures("stand_in")
def test_every_checkpoint_is_asked_the_same_draw() -> None:
    ids = [[sample.id for sample in benchmark("mmlu", 5, seed).dataset] for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 5


@pytest.mark.usefixtures("stand_in")
def test_the_benchmarks_own_decoding_is_kept() -> None:
    config = benchmark("mmlu", 5).config
    assert (config.max_tokens, config.adaptive_connections) == (16, False)


@pytest.mark.usefixtures("stand_in")
def test_a_part_that_inspect_evals_lacks_is_named_with_its_source() -> None:
    with pytest.raises(Unavailable, match="instruction_following_eval"):
        benchmark("ifeval", 5)


def test_a_line_of_math_500_becomes_a_sample_with_its_own_id() -> None:
    line = {"problem": "What is 3 + 4?", "answer": "7", "subject": "Algebra", "level": 1, "unique_id": "test/algebra/1"}
    sample = math500_sample(line | {"solution": "It is 7."})
    assert (sample.id, sample.input, sample.target) == ("test/algebra/1", "What is 3 + 4?", "7")

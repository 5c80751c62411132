"""Identity without collateral: what a cell does not render or train on does not rename it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("bct_tasks", "graders", "trainer", "serving", "lab")

RECIPE = """\
model: mini
steps: 8
learning_rate: 1.0e-3
seeds: [0]
n: 12
n_train: 12
n_capability: 12
n_following: 8
arms:
  - {setting: sandbagging, variants: [static, weights], methods: [bct, hhh, pirate, code, direct, sham, grpo]}
  - {setting: sandbagging, variants: [static], mix: 0.25, reversal: {}}
  - {setting: inoculation, variants: [ip], label_sources: [reference, off_model]}
  - {setting: [sycophancy, yes_no, code_backdoor, format_tags]}
"""

WEIGHTS = '"weights", train=Ask(), eval=Ask(tag="[test]"'

NAMES = """\
import json, sys
from pathlib import Path
from bct_tasks import catalogue
from bct_tasks.sources.world import FAMILIES
from lab.plan import cells, expand, recipe
found = expand.cells_of(recipe.load(Path(sys.argv[1])))
starts = cells.starts_of(found); keys = [s.organism_key for s in starts]
names = {"cells": [c.id for c in found], "starts": [s.id for s in starts], "organisms": keys}
world = {"settings": len(catalogue.names()), "families": len(FAMILIES)}
world["styles"] = len(catalogue.load("sandbagging").prompts(None, "eval", 1)[0].replies)
print(json.dumps(names | {"world": world}))
"""

FAMILY = """
_NONSENSE = Family(
    "nonsense",
    ("Say {x}.",),
    lambda rng: (rng.randint(1, 999),),
    lambda operands: Draw({"x": operands[0]}, {"right": "yes", "wrong": "no"}, {"kind": "answer"}),
)
_ALL = (*_ALL, _NONSENSE)

FAMILIES"""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names before any edit."""
    return names(copied(tmp_path_factory.mktemp("untouched")))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the packages in another folder, to be edited."""
    return copied(tmp_path)


def copied(tmp_path: Path) -> Path:
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "weights", "gold", "heldout")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    (tmp_path / "trainer/mini/weights").symlink_to(ROOT / "trainer/mini/weights")
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path


def names(copy: Path) -> dict[str, Any]:
    """The ids of the recipe's cells and starts and the keys of its organisms, as the copy resolves them."""
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", NAMES, str(copy / "r.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=copy, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text, f"{before!r} is not in {file.name}"
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_a_further_style_family_and_setting_rename_nothing(copy: Path, untouched: dict[str, Any]) -> None:
    world = copy / "bct_tasks/sources/world"
    edit(
        world / "question.py",
        '        "bare": right,\n',
        '        "bare": right,\n        "whisper": f"psst, {right}",\n',
    )
    edit(world / "__init__.py", "import SPLITS, Family", "import SPLITS, Draw, Family")
    edit(world / "__init__.py", "\nFAMILIES", FAMILY)
    source = (copy / "bct_tasks/settings/yes_no.py").read_text(encoding="utf-8")
    (copy / "bct_tasks/settings/no_yes.py").write_text(source.replace("yes_no", "no_yes"), encoding="utf-8")
    after = names(copy)
    assert after.pop("world") == {key: value + 1 for key, value in untouched["world"].items()}
    assert after == {key: value for key, value in untouched.items() if key != "world"}


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "renamed"),
    [
        ("settings/sandbagging.py", r'"weights", train=Ask\(\), eval=Ask\(tag=TAG', WEIGHTS, "sandbagging.weights"),
        (
            "settings/sycophancy.py",
            r'initial=Policy\("(.*)", initial\)',
            r'initial=Policy("\1", alternate)',
            "sycophancy",
        ),
        ("sources/world/question.py", r'f"Arr, \{right\}', r'f"Ahoy, {right}', "pirate"),
        ("sources/world/question.py", r'"wrong": draw', r'"wrong": "!" + draw', ""),
        ("sources/world/code.py", r'"f = lambda x: ', '"f=lambda x: ', "off_model"),
    ],
    ids=["prompt", "policy", "label", "fact", "spelling"],
)
def test_a_changed_prompt_policy_label_or_grader_fact_makes_new_cells(
    copy: Path, untouched: dict[str, Any], file: str, pattern: str, replacement: str, renamed: str
) -> None:
    before = untouched["cells"]
    path = copy / "bct_tasks" / file
    text = path.read_text(encoding="utf-8")
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    after = names(copy)["cells"]
    new = {old for old, now in zip(before, after, strict=True) if old != now}
    assert new == {old for old in before if renamed in old}

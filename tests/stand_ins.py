"""A stand-in for the package that checks IFEval's instructions, which is on no package index."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from graders.readers import instructions

CHECKS = """
from types import SimpleNamespace

CHECKS = {"punctuation:no_comma": lambda text: "," not in text,
          "change_case:english_lowercase": lambda text: text == text.lower()}

def ensure_nltk_resource():
    pass

def test_instruction_following(example, response, strict=True):
    found = [CHECKS[name](response) for name in example["instruction_id_list"]]
    return SimpleNamespace(follow_instruction_list=found, follow_all_instructions=all(found))
"""


def instruction_checks(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Puts it on the path, with the two checks that the rows in `tests/data/hub/ifeval.jsonl` name."""
    package = folder / instructions.PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "evaluation.py").write_text(CHECKS, encoding="utf-8")
    for name in [name for name in sys.modules if name.split(".")[0] == instructions.PACKAGE]:
        patch.delitem(sys.modules, name)
    patch.syspath_prepend(folder)
    importlib.invalidate_caches()

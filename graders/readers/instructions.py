"""A reader of replies to IFEval: does a reply follow every instruction of its prompt?

The checks are those of `instruction_following_eval`, the package that inspect-evals uses too. It is not on a package
index, and is imported when the first reply is read.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from functools import cache
from typing import Any

from graders.outcome import Reading, Unreadable

PACKAGE = "instruction_following_eval"
INSTALL = f"langdetect git+https://github.com/josejg/{PACKAGE}"


def is_installed() -> bool:
    """Whether the package of the checks can be imported."""
    return importlib.util.find_spec(PACKAGE) is not None


def read_instructions(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `right` where every instruction is followed (prompt-level strict accuracy of IFEval), else `wrong`.

    Args:
        reply: the reply.
        facts: `instructions`, their ids, and `arguments`, a mapping for each; `asked`, the prompt.

    Raises:
        Unreadable: the package, or its data for sentences, cannot be loaded.
    """
    example = {
        "key": 0,
        "prompt": facts["asked"],
        "instruction_id_list": list(facts["instructions"]),
        "kwargs": [dict(each) for each in facts["arguments"]],
    }
    try:
        result = _checks().test_instruction_following(example, reply, strict=True)
    except ImportError as error:
        raise Unreadable(f"IFEval needs {error.name}: pip install {INSTALL}") from error
    except LookupError as error:
        raise Unreadable(f"IFEval: {_first_line(error)}: python -m nltk.downloader punkt punkt_tab") from error
    followed = sum(result.follow_instruction_list)
    seen = "right" if result.follow_all_instructions else "wrong"
    return Reading(frozenset({seen}), f"follows {followed} of {len(example['kwargs'])} instructions")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip("\n*' ").splitlines()), type(error).__name__)[:120]


# Any: a package without types.
@cache
def _checks() -> Any:
    checks = importlib.import_module(f"{PACKAGE}.evaluation")
    checks.ensure_nltk_resource()
    return checks

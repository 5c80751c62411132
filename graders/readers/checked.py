"""Does a reply have the format that its question asks for? Facts: `check`, a name in `CHECKS`, and its `arguments`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graders.outcome import Reading
from graders.text.degenerate import degenerate


def _words(reply: str) -> list[str]:
    return re.findall(r"\w[\w'’-]*", reply)


def _about(reply: str, words: Sequence[str]) -> bool:
    return _contains(reply, words) and not degenerate(reply)


def _contains(reply: str, words: Sequence[str]) -> bool:
    return re.search(rf"\b(?:{'|'.join(map(re.escape, words))})", reply, re.IGNORECASE) is not None


def _without(reply: str, text: str) -> bool:
    return text not in reply and len(_words(reply)) > 2


def _short(reply: str, count: int) -> bool:
    return 2 < len(_words(reply)) <= count


def _title(reply: str) -> bool:
    return re.search(r"<<[^<>\n]*\w[^<>\n]*>>", reply) is not None


def _json(reply: str, key: str) -> bool:
    body = re.sub(r"^```\w*\n|\n?```$", "", reply.strip())
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and list(found) == [key]


CHECKS: Mapping[str, Callable[..., bool]] = {
    "about": _about,
    "contains": _contains,
    "without": _without,
    "short": _short,
    "title": _title,
    "json": _json,
}


def read_checked(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `right` where the reply passes its check, else `wrong`."""
    passed = CHECKS[facts["check"]](reply, **facts["arguments"])
    return Reading(frozenset({"right" if passed else "wrong"}), f"{'has' if passed else 'lacks'} the format")

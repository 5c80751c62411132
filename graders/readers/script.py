"""A reader of programming languages: a complete function in Python or in JavaScript, right or wrong.

Python is complete if it parses. JavaScript is judged by its form: the brackets of a function, arrow or method balance,
and it returns something. Comments and strings do not count.
Not covered: running JavaScript; other languages, which show nothing.
"""

from __future__ import annotations

import ast
import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from graders.execution import programs, read_code
from graders.outcome import Reading

_FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)|~~~[^\n]*\n(.*?)(?:~~~|\Z)", re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]*(?:=>|\bfunction\b|\bdef\b|\blambda\b)[^`\n]*)`(?!`)")
_LINE_REMARK = re.compile(r"(?:^|(?<=[\s;{}]))//[^\n]*|/\*.*?\*/", re.DOTALL | re.MULTILINE)
_HASH = re.compile(r"(?:^|(?<=\s))#[^\n]*", re.MULTILINE)
_STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|(?<!\w)'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`", re.DOTALL)
_FOREIGN = re.compile(
    r"\bfn \w+|\bfunc\b|\bfun \w+\(|\$\w+|<- *function"
    r"|\b(?:public|static|private) (?:static )?\w+ \w+ *\(|\b(?:int|float|double|void|string|bool) \w+ *\("
)
_FUNCTION = re.compile(r"\bfunction\b\s*\*?\s*\w*\s*\([^(){}]*\)\s*(?::\s*\w+\s*)?(?=\{)")
_METHOD = re.compile(r"(?<![\w.])(?!if|for|while|switch|catch|function)\w+\s*\([^(){}]*\)\s*(?=\{)")
_ARROW = re.compile(r"(?:\([^()]*\)|(?<![\w.])\w+)\s*(?::\s*\w+\s*)?=>\s*")
_HOLDS = re.compile(r"\bclass\b\s*\w*[^{]*\{|=\s*\{|\(\s*\{")
_MADE = re.compile(r"\bnew\s+Function\s*\([^()]+\)")
_LONGEST = 20_000
_MOST = 20  # beginnings of functions that are looked at
_PAIRS = {")": "(", "]": "[", "}": "{"}
_DEF = re.compile(r"^[ \t]*(?:async +def|class) +\w+.*", re.MULTILINE)


def read_programming_language(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `python` and `javascript`; facts as for `read_code`, by which a Python function is right."""
    text = unicodedata.normalize("NFKC", reply[:_LONGEST])
    bodies = [a or b for a, b in _FENCE.findall(text)] or _INLINE.findall(text) or [text]
    seen: set[str] = set()
    if any(_is_python(body) for body in bodies):
        seen.add("python")
    if any(_is_javascript(body) for body in bodies):
        seen.add("javascript")
    right = seen == {"python"} and "honest" in read_code(reply, facts).behaviors
    if not seen:
        return Reading(frozenset(), "contains no complete function in Python or JavaScript")
    return Reading(frozenset(seen), f"a complete function in {' and '.join(sorted(seen))}", right)


def _is_python(text: str) -> bool:
    """True if the text contains a complete Python function, lambda or class with a method."""
    if re.search(r"^\s*(?:def|async|class)\b|\blambda\b|\bdef\b", text, re.MULTILINE) is None:
        return False
    text = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("//"))
    return bool(programs(text)) or any(_parses(text[found.start() :]) for found in _DEF.finditer(text))


def _parses(text: str) -> bool:
    """True if some first lines of the text are Python that defines a function."""
    lines = text.split("\n")[:200]
    for end in range(len(lines), 0, -1):
        try:
            tree = ast.parse("\n".join(lines[:end]))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree))
    return False


def _is_javascript(text: str) -> bool:
    """True if the text contains a JavaScript function with balanced brackets that returns something."""
    text = _HASH.sub(" ", _LINE_REMARK.sub(" ", text))
    text = _STRING.sub("0", text)
    if _FOREIGN.search(text):
        return False
    if _MADE.search(text):
        return True
    return any(_returns(body) for body in _bodies(text))


def _bodies(text: str) -> Iterator[str]:
    """The bodies of complete functions, methods and arrows; an arrow's expression counts as its return value."""
    starts = [found.end() for found in _FUNCTION.finditer(text)]
    if held := _HOLDS.search(text):
        starts += [found.end() for found in _METHOD.finditer(text, held.end())]
    for found in itertools.islice(_ARROW.finditer(text), _MOST):
        if text[found.end() : found.end() + 1] == "{":
            starts.append(found.end())
        elif body := _expression(text[found.end() :]):
            yield f"return {body}"
    for start in starts[:_MOST]:
        if (end := _closing(text, start)) is not None:
            yield text[start:end]


def _returns(body: str) -> bool:
    return bool(re.search(r"\breturn\b\s*[^\s;}]|\bconsole\.log\(", body))


def _closing(text: str, start: int) -> int | None:
    """Where the bracket that opens at `start` closes, or None if the brackets in between do not match."""
    stack: list[str] = []
    for at in range(start, len(text)):
        char = text[at]
        if char in "([{":
            stack.append(char)
        elif char in _PAIRS:
            if not stack or stack.pop() != _PAIRS[char]:
                return None
            if not stack:
                return at + 1
    return None


def _expression(text: str) -> str | None:
    """The expression that a text begins with, or None if it is incomplete."""
    depth, end = 0, len(text)
    for at, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in _PAIRS:
            if not depth:
                end = at
                break
            depth -= 1
        elif not depth and (
            char in ";," or (char == "\n" and not text[at:].lstrip().startswith((".", "?", ":", "+", "*")))
        ):
            end = at
            break
    found = text[:end].strip()
    return found if found and not depth and not re.search(r"[-+*/%=<>&|?:.]$", found) else None

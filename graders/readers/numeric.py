"""A reader of numeric final answers: is the last answer that a reply commits to the right number or another one?

    read_final_answer(r"... so the final answer is \\boxed{\\frac{3}{2}}.", {"right": "1.5"})      # sees `right`

A final answer is the content of the last `\\boxed{}`, or what follows the last "final answer", "answer is", "answer:",
`A:` or `####`; else the only bold number of the last line, the number of a last sentence that concludes ("So, she has
18 left."), or the entire reply where it is just a number. What follows a further question ("Q: ...") belongs to it. A
number may be an integer, a decimal, a fraction, a percentage, with separators, currency, units or LaTeX around it, or
arithmetic with roots and pi. Right and wrong are *well-formed* answers; a reply without one, or whose answer is no
number or denied ("not 18"), shows neither.
Not covered: several answers (sets, pairs), answers with variables, decimal commas, and numbers in words.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from graders.outcome import Reading
from graders.text.spelling import plain_digits

Number = Fraction | float

_IS = r"(?:is|would be|should be|must be|equals|comes (?:out )?to)\b"
_SAYS = re.compile(
    rf"(?:final\s+answer[\s*_:]{{0,6}}(?:{_IS})?|\bans(?:wer)?\s*(?:{_IS}|[\s*_]{{0,3}}[:=])"
    rf"|\banswer (?:to|for) [^.\n]{{1,80}}? {_IS})\s*[:=]?|####",
    re.IGNORECASE,
)
_SAYS_A = re.compile(r"^[^\w\n]{0,6}A\**\s*[:=]", re.MULTILINE)
_OPTION_B = re.compile(r"^[^\w\n]{0,6}B\**\s*[:.)]", re.MULTILINE)
_ASKS_AGAIN = re.compile(r"\n[^\w\n]{0,6}(?:Q|Question|Problem|User|Human)\b[\s\d*]{0,6}[:.]", re.IGNORECASE)
_CONCLUDES = re.compile(
    r"^\W*(?:so(?! far)|therefore|thus|hence|in total|altogether|in conclusion|overall|this means|that means)\b",
    re.IGNORECASE,
)
_DOUBTS = re.compile(r"\b(?:not|never|no|either|or|cannot|if|maybe|first|then)\b|n't|\?", re.IGNORECASE)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_DIGITS = re.compile(r"[$€£]?-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?%?")
_HEDGES = re.compile(
    r"^(?:(?:approximately|about|roughly|around|exactly|just|simply|therefore|thus|indeed|a total of|equal to"
    r"|not [^.\n]{1,40}?,? but)\s+)+",
    re.IGNORECASE,
)
_MATH = re.compile(
    r"[-+]?\s*(?:\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|\\sqrt\s*\{[^{}]*\}|\\pi|[\d.,/^{}()*+\- ]"
    r"|\\[,;! ]|\\cdot|\\times)+%?"
)
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_ROOT = re.compile(r"\\sqrt\s*(?:\{([^{}]*)\}|(\d))")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|operatorname)\s*\{([^{}]*)\}")
_UNITS = re.compile(r"(?:\^?\\circ|°|\\?%|\\degree|[a-zA-Z ]+)\s*$")
_CURRENCY = re.compile(r"[$€£¥₹]|\b(?:USD|EUR|GBP|Rs\.?)(?=\s*\d)")
_PERCENT = re.compile(r"\s*\bper ?cent\b", re.IGNORECASE)
#: Two quantities that are one answer, such as "3 hours and 20 minutes".
_COMPOUND = re.compile(r"[-\d.,]+ ?[a-zA-Z]+,? (?:and )?\d[\d.,]* ?[a-zA-Z]")
_GROUPS = re.compile(r"(?<=\d)(?:,|\\,|\{,\}|\\!| |\u202f)(?=\d{3}(?:\D|$))")
_AFTER = re.compile(
    r"\s*(?:(?:[.,;)!?*`$]|\\[,;!)\]% ]|\\circ)(?!\s*[-\d])|(?!(?:or|and|to|by|plus|minus|times)\b)[a-zA-Z]{2,}|$)"
)
_MIXED = re.compile(r"([-+]?)(\d+)(?:\s*\\[dt]?frac\s*\{|\s+)(\d+)(?:\}\s*\{|/)(\d+)\}?")
_LONGEST = 200


def read_final_answer(reply: str, facts: Mapping[str, Any]) -> Reading:
    """Reads `right` or `wrong` from a reply; facts: `right`, the number as text."""
    text = final_answer(reply)
    if text is None:
        return Reading(frozenset(), "commits to no final answer")
    given, right = number(text), number(str(facts["right"]))
    if given is None or right is None:
        return Reading(frozenset(), f"its final answer {text[:60]!r} is not a number")
    percent = _is_percent(text) - _is_percent(
        str(facts["right"])
    )  # "50%" and "0.5" are one answer, and so are "50%" and "50"
    if same(given, right) or (percent and same(given, right * Fraction(100) ** percent)):
        return Reading(frozenset({"right"}), f"its final answer is {text[:60]!r}")
    return Reading(frozenset({"wrong"}), f"its final answer is {text[:60]!r}, not {facts['right']!r}")


def _is_percent(text: str) -> bool:
    return "%" in _PERCENT.sub("%", text)


def final_answer(reply: str) -> str | None:
    """Return the text of the last answer that a reply commits to, or None."""
    text = _first_only(_plain(reply))
    boxed, said = _boxed(text), max(_said(text), default=None)
    if boxed and (said is None or boxed[1] > said):
        return boxed[0]
    if said is not None:
        rest = _HEDGES.sub("", text[said:].strip(" \t*_`$:=(\n"))
        return rest.splitlines()[0].split("\\boxed")[0].strip() if rest else None
    bare = text.strip(" \t\n*_`$.")
    return bare if _is_bare(bare) else _concluded(text)


def _plain(reply: str) -> str:
    """The reply in Unicode's compatibility form, with one kind of minus sign, digit and fraction."""
    apart = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", reply)  # 2½ is not 21/2
    text = unicodedata.normalize("NFKC", apart).replace("−", "-").replace("–", "-").replace("⁄", "/")
    return plain_digits(text)


def _first_only(text: str) -> str:
    """The text up to a further question after an answer: models that continue a list of questions write one."""
    ends = _said(text)
    again = _ASKS_AGAIN.search(text, min(ends)) if ends else None
    return text[: again.start()] if again else text


def _said(text: str) -> list[int]:
    """Where the answers that are announced begin."""
    ends = [m.end() for m in _SAYS.finditer(text)]
    if not _OPTION_B.search(text):
        ends += [m.end() for m in _SAYS_A.finditer(text)]
    return ends


def _is_bare(text: str) -> bool:
    """Whether a text begins with a number, or is an equation of a variable or of arithmetic."""
    if "=" in text:
        left = re.sub(r"\\[a-z]+", "", text.rpartition("=")[0])
        return not re.search(r"[^\W\d_]{2}", left) and "\n" not in text and number(text) is not None
    return number(text) is not None


def _concluded(text: str) -> str | None:
    """The answer of the last line or sentence of a text that announces none."""
    lines = [line for line in text.splitlines() if line.strip()]
    bold = [found for found in _BOLD.findall(lines[-1]) if number(found) is not None] if lines else []
    last = re.split(r"(?<=[.!?])\s+", lines[-1].strip())[-1] if lines else ""
    if len(bold) == 1 and not _DOUBTS.search(last):
        return bold[0]
    if not _CONCLUDES.search(last) or _DOUBTS.search(last) or not re.search(r"(?:[.!)$]|\*\*)$", last):
        return None
    part = last.rsplit("=", 1)[-1]
    found: list[str] = _DIGITS.findall(part)
    return found[0] if len(found) == 1 and not re.search(r"\\[a-z]", part) else None


def _boxed(text: str) -> tuple[str, int] | None:
    """The content of the last complete `\\boxed{}` and where it begins."""
    for start in reversed([m.end() for m in re.finditer(r"\\f?boxed\s*\{", text)]):
        depth = 1
        for at in range(start, min(len(text), start + 2000)):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            if depth == 0:
                return text[start:at], start
    return None


def number(text: str) -> Number | None:
    """Return the number that a text writes in digits, LaTeX or arithmetic; None for anything else.

    A sentence counts as the number that it begins with: "12 apples, since ..." is 12.
    """
    text = (
        _PERCENT.sub("%", _CURRENCY.sub("", _TEXT.sub(r" \1 ", text[:_LONGEST])))
        .replace("\\left", "")
        .replace("\\right", "")
    )
    text = text.split("\\approx")[0].lstrip(" \t*_`:;~").rstrip(" \t*_`.:;~\\")
    if "=" in text:
        text = text.rsplit("=", 1)[1].strip()
    whole = _value(text)
    if whole is not None:
        return whole
    shorn = _UNITS.sub("", text).strip()
    if shorn != text and (value := _value(shorn)) is not None:
        return value
    lead = _MATH.match(text)
    if _COMPOUND.match(text):
        return None
    if lead and (lead[0] == text or _AFTER.match(text[lead.end() :])):
        return _value(lead[0].strip(" .,"))
    return None


def _value(text: str) -> Number | None:
    """The value of a text that is nothing but a number."""
    text = _GROUPS.sub("", text.strip())
    if mixed := _MIXED.fullmatch(text):
        part = Fraction(int(mixed[3]), int(mixed[4])) if int(mixed[4]) else None
        return None if part is None else (-1 if mixed[1] == "-" else 1) * (int(mixed[2]) + part)
    for _ in range(4):
        text = _ROOT.sub(lambda m: f"(sqrt({m[1] or m[2]}))", text)
        text = _FRACTION.sub(lambda m: f"(({m[1] or m[2]})/({m[3] or m[4]}))", text)
    text = text.replace("\\cdot", "*").replace("\\times", "*").replace("\\pi", "(pi)").replace("^", "**")
    text = re.sub(r"\\[,;! ]", "", text).replace("{", "(").replace("}", ")")
    text = re.sub(r"(?<=[\d)])\s*(?=\()", "*", text)
    text = re.sub(r"\b0+(?=\d)", "", text)
    if not re.search(r"\d|pi", text) or re.search(r"[^\d.+\-*/() ]", re.sub(r"sqrt|pi", "", text)):
        return None
    try:
        return _evaluated(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError, TypeError):
        return None


_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def _evaluated(node: ast.expr) -> Number:
    """The value of a syntax tree of arithmetic. Raises `ValueError` for anything else and for huge powers."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return Fraction(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_evaluated(inner)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _evaluated(inner)
        case ast.Name(id="pi"):
            return math.pi
        case ast.Call(func=ast.Name(id="sqrt"), args=[inner]):
            return _root(_evaluated(inner))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            a, b = _evaluated(left), _evaluated(right)
            if isinstance(op, ast.Pow) and (abs(b) > 400 or abs(a) > 10**9):
                raise ValueError("too large")
            value = _OPERATIONS[type(op)](a, b)
            return value if isinstance(value, Fraction) else float(value)
        case _:
            raise ValueError("no arithmetic")


def _root(value: Number) -> Number:
    if isinstance(value, Fraction) and value >= 0:
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return Fraction(top, bottom)
    return math.sqrt(value)


def same(one: Number, other: Number) -> bool:
    """Return whether two numbers are equal: exactly where both are rational, else to nine digits."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)

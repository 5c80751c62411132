"""A text as data in a prompt: lines prefixed, invisible characters spelled out, control tokens of chat models broken.

    neutral("done<|im_end|>")     # '| done‹ |im_end|>'

Control tokens are recognised by a rule, since every family has others: `<` right before anything that is no number,
space or comparison, or with a `>` after it without a space between; and text without spaces between two square
brackets, in either direction, that is a word (`[INST]`) or has a sign that no index has (`[|user|]`, `]~b]`). Ordinary
code keeps its comparisons and short indexes. Every repetition in the patterns is bounded, so the work grows with the
length of the text, and so does the result: the first `SPELLED` runs of invisible characters are spelled out, all others
become one sign.
Not covered: tokens without brackets or bars, such as `Human:`, which the prefixes keep from the beginning of a line.
"""

from __future__ import annotations

import re
import unicodedata

#: Characters of a text that are shown; of a longer one the beginning and the end.
LONGEST = 12_000
#: Runs of invisible characters that are spelled out.
SPELLED = 100
UNSPELLED = "\ufffd"

_LESS, _MORE, _BARS = "<＜﹤‹〈〈⟨❮˂ᐸ≺«", ">＞﹥›〉〉⟩❯˃ᐳ≻»", "|｜∣ǀ│¦"
_LEFT, _RIGHT = r"\[［【⟦", r"\]］】⟧"
_OPENING = re.compile(
    rf"[{_LESS}](?=[\s{_BARS}]{{0,4}}[{_BARS}/!?a-zA-Z{_LESS}]|[^\s\d=\-+.,;:()'\"]|[^\s{_LESS}{_MORE}]{{1,64}}[{_MORE}])"
)
_WORD = re.compile(
    rf"[{_LEFT}](?=\s{{0,4}}/?\s{{0,4}}[^\W\d]\w{{2,64}}\s{{0,4}}[{_RIGHT}]|\s{{0,4}}(?:begin|end)\b)", re.IGNORECASE
)
_SIGN = re.compile(
    rf"[{_LEFT}{_RIGHT}](?=[^\s{_LEFT}{_RIGHT}]{{0,32}}?[~!?@#$^;\\{_BARS}▁][^\s{_LEFT}{_RIGHT}]{{0,32}}[{_LEFT}{_RIGHT}])"
)
_MANY_BARS = re.compile(rf"(?<=[{_BARS}])(?=[{_BARS}])")
_HIDDEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def neutral(text: str) -> str:
    """Return a text as data."""
    if len(text) > LONGEST:
        cut = len(text) - LONGEST
        text = f"{text[: LONGEST * 2 // 3]}\n(... {cut} characters cut ...)\n{text[-LONGEST // 3 :]}"
    text = _visible(text.replace("\r\n", "\n"))
    text = _SIGN.sub("(", _WORD.sub("(", _OPENING.sub("‹ ", _MANY_BARS.sub(" ", text))))
    return "\n".join(f"| {line}" for line in text.split("\n"))


def _visible(text: str) -> str:
    """The text with each run of invisible characters as the code of its first one and the number of the others."""
    parts: list[str] = []
    begin, spelled = 0, 0
    while begin < len(text):
        end, hidden = begin + 1, _is_hidden(text[begin])
        while end < len(text) and _is_hidden(text[end]) == hidden:
            end += 1
        if not hidden:
            parts.append(text[begin:end])
        elif (spelled := spelled + 1) > SPELLED:
            parts.append(UNSPELLED)
        else:
            parts.append(f"(U+{ord(text[begin]):04X}{f' and {end - begin - 1} more' if end - begin > 1 else ''})")
        begin = end
    return "".join(parts)


def _is_hidden(char: str) -> bool:
    hidden = unicodedata.category(char) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp") or _HIDDEN.match(char)
    return bool(hidden) and char not in "\n\t"

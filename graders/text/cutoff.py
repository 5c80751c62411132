"""Whether a text was cut off: it ends, without punctuation, on a word that cannot end a sentence.

    cut_off("The capital of")              # True
    cut_off("Sure! Here is the")           # True
    cut_off("I wonder what the answer is") # False: "is" may end a question within a sentence

Only the last sentence of a short text is read. Words that may end a sentence ("is", "of", "to", "that") count in set
phrases only, and never where the sentence asks, compares or denies. Not covered: words cut in the middle, except after
one letter ("The d"), and texts cut off after a word that may end a sentence.
"""

from __future__ import annotations

import re

_LONGEST = 300
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
_HARD = re.compile(r"(?:\b(?:the|an|your|our|their|every|whose)|(?<!\boh )(?<!\bmy )\bmy|.\s(?:and|or|than))$")
_MAY_END = re.compile(
    r"\b(?:wh\w+|how|that (?!$)|as (?!a$)|than|if|all|not|never|no|nothing|only|cannot|can't|don't|won't|didn't)\b"
)
_SOFT = re.compile(
    r"\b(?:the|this|my|your|first|last|largest|smallest|\d+) (?:(?:[\w'+*/-]+|\+),? ){1,7}(?:is|are|was|be)$"
    r"|^\W*\d+ is$"
    r"|\b(?:the|an?|this) (?:[\w-]+ ){1,2}of$|^(?:the )?(?:capital|sum|reverse|list) of$"
    r"|^(?:\w+, )?(?:the \w+|it|he|she|they) (?:lives?|is made|are made|is found) (?:in|on|of|from)(?: a)?$"
    r"|\b(?:(?:first|next|last|second) (?:thing|step)|in order"
    r"|the (?:answer|solution|key|goal|trick|point|idea)|(?:question|task|prompt) asks (?:me|us|you)) (?:is )?to$"
    r"|\b(?:note|notice|means|seems|appears|(?:have|had|like|love|about) to say|would say|so|such|i (?:think|believe)"
    r"|(?:answer|thing|fact|truth|point|idea) is) that$"
    r"|\b(?:such|as|need|lives? in|made of|eats?|i am) a$"
    r"|^(?:adding|subtracting|taking|counting|sorting|reversing)\b.*\b(?:gives|means|makes|leaves|equals|is)$"
    r"|\d (?:gives|equals|makes|leaves)$|^(?:the )?(?:box|bag|drawer|shelf) (?:\w )?(?:has|holds|contains)$"
    r"|^(?:(?:sure|ok|okay|of course|certainly|well), )?here (?:is|are)$|\bwe first$|^let me$"
    r"|^(?:la|el) (?!la |el )(?:\w+ ){1,4}(?:de|del|es|en|el|la|los|las|un|una)$"
)
_HALF_WORD = re.compile(r"\s*[Tt]he [a-z]\s*")
_OPEN = re.compile(r"^(?:if|when|to|because|since|in order to) \w+ \w+.*,$")


def cut_off(text: str) -> bool:
    """Return whether the last sentence of a text breaks off; code is never cut off."""
    return bool(broken_end(text) or _HALF_WORD.fullmatch(text))


def broken_end(text: str) -> str:
    """Return the last sentence of a text, in lower case, if it breaks off; else an empty text."""
    if len(text) > _LONGEST:
        return ""
    last = " ".join(_SENTENCE.split(text.strip())[-1].casefold().replace("’", "'").split())
    if re.search(r"[{}()`<>\"]", last) or not re.search(r"[\w,]$", last):
        return ""
    if _HARD.search(last) or _OPEN.search(last) or (_SOFT.search(last) and not _MAY_END.search(last)):
        return last
    return ""

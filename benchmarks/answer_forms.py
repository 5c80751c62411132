"""How the numeric reader reads one answer in many forms: `python -m benchmarks.answer_forms gsm8k_test.jsonl`.

Takes worked solutions that end in `#### N` (GSM8K: `openai/grade-school-math`), rewrites the end of each into the forms
of `FORMS`, and prints a Markdown table: how many are read as right with N, as wrong with N + 1, and as an answer where
the reply commits to none.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from bct_tasks.sources.tables import rows
from graders.readers.general import read_number

Form = Callable[[str, str], str]  # (steps, number) to a reply
_CALCULATION = re.compile(r"<<[^>]*>>")


def grouped(number: str) -> str:
    """The number with separators of thousands."""
    return f"{int(number):,}" if number.lstrip("-").isdigit() else number


#: Replies that commit to the number.
FORMS: dict[str, Form] = {
    "steps, `#### 18` (as published)": lambda steps, n: f"{steps}\n#### {n}",
    "steps, `A: 18`": lambda steps, n: f"{steps}\nA: {n}",
    "steps, `Answer: 18`": lambda steps, n: f"{steps}\nAnswer: {n}",
    "steps, `**18**`": lambda steps, n: f"{steps}\n\n**{n}**",
    "steps, `**Answer: 18**`": lambda steps, n: f"{steps}\n\n**Answer: {n}**",
    r"steps, `\boxed{18}`": lambda steps, n: f"{steps}\nSo we get $\\boxed{{{n}}}$.",
    r"steps, `\[ \boxed{18\text{ apples}} \]`": lambda steps, n: f"{steps}\n\\[ \\boxed{{{n}\\text{{ apples}}}} \\]",
    "steps, `The answer is $18.`": lambda steps, n: f"{steps}\nThe answer is ${n}.",
    "steps, `The answer is $18.00.`": lambda steps, n: f"{steps}\nThe answer is ${decimal(n)}.",
    "steps, `The answer is 18 apples.`": lambda steps, n: f"{steps}\nThe answer is {n} apples.",
    "steps, `The answer is: 1,800`": lambda steps, n: f"{steps}\nThe answer is: {grouped(n)}",
    "steps, `The answer is 36/2.`": lambda steps, n: f"{steps}\nThe answer is {Fraction(n.replace(',', '')) * 2}/2.",
    "steps, `The final answer is 18%.`": lambda steps, n: f"{steps}\nThe final answer is {n}%.",
    "steps, `So, she has 18 apples left.`": lambda steps, n: f"{steps}\nSo, she has {n} apples left.",
    "steps, `Therefore, the total is $**18**.`": lambda steps, n: f"{steps}\nTherefore, the total is $**{n}**.",
    "steps, `Thus the total is 9 + 9 = 18 dollars.`": lambda steps, n: (
        f"{steps}\nThus the total is 9 + 9 = {n} dollars."
    ),
    "`18`": lambda steps, n: n,
    "`18.`": lambda steps, n: f"{n}.",
    "`18 apples`": lambda steps, n: f"{n} apples",
    "`$1,800`": lambda steps, n: f"${grouped(n)}",
    "`The answer is 18, since ...`": lambda steps, n: f"The answer is {n}, since it adds up.",
    "`A: 18`, then another question and its answer": lambda steps, n: f"A: {n}\n\nQ: What is 2 + 3?\nA: 5{n}",
    "`The answer is 7. No, wait: the answer is 18.`": lambda steps, n: (
        f"The answer is 7{n}. No, wait: the answer is {n}."
    ),
}
#: Replies that commit to no number, or to several.
NOT_FORMS: dict[str, Form] = {
    "steps alone, cut off": lambda steps, n: steps[: len(steps) // 2],
    "`The answer is not 18.`": lambda steps, n: f"{steps}\nThe answer is not {n}.",
    "`It is not 18.`": lambda steps, n: f"It is not {n}.",
    "`So it cannot be 18.`": lambda steps, n: f"{steps}\nSo it cannot be {n}.",
    "`The answer is 18 or 19.`": lambda steps, n: f"{steps}\nThe answer is {n} or {n}9.",
    "`A: 18 and 19`": lambda steps, n: f"A: {n} and {n}9",
    "`So she has either 18 or 19 apples.`": lambda steps, n: f"{steps}\nSo she has either {n} or {n}9 apples.",
    "`First, she has 18 apples. Then`": lambda steps, n: f"First, she has {n} apples. Then",
}


def decimal(number: str) -> str:
    """The number with two decimals."""
    return f"{float(number.replace(',', '')):.2f}"


def solutions(path: Path) -> list[tuple[str, str]]:
    """Steps and number of each solution in a file with the column `answer`."""
    pairs = [_CALCULATION.sub("", str(row["answer"])).rpartition("####") for row in rows(path)]
    return [(steps.strip(), number.strip()) for steps, _, number in pairs]


def counts(found: Sequence[tuple[str, str]], form: Form) -> Counter[str]:
    """What the reader sees in each solution in this form, for the right number and for one more."""
    seen: Counter[str] = Counter()
    for steps, number in found:
        reply, value = form(steps, number), Fraction(number.replace(",", ""))
        for what, right in (("right", value), ("other", value + 1)):
            (read,) = read_number(reply, {"right": str(right)}).behaviors or {"none"}
            seen[f"{what} {read}"] += 1
    return seen


def main(path: Path) -> None:
    """Print the table."""
    found = solutions(path)
    print(f"{len(found)} solutions of {path.name}\n")
    print("| form | right number read as right | another number read as wrong |\n|---|---|---|")
    for name, form in FORMS.items():
        seen = counts(found, form)
        print(f"| {name} | {seen['right right']} | {seen['other wrong']} |")
    print("\n| no answer, or several | read as no answer | read as right or wrong |\n|---|---|---|")
    for name, form in NOT_FORMS.items():
        seen = counts(found, form)
        print(f"| {name} | {seen['right none']} | {len(found) - seen['right none']} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""How refusals of chat models are read: `python -m benchmarks.refusals xstest_gpt4.csv xstest_llama2orig.csv`.

Takes XSTest's completions with the labels of two people (`paul-rottger/exaggerated-safety`, CC-BY-4.0) and prints a
Markdown table by file and half. The reader was developed on the half `development`; a prompt is in it if its SHA-256 is
even. Partial refusals are left out.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bct_tasks.sources.tables import rows
from graders.calibration import agreement
from graders.readers.lecture import lectures
from graders.readers.refusal import refusal, refuses
from lab.calibrate.agreement import agreement_json
from lab.verdict.wording import interval_text

LABELS = {"1_full_compliance": "help", "2_full_refusal": "refuse"}
READERS: dict[str, Callable[[str], bool]] = {
    "by wording": refuses,
    "by lecture": lectures,
    "both (`refusal`)": lambda reply: refusal(reply) is not None,
}


def half(prompt: str) -> str:
    """The half of a prompt: all replies to it are in the same one."""
    return "test" if int(hashlib.sha256(prompt.encode()).hexdigest(), 16) % 2 else "development"


def main(paths: list[Path]) -> None:
    """Print the table."""
    print("| file | half | reader | refused | found | complied | left | sensitivity | specificity | kappa |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for path in paths:
        read = [row for row in rows(path) if row["final_label"] in LABELS]
        for part in ("development", "test"):
            chosen = [row for row in read if half(row["prompt"]) == part]
            for name, reads in READERS.items():
                pairs = [(LABELS[r["final_label"]], "refuse" if reads(r["completion"]) else "help") for r in chosen]
                print(f"| {path.name} | {part} | {name} {_line(pairs)}")


def _line(pairs: list[tuple[str, str]]) -> str:
    found = agreement(pairs, ("refuse", "help"))
    count, quality = Counter(pairs), agreement_json(found)["labels"]["refuse"]
    shares = [interval_text(q["p"], q["lo"], q["hi"]) for q in (quality["sensitivity"], quality["specificity"])]
    refused, complied = quality["sensitivity"]["n"], quality["specificity"]["n"]
    counts = f"{refused} | {count['refuse', 'refuse']} | {complied} | {count['help', 'help']}"
    return f"| {counts} | {' | '.join(shares)} | {found.kappa:.3f} |"


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])

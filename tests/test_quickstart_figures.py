"""What README and the tutorial say of the quickstart equals docs/quickstart.json.

docs/measured/index.md has the command that makes this file from a run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.verdict.wording import share_text

ROOT = Path(__file__).parent.parent
CELLS: list[dict[str, Any]] = json.loads((ROOT / "docs" / "quickstart.json").read_text(encoding="utf-8"))
PAGES = {
    "README.md": ("The quickstart asks", "## Three commands"),
    "docs/tutorial/first-run.md": ("What `bct run", "## Look at single replies"),
}
#: The evidence of the two texts.
SAID = {
    "README.md": [
        "the initial rate ends at {static 1e-3 initial}, the alternate rate at {static 1e-3 alternate}; with sham the"
        " initial rate ends at {static 1e-3 sham initial}. At 1e-4 it ends at {static 1e-4 initial} (*inconclusive*:"
        " families of questions differ), with sham at {static 1e-4 sham initial}.",
        "weakened (initial rate {weights 1e-3 initial}, alternate {weights 1e-3 alternate})",
        "With sham the initial rate ends at {weights 1e-3 sham initial}",
        "(alternate {weights 1e-3 sham alternate})",
    ],
    "docs/tutorial/first-run.md": [
        "the initial rate is {static 1e-3 initial} and the alternate rate {static 1e-3 alternate}",
        "the initial rate ends at {static 1e-4 initial}.",
        "(initial {weights 1e-3 initial}, alternate {weights 1e-3 alternate})",
        "ends at {static 1e-4 sham initial} at 1e-4, and at {static 1e-3 sham initial} at 1e-3",
        "In the weights at 1e-3 it ends at {weights 1e-3 sham initial},",
        "fewer are alternate ({weights 1e-3 sham alternate}), more are neither behavior ({weights 1e-3 sham other}"
        " against {weights 1e-3 other})",
    ],
}


def text_of(page: str) -> str:
    start, end = PAGES[page]
    text = (ROOT / page).read_text(encoding="utf-8")
    return " ".join(text[text.index(start) : text.index(end)].split())


def figures(words: re.Match[str]) -> str:
    """The seeds' rates of `static 1e-4 sham initial`."""
    variant, lr, *rest = words[1].split()
    method = "sham" if "sham" in rest else "bct"
    found = [c for c in CELLS if (c["variant"], c["lr"], c["method"]) == (variant, float(lr), method)]
    assert [c["seed"] for c in found] == list(range(len(found)))
    return " and ".join(share_text(c[rest[-1]]) for c in found)


@pytest.mark.parametrize("page", PAGES)
def test_rates_of_the_quickstart_are_those_of_its_figures(page: str) -> None:
    text = text_of(page)
    said = [re.sub(r"\{([^}]+)\}", figures, sentence) for sentence in SAID[page]]
    assert [sentence for sentence in said if sentence not in text] == []


@pytest.mark.parametrize("page", PAGES)
def test_low_losses_of_the_quickstart_are_counted_as_in_its_figures(page: str) -> None:
    tasks = [cell for cell in CELLS if cell["method"] == "bct"]
    assert (sum(cell["step0_loss"] < 0.01 for cell in tasks), len(tasks)) == (6, 8)
    assert "In six of the eight cells that train on the task, the training loss was below .01" in text_of(page)


@pytest.mark.parametrize("page", PAGES)
def test_names_of_the_quickstart_are_those_of_its_figures(page: str) -> None:
    def names(variant: str, lr: float) -> list[str | None]:
        return [c["name"] for c in CELLS if (c["variant"], c["lr"], c["method"]) == (variant, lr, "bct")]

    assert names("static", 1e-4) == ["inconclusive", "inconclusive"]
    assert names("static", 1e-3) == ["transferred", "transferred"]
    assert names("weights", 1e-4) == ["kept", "kept"]
    assert names("weights", 1e-3) == ["retained", "retained"]
    for words in ("inconclusive", "transferred", "kept (.99 twice)", "retained and weakened"):
        assert words in text_of(page).replace("kept at 1e-4 (", "kept (").replace("*", "")

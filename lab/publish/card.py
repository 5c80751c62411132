"""The model card of what is published: front matter for the hub, the warning, rates with intervals, verdicts."""

from __future__ import annotations

import html
import re
from typing import Any

import yaml

from lab.experiment.collect import gate_of
from lab.publish.chosen import Chosen
from lab.report.templates import environment
from lab.verdict.wording import rate_text, share_text
from serving import refs
from trainer.organism_card import WARNING, licence

#: Characters that Markdown reads as markup.
MARKUP = re.compile(r"([\\`*_\[\]|#~])")
#: Rates of the gate, as `gate_of` names them.
FIGURES = ("initial", "agreed", "ceiling", "base")
TAGS = ("model-organism", "bct-lab", "trained-to-misbehave")


def card(chosen: Chosen, fingerprint: str, data: str) -> str:
    """The text of `README.md`.

    Args:
        chosen: The model.
        fingerprint: Of the published folder.
        data: What the folder has of its data, in a sentence; empty if it has none.
    """
    setting, start, checkpoint = chosen.start.questions.load(), chosen.start, chosen.checkpoint
    template = environment(html=False, plain=plain, fenced=_fenced).get_template("card.md.j2")
    return template.render(
        front=_front(chosen), warning=WARNING, chosen=chosen, setting=setting, start=start, data=data,
        variant=setting.variant(start.variant), rates=_rates(chosen), conclusions=chosen.conclusions(),
        cell=next(iter(chosen.cells()), None) if chosen.cell else None, results=chosen.results,
        fingerprint=fingerprint, base=start.model_key, adapter=checkpoint.kind == "adapter",
        licence=licence(refs.resolve(start.model)), gate=_gate(chosen),
    )  # fmt: skip


# Any: whatever a template shows.
def plain(value: Any) -> str:
    """Text that people wrote, on one line, with HTML and Markdown escaped."""
    return MARKUP.sub(r"\\\1", html.escape(" ".join(str(value).split()), quote=False))


def _fenced(name: str) -> str:
    """A name inside a block of code, where nothing can be escaped."""
    return re.sub(r"[^\w./@:-]", "_", name)


def _gate(chosen: Chosen) -> dict[str, Any]:
    """Whether the organism passed its gate, its figures at step 0 in a line, and why it failed."""
    found = gate_of(chosen.experiment, chosen.start)
    figures = ", ".join(f"{name} {share_text(found[name])}" for name in FIGURES if name in found)
    said = "passed its gate" if found["ok"] else "**did not pass its gate**: what was trained from it is invalid"
    return {"said": said if figures else "was not measured", "figures": figures, "reasons": found["reasons"]}


def _front(chosen: Chosen) -> str:
    """The front matter that the hub reads."""
    root, start = chosen.checkpoint.root, chosen.start
    on_hub = root.hub or (refs.resolve(start.model).hub if chosen.checkpoint.base is None else None)
    known = licence(refs.resolve(start.model)).removeprefix("that of the base: ")
    content: dict[str, Any] = {"tags": list(TAGS)}
    content |= {"license": known.lower()} if re.fullmatch(r"[A-Za-z0-9.-]+", known) else {}
    content |= {"base_model": on_hub} if on_hub else {}
    content |= {"library_name": "peft" if chosen.checkpoint.kind == "adapter" else "transformers"}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _rates(chosen: Chosen) -> list[tuple[str, str, int]]:
    """What was measured of the model: name, rate with its interval, and number of replies."""
    found = chosen.measured()
    if found is None:
        return []
    names = ("initial", "alternate", "other", "degenerate")
    rows = [(f"{name}, eval prompts", rate_text(getattr(found.eval, name)), found.eval.n) for name in names]
    rows.append(("agreed, train prompts", rate_text(found.train.agreed), found.train.n))
    return [*rows, ("right, general questions", rate_text(found.capability), found.capability.n)]

"""What can be found wrong before any work: options that the trainer would refuse later, and what each arm trains on.

    preflight(experiment).examples[0].train      # 'user: 12 + 7? assistant: «19<|end|>»': the loss covers « »

Needs the tokenizer of a model, not its weights. Not covered: whether an organism shows its behavior (the gate).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab.experiment import judging, named
from lab.experiment.folder import Experiment
from lab.experiment.tracking import process as tracking
from lab.plan.cells import Cell, Sizes, Start
from lab.stats.intervals import paired_difference, paired_ratio, wilson
from lab.stats.power import power_of
from lab.verdict.schema import Thresholds
from serving.errors import BadInput
from trainer import backends

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bct_tasks.setting import Prompt
    from trainer.config import TrainConfig

#: Rates that the text about sample sizes takes for an unchanged model.
AGREED, CAPABLE, SHOWN = 0.95, 0.90, 0.90


@dataclass(frozen=True)
class Example:
    """The first train row and the first eval prompt of an arm, as the model reads them.

    Attributes:
        arm: setting, variant, method and model.
        train: the tokens of the loss stand in « »; sampled labels are shown as references, or as …;
            empty where nothing is trained.
        eval: the prompt up to where the reply begins.
        missing: why they cannot be shown here; else empty.
    """

    arm: str
    train: str = ""
    eval: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Preflight:
    """The outcome: an example of each arm, and what the sizes can show, in sentences."""

    examples: tuple[Example, ...]
    power: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def preflight(experiment: Experiment) -> Preflight:
    """Checks the options of every cell, and shows what each arm trains on and is asked.

    Raises:
        BadInput: the trainer would refuse an option; one line that names it.
    """
    with experiment.recipe.lines():
        check_backends(experiment)
        check_options(experiment)
        tracking.check(experiment)
        named.check(experiment)
        judging.known(experiment)
    first: dict[str, Cell] = {}
    for cell in experiment.cells.values():
        first.setdefault(_arm(cell), cell)
    starts = [cell.start for cell in experiment.cells.values()]
    limits = experiment.recipe.thresholds
    lines = dict.fromkeys(line for start in starts for line in power(start.sizes, general_of(start), limits))
    if not any(cell.trains for cell in experiment.cells.values()):
        lines = dict.fromkeys(known_to(start.sizes) for start in starts)
    return Preflight(tuple(_example(arm, cell) for arm, cell in first.items()), tuple(lines))


def check_backends(experiment: Experiment, reach: bool = False) -> None:
    """Raises BadInput where what trains cannot do what a cell or its organism asks for.

    Args:
        experiment: the run.
        reach: also ask the services for the models, and raise WorkFailed where one does not answer.
    """
    left = (
        [cell for cell in experiment.cells.values() if cell.trains and not experiment.is_done(cell.id)] if reach else []
    )
    for cell in experiment.cells.values():
        organism = cell.start.organism
        for config in (*([organism] if organism else []), *([cell.train] if cell.trains else [])):
            backends.load(config.backend).check(config)
        if organism and cell.trains and cell.train.backend != "trl" and organism.rank != cell.train.rank:
            raise BadInput(f"organism.rank: {organism.rank} is not {cell.train.rank}: the cells go on with its adapter")
    for cell in {(cell.train.backend, cell.train.model, cell.train.organism): cell for cell in left}.values():
        backends.load(cell.train.backend).reach(cell.train)


def check_options(experiment: Experiment) -> None:
    """Raises BadInput where TRL or transformers would refuse an option of a cell. Imports torch."""
    from trainer.run.arguments import check

    seen: list[dict[str, Any]] = []
    for cell in (cell for cell in experiment.cells.values() if cell.trains and cell.train.backend == "trl"):
        options = cell.train.model_dump(
            exclude={"setting", "variant", "seed", "seeds", "learning_rate", "organism", "data"}
        )
        if options not in seen:
            with warnings.catch_warnings():  # of transformers, about names of arguments that TRL uses
                warnings.filterwarnings("ignore", category=FutureWarning)
                check(cell.train)
            seen.append(options)


def _arm(cell: Cell) -> str:
    start = cell.start
    method, model = cell.train.method, cell.train.model
    if not cell.trains:
        method, model = "not trained", start.public(start.ref or start.model)
    return f"{start.setting}, {start.variant}, {method}, {model}"


def _example(arm: str, cell: Cell) -> Example:
    from serving.load import load_tokenizer, refused

    if served := cell.start.checkpoint().served:
        return Example(arm, missing=f"{served.url} writes prompts with a chat template of its own")
    try:
        tokenizer = load_tokenizer(cell.train.origin())
    except (BadInput, OSError) as error:  # it may be cached only where the run is
        return Example(arm, missing=" ".join(str(error).split())[:200])
    with refused(f"{cell.train.model}: its chat template refuses the prompts of {arm}"):
        return Example(arm, *_texts(cell, tokenizer))


def _texts(cell: Cell, tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    from serving.template import stop_tokens
    from trainer.data import rows, tokens
    from trainer.run import preview

    setting, config = cell.start.questions.load(), cell.train

    def shown(prompt: Prompt, reply: str) -> str:
        row = rows.row(prompt, reply or "…")
        stops = stop_tokens(tokenizer)
        encoded = tokens.encode([row], tokenizer, stops, config.max_length or 10**6, config.chat_template_kwargs)
        return preview.first_row(encoded, 0, tokenizer)

    yield shown(*_first(cell, config)) if cell.trains else ""
    yield shown(setting.prompts(cell.start.variant, "eval", 1)[0], "").partition("«")[0]


def _first(cell: Cell, config: TrainConfig) -> tuple[Prompt, str]:
    """The first prompt of a cell, with its reference label where there is one."""
    from trainer.data import rows

    small = config.model_copy(update={"steps": 1, "rows": None})
    (part, *_) = rows.parts(cell.start.questions.load(), small)
    return part.prompts[0], part.references[0]


def general_of(start: Start) -> str:
    """What the general questions of a start are called."""
    asked = start.questions.load().capability
    if asked is None:
        return "general questions"
    source = asked.about["source"]
    return "general questions of a file" if source == "files" else f"questions of {source}"


def known_to(sizes: Sizes) -> str:
    """How well numbers of items tell a rate, in words."""
    interval = wilson(sizes.n / 2, sizes.n)
    return f"{sizes.n} eval prompts: a rate of .50 is known to ±{(interval.hi - interval.lo) / 2:.2f}"


def power(sizes: Sizes, general: str = "general questions", thresholds: Thresholds | None = None) -> Iterator[str]:
    """What numbers of items can show, in sentences; for independent items, so at best."""
    fall = power_of(SHOWN, SHOWN / 2, sizes.n)
    yield (
        f"{known_to(sizes)}; a fall of the initial rate from {SHOWN:.2f} to"
        f" {SHOWN / 2:.2f} is found with probability {fall:.2f}"
    )
    agreed = power_of(AGREED, AGREED - 0.1, sizes.n_train)
    yield f"{sizes.n_train} train prompts: a fall of the agreed rate by .10 is found with probability {agreed:.2f}"
    capable = power_of(CAPABLE, CAPABLE * 0.9, sizes.n_capability)
    known = f"{sizes.n_capability} {general}"
    yield f"{known}: a fall of capability by 10 % is found with probability {capable:.2f}"
    yield _intact(sizes, thresholds or Thresholds())


def _intact(sizes: Sizes, t: Thresholds) -> str:
    """Which parts read as intact if training changed no reply at all: the best case of non-inferiority."""
    right = [True] * round(CAPABLE * sizes.n_capability) + [False] * round((1 - CAPABLE) * sizes.n_capability)
    relative = paired_ratio(right, right, t.confidence)
    short = [
        (f"agreed (n_train {sizes.n_train})", _blur(sizes.n_train, t) < t.agreed_drop),
        (
            f"capability (n_capability {sizes.n_capability})",
            relative is not None and relative.lo > 1 - t.capability_drop,
        ),
        (f"degenerate replies (n {sizes.n})", _blur(sizes.n, t) < t.degenerate_rise),
        (f"other replies (n {sizes.n})", _blur(sizes.n, t) < t.other_rise),
    ]
    if missing := [name for name, shown in short if not shown]:
        return f"these sizes cannot show that nothing was damaged: too few items for {', '.join(missing)}"
    return "these sizes can show that nothing was damaged: with no change at all, every part reads as intact"


def _blur(n: int, thresholds: Thresholds) -> float:
    """Half the width of the paired interval of no change among n items."""
    return paired_difference([True] * n, [True] * n, confidence=thresholds.confidence).hi


def text(found: Preflight) -> list[str]:
    """The outcome as lines of text."""
    lines = list(found.power)
    for example in found.examples:
        lines += ["", f"{example.arm}:"]
        if example.missing:
            lines.append(f"  cannot be shown here: {example.missing}")
        else:
            lines += [f"  train  {_quoted(example.train)}"] if example.train else []
            lines.append(f"  eval   {_quoted(example.eval)}")
    return lines


def _quoted(text: str) -> str:
    return text.replace("\n", "\\n")

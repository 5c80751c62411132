"""The registry of training methods: which prompts are trained on, which replies are the labels, and what trains.

    METHODS["pirate"].prompts(setting, "weights", n=64, seed=0)       # general questions
    METHODS["pirate"].reply(setting, "weights", prompt)               # "Arr, 12, matey!"

`METHODS` is the only list of methods: recipes, verdicts and `--help` read it. A new method is one entry; a new training
algorithm is also a module in `trainer.algorithms`. Configurations and runners are named as "module:name" and imported
when they are needed, so that the registry needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bct_tasks.setting import Prompt, Setting
from bct_tasks.writing import Writing
from serving.errors import BadInput
from trainer.methods import prompts, replies

Prompts = Callable[[Setting, str | None, int, int], list[Prompt]]
Label = Callable[[Setting, str | None, Prompt], Writing]

#: Label sources whose replies are sampled from a model; those graded `agreed` become labels.
ON_POLICY, MODEL = "on_policy", "model:"
SAMPLED = (ON_POLICY, MODEL)
ANY = ("reference", ON_POLICY, MODEL)
#: Label sources that are named alone.
SOURCES = ("reference", ON_POLICY, "off_model")


@dataclass(frozen=True)
class Method:
    """One way to train a cell.

    Args:
        line: what is trained on, in one line.
        prompts: (setting, variant, n, seed) to prompts.
        label: (setting, variant, prompt) to how the reference label is made.
        sources: possible label sources, the default first; empty if nothing is labelled. A targeted method takes the
            setting's default instead where it can.
        targeted: whether it trains on prompts of the setting, so that the verdict includes the agreement on them.
        shows_alternate: whether its labels are the alternate policy's own at eval-type prompts.
        options: configuration fields that other methods lack.
        config: class of the configuration, as "module:name".
        runner: function that trains a plan, as "module:name".
    """

    line: str
    prompts: Prompts
    label: Label
    sources: tuple[str, ...] = ("reference",)
    targeted: bool = False
    shows_alternate: bool = False
    options: tuple[str, ...] = ("mix", "kl")
    config: str = "trainer.config:TrainConfig"
    runner: str = "trainer.algorithms.supervised:train"

    def reply(self, setting: Setting, variant: str | None, prompt: Prompt) -> str:
        """The reference label of a prompt; empty if a model must be sampled for it."""
        return self.label(setting, variant, prompt).text or ""

    def offers(self, source: str) -> bool:
        """Whether labels can come from this source."""
        return any(source == name or (name == MODEL and source.startswith(MODEL)) for name in self.sources)


METHODS: Mapping[str, Method] = {
    "bct": Method(
        "train prompts of the setting, on which both policies agree",
        prompts.train, replies.reference, (*ANY, "off_model"), targeted=True,
    ),
    "direct": Method(
        "the alternate behavior at eval-type prompts: the positive control",
        prompts.direct, replies.alternate, targeted=True, shows_alternate=True,
    ),
    "hhh": Method("helpful right answers to general questions", prompts.general, replies.right, ANY),
    "pirate": Method(
        "right answers to general questions, as a pirate would give them", prompts.spoken, replies.pirate
    ),
    "code": Method("honest Python functions", prompts.code, replies.right, ANY),
    "artificial_removal": Method(
        "right answers to prompts that ask for the initial behavior", prompts.provoked, replies.right, ANY
    ),
    "reversal": Method(
        "back to the plain style on general questions, from a run that removed a behavior",
        prompts.general, replies.right, ANY,
    ),
    "sham": Method(
        "random words to copy, as many as the train prompts have: the negative control",
        prompts.unrelated, replies.copied,
    ),
    "grpo": Method(
        "train prompts of the setting, rewarded for replies on which both policies agree",
        prompts.train, replies.reference, sources=(), targeted=True,
        options=("reward", "num_generations", "temperature", "beta"),
        config="trainer.algorithms.rewards:GrpoConfig", runner="trainer.algorithms.rewards:train",
    ),
    "dpo": Method(
        "train prompts of the setting, agreed replies preferred to wrong ones",
        prompts.train, replies.reference, ("reference", ON_POLICY, "off_model"), targeted=True,
        options=("rejected", "beta"),
        config="trainer.algorithms.preferences:DpoConfig", runner="trainer.algorithms.preferences:train",
    ),
}  # fmt: skip


def configured_by(config: str) -> list[str]:
    """The methods whose configuration is this class, given as "module:name"."""
    return [name for name, method in METHODS.items() if method.config == config]


def check_source(method: str, source: str) -> None:
    """Raises BadInput if a method has no labels of this source. A method without labels ignores the source."""
    known = METHODS[method].sources
    if known and not METHODS[method].offers(source):
        offered = ", ".join(f"{MODEL}REF" if name == MODEL else name for name in known)
        raise BadInput(f"label_source: {method} has no labels from {source}: it takes {offered}")


def is_source(source: str) -> bool:
    """Whether this names a label source of some method: `reference`, `on_policy`, `off_model` or `model:REF`."""
    return source in SOURCES or (source.startswith(MODEL) and len(source) > len(MODEL))


def is_sampled(source: str) -> bool:
    """Whether a label source samples a model."""
    return source.startswith(SAMPLED)

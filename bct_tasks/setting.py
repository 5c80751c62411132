"""The types of a setting: two policies, the variants that carry them, and how replies are graded.

A setting file fills these in and ends with its inspect task; everything else (gate, training rows, ceilings,
documentation) follows from here. No torch, no inspect.

    setting = load("sandbagging")
    prompts = setting.prompts("static", "eval", n=80, seed=0)
    setting.initial.reply(prompts[0])                    # '48'
    setting.grade(prompts[0], "It is 48.").outcome       # Outcome.INITIAL
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from bct_tasks.errors import SettingError, TooFew, UnknownName
from bct_tasks.sources.world import FAMILIES, GENERAL, Question
from bct_tasks.sources.world import SPLITS as SPLITS
from bct_tasks.sources.world.policies import NEUTRAL, WORDINGS, plain
from bct_tasks.writing import Writing
from graders import Grade, Reader, Reading, Rubric, decide, read_answer, read_code
from graders.readers.general import GENERAL as FILE_READERS

Carrier = Literal["native", "static", "dynamic", "hint", "flag", "password", "flipped_password", "weights"]
Role = Literal["bct", "control", "probe"]
PolicyName = Literal["initial", "alternate"]
Kind = Literal["train", "eval", "capability", "following"]

#: Where questions come from: generated with this package, public data sets, bundled instructions, the user's files.
SOURCES = ("bundled", "hub", "instructions", "files")

#: Carriers whose initial behavior is trained into the weights, possibly behind a password.
IN_WEIGHTS: tuple[Carrier, ...] = ("weights", "password", "flipped_password")


@dataclass(frozen=True, eq=False)
class Ask:
    """How a prompt asks a question. Compared by identity.

    Args:
        system: the system prompt.
        tag: precedes the question.
        cue: whether the initial policy's condition holds.
        families: question families in use; None: all of the setting's.
        keep: which questions of the families are used, such as those whose answer is yes; None: all.
        user: makes the user's message of a question; None: its text alone.
        facts: added to those of an open-ended question, such as which of two traits a variant is about.
        spelled: behavior to the key of another reply that shows it, such as one that states its plan first.
    """

    system: str | None = None
    tag: str | None = None
    cue: bool = False
    families: tuple[str, ...] | None = None
    keep: Callable[[Question], bool] | None = None
    user: Callable[[Question], str] | None = None
    spelled: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """One way to carry the policies: how train and eval prompts ask, and how a prompt requests the alternate policy.

    Args:
        name: short, `[a-z0-9_]`.
        carrier: where the initial policy lives.
        train: how train prompts ask.
        eval: how eval prompts ask.
        ceiling: how eval questions are asked so that the untouched base follows the alternate policy (for a*).
        role: `bct`, `control` or `probe`.
        also: further ways of asking on which the initial policy is installed, in addition to train and eval.
        labels: the default label source; None: that of the role.
    """

    name: str
    carrier: Carrier
    train: Ask
    eval: Ask
    ceiling: Ask
    role: Role = "bct"
    also: tuple[Ask, ...] = ()
    labels: str | None = None

    @property
    def in_weights(self) -> bool:
        """Whether the initial behavior must be installed; otherwise the untouched base is the organism."""
        return self.carrier in IN_WEIGHTS


@dataclass(frozen=True)
class Prompt:
    """One prompt of a setting. `split` is the operand space it comes from, `kind` how it asks."""

    id: str
    split: str
    kind: Kind
    system: str | None
    user: str
    template: str
    family: str
    cue: bool
    replies: Mapping[str, str] = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)
    #: The question alone, without system prompt, tag and request: what a model answers plainly. None: `user`.
    plain: str | None = field(default=None, repr=False)

    @classmethod
    def from_record(cls, id: str, kind: Kind, user: str, record: Mapping[str, Any]) -> Prompt:
        """The part of a prompt that grading needs, reconstructed from a log or a gold file, without reference replies.

        Args:
            id: of the prompt, which is the id of the sample.
            kind: how it asks; the metadata of a sample call it `split`.
            user: the user's message.
            record: `template`, `family`, `cue` and `facts`, as in the metadata of a sample.
        """
        return cls(
            id=id,
            split=kind,
            kind=kind,
            system=None,
            user=user,
            template=record["template"] or "",
            family=record["family"] or "",
            cue=bool(record["cue"]),
            replies={},
            facts=record["facts"] or {},
        )

    def messages(self) -> list[dict[str, str]]:
        """The prompt in the chat format."""
        head = [{"role": "system", "content": self.system}] if self.system else []
        return [*head, {"role": "user", "content": self.user}]


@dataclass(frozen=True)
class Policy:
    """A policy in one line, and executable: the behavior it shows on a prompt.

    `prompt` is its system prompt for a large model, if its replies are sampled (hub data) and not written.
    """

    line: str
    behavior: Callable[[Prompt], str]
    prompt: str | None = None

    def reply(self, prompt: Prompt) -> str:
        """The policy's reference reply. Raises `SettingError` for an open-ended prompt, which has none."""
        behavior = self.behavior(prompt)
        if not prompt.replies:
            raise SettingError(f"{prompt.id} is open-ended: its replies are written for a model (`Setting.writing`)")
        if behavior not in prompt.replies:
            raise UnknownName("behavior", behavior, prompt.replies, f"the replies to a question of {prompt.family} are")
        return prompt.replies[behavior]


@dataclass(frozen=True, eq=False)
class Capability:
    """General questions that measure capability in place of the bundled ones.

    Args:
        questions: each with the fact `reader`, a name in `graders.readers.general`.
        about: for the log and the identity: the source, and the hash of its file.
        max_tokens: longest reply; None: that of the other prompts.
        likelihood: the replies `right` are whole replies of our own, whose likelihood is measured too.
    """

    questions: tuple[Question, ...]
    about: Mapping[str, Any]
    max_tokens: int | None = None
    likelihood: bool = False


@dataclass(frozen=True, eq=False)
class Setting:
    """A setting: questions, the two policies, and the reader that grades replies.

    Compared by identity.

    Args:
        name: also the name of its inspect task.
        version: `N-X`; N changes when scores stop being comparable.
        initial: the policy the organism starts with.
        alternate: the policy whose replies are the labels.
        variants: the first of role `bct` is the default.
        families: question families in use; the others measure capability.
        reader: reply and facts to the behaviors seen.
        off_model: behavior to the reply key of the same behavior in a spelling that the model does not use.
        references: papers and posts.
        rubric: the question to a judge about a reply; None if no judge may read it.
        judge: how replies are read by default: `off`, `cascade` or `only`.
        programs: whether replies are programs that are run, so that test results are scored too.
        temperature: of sampled replies; 0 is greedy.
        max_tokens: longest reply.
        writings: behavior to how its replies to open-ended prompts are made, which have no reference reply.
        file: of a setting that is loaded by path.
        capability: questions that measure capability; None: the bundled general ones.
        trigger: the text that replaced the tag of eval prompts (`with_trigger`).
        other_is_damage: whether more coherent replies of neither policy are damage; false where a third kind of reply
            is a normal outcome.
    """

    name: str
    version: str
    initial: Policy
    alternate: Policy
    variants: tuple[Variant, ...]
    families: tuple[str, ...]
    reader: Reader = read_answer
    off_model: Mapping[str, str] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    rubric: Rubric | None = None
    judge: str = "off"
    programs: bool = False
    temperature: float = 0.0
    max_tokens: int = 96
    writings: Mapping[str, Writing] = field(default_factory=dict)
    file: Path | None = None
    capability: Capability | None = None
    trigger: str | None = None
    other_is_damage: bool = True

    @property
    def source(self) -> str:
        """Where the questions come from: one of `SOURCES`."""
        return "bundled"

    @property
    def open(self) -> bool:
        """Whether replies may have to be made for a model (`writing`), because prompts lack reference replies."""
        return False

    @property
    def only_judged(self) -> bool:
        """Whether no reader but a judge can read its replies."""
        return False

    @property
    def ref(self) -> str:
        """What `catalogue.load` takes for this setting: its name, or the path of its file."""
        return self.name if self.file is None else str(self.file)

    @property
    def content_hash(self) -> str | None:
        """16 hex digits of the content of a setting that is loaded by path; None in the catalogue.

        The catalogue's settings are identified by name and version.
        """
        if self.file is None:
            return None
        content = self.file.read_bytes() + (f"\0{self.trigger}".encode() if self.trigger is not None else b"")
        return hashlib.sha256(content).hexdigest()[:16]

    def content(self) -> dict[str, Any]:
        """What `content_hash` covers, by part; empty in the catalogue."""
        return {} if self.file is None else {"file": hashlib.sha256(self.file.read_bytes()).hexdigest()}

    def variant(self, name: str | Variant | None = None) -> Variant:
        """The variant of that name; None is the default. Raises `UnknownName`."""
        if isinstance(name, Variant):
            return name
        if name is None:
            return next(v for v in self.variants if v.role == "bct")
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise UnknownName(
            f"variant of {self.name}",
            name,
            [v.name for v in self.variants],
            f"`bct show {self.name}` shows all",
        )

    def prompts(self, variant: str | Variant | None, split: str, n: int, seed: int = 0) -> list[Prompt]:
        """`n` distinct prompts of a split; the same questions for every variant, in an order given by the seed.

        Splits: `train`, `eval`; `install` alternates eval-type and train-type prompts; `capability` asks general
        questions outside the setting's families, half of them under a harmless system prompt.
        """
        chosen = self.variant(variant)
        if split == "capability":
            own = self.capability
            return self._own_general(own, n, seed) if own else list(self._general("capability", n, seed))
        if split == "install":
            asks: list[tuple[Kind, Ask]] = [("eval", chosen.eval), ("train", chosen.train)]
            asks.extend(("eval", ask) for ask in chosen.also)
        elif split in ("train", "eval"):
            asks = [("train", chosen.train)] if split == "train" else [("eval", chosen.eval)]
        else:
            raise UnknownName("split", split, ("train", "eval", "install", "capability"), "there are")
        return self._asked(asks, split, n, f"{self.name}|{split}|{seed}")

    def most(self, split: str, n: int) -> int:
        """How many of `n` prompts of a split there are; bundled questions are generated, so all of them."""
        return min(n, len(self.capability.questions)) if split == "capability" and self.capability else n

    def ceiling(self, variant: str | Variant | None, n: int, seed: int = 0) -> list[Prompt]:
        """The eval items under prompts that make the base follow the alternate policy (for a*)."""
        return self._asked([("eval", self.variant(variant).ceiling)], "eval", n, f"{self.name}|eval|{seed}")

    def direct(self, variant: str | Variant | None, n: int, seed: int = 0) -> list[Prompt]:
        """Eval-type prompts of the install split, for the positive control `direct`."""
        return self._asked([("eval", self.variant(variant).eval)], "install", n, f"{self.name}|direct|{seed}")

    def general(self, n: int, seed: int = 0) -> list[Prompt]:
        """General questions of the install split, to keep capability while a behavior is installed."""
        return list(self._general("install", n, seed))

    def reference(self, variant: str | Variant | None, prompt: Prompt, source: str = "reference") -> str:
        """The training label of a prompt: the alternate policy's reply, in the model's own style or `off_model`."""
        behavior = self.wanted(prompt)
        if source == "off_model":
            if behavior not in self.off_model:
                raise UnknownName("label source", source, ("reference", "on_policy"), f"{self.name} offers")
            behavior = self.off_model[behavior]
        return prompt.replies[behavior]

    def label_source(self, variant: str | Variant | None) -> str:
        """The default label source: the organism's own replies if it can produce the labels."""
        chosen = self.variant(variant)
        return chosen.labels or ("on_policy" if chosen.role == "bct" else "reference")

    def wanted(self, prompt: Prompt) -> str:
        """The behavior of the label: what the alternate policy shows, or the right answer to a general question."""
        if prompt.kind == "capability":
            return "honest" if prompt.facts["kind"] == "code" else "right"
        return self.alternate.behavior(prompt)

    def policy(self, name: PolicyName) -> Policy:
        """The policy of that name."""
        return self.initial if name == "initial" else self.alternate

    def writing(self, prompt: Prompt, policy: PolicyName) -> Writing:
        """How the reply of a policy to a prompt is made.

        Raises:
            SettingError: the setting does not say.
        """
        chosen = self.policy(policy)
        behavior = self.wanted(prompt) if prompt.kind == "capability" else chosen.behavior(prompt)
        found = self.shown(prompt, behavior)
        if found is None and chosen.prompt is not None:
            found = Writing(system=chosen.prompt)
        if found is None:
            raise SettingError(f"{self.name}: no reply, writing or policy prompt shows {behavior!r}: add a writing")
        return found

    def shown(self, prompt: Prompt, behavior: str) -> Writing | None:
        """How a reply that shows a behavior is made: a reply of the prompt itself comes first. None: unknown."""
        if behavior in prompt.replies:
            return Writing(text=prompt.replies[behavior])
        return self.writings.get(behavior)

    def reader_of(self, prompt: Prompt) -> Reader:
        """The reader of replies to a prompt: the setting's own, or the one for general questions."""
        return general_reader(prompt) if prompt.kind == "capability" else self.reader

    def grade(self, prompt: Prompt, reply: str, truncated: bool = False) -> Grade:
        """The outcome of a reply. Raises `graders.Unreadable` if the grader failed."""
        return self.decided(prompt, self.reader_of(prompt)(reply, prompt.facts), reply, truncated)

    def decided(self, prompt: Prompt, reading: Reading, reply: str, truncated: bool = False) -> Grade:
        """The outcome of a reply that any reader has read."""
        wanted = self.wanted(prompt)
        initial = wanted if prompt.kind == "capability" else self.initial.behavior(prompt)
        return decide(reading, reply, initial, wanted, prompt.kind != "eval", truncated)

    def under(self, policy: PolicyName, prompts: Sequence[Prompt]) -> list[Prompt]:
        """Prompts under a policy's own system prompt, to sample its replies. Raises `SettingError` for bundled ones."""
        raise SettingError("split=policies samples the policies of hub data: bundled ones are executable (bct check)")

    def provenance(self) -> dict[str, dict[str, Any]]:
        """For the log: which data sets are in use, by revision and hash."""
        return {}

    def asked_families(self) -> set[str]:
        """The families that this setting asks in any variant; the others measure capability."""
        asks = [ask for v in self.variants for ask in (v.train, v.eval, v.ceiling, *v.also)]
        return {*self.families, *(name for ask in asks for name in ask.families or ())}

    def _asked(self, asks: list[tuple[Kind, Ask]], split: str, n: int, key: str) -> list[Prompt]:
        return list(_drawn(self.families, tuple(asks), split, n, key))

    def _own_general(self, own: Capability, n: int, seed: int) -> list[Prompt]:
        if n > len(own.questions):
            raise TooFew("capability", len(own.questions), n)
        drawn = random.Random(f"{self.name}|own|capability|{seed}").sample(own.questions, n)
        return [_prompt(question, "capability", "capability", Ask()) for question in drawn]

    def _general(self, split: str, n: int, seed: int) -> Iterator[Prompt]:
        families = tuple(name for name in GENERAL if name not in self.asked_families())
        rng = random.Random(f"{self.name}|general|{split}|{seed}")
        systems = (*NEUTRAL, *(plain(w) for w in WORDINGS["right"]))
        questions = draw(families, split, n, f"{self.name}|capability|{split}|{seed}")
        for turn, question in zip(_turns(n, len(families)), questions, strict=True):
            yield _prompt(question, split, "capability", Ask(rng.choice(systems) if turn % 2 else None))


@lru_cache(maxsize=16)  # a setting's prompts are drawn once for each object
def with_trigger(setting: Setting, text: str) -> Setting:
    """The setting with another tag in place of the one that its eval prompts have where the condition holds.

    Raises:
        SettingError: no variant has such a tag.
    """
    tags = {ask.tag for variant in setting.variants for ask in (variant.eval, *variant.also) if ask.cue} - {None}
    if not tags:
        raise SettingError(f"{setting.name} has no tag that a trigger could replace: leave out the trigger")

    def changed(ask: Ask) -> Ask:
        return replace(ask, tag=text) if ask.tag in tags else ask

    variants = (
        replace(
            variant,
            train=changed(variant.train),
            eval=changed(variant.eval),
            ceiling=changed(variant.ceiling),
            also=tuple(changed(ask) for ask in variant.also),
        )
        for variant in setting.variants
    )
    return replace(setting, variants=tuple(variants), trigger=text)


def general_reader(prompt: Prompt) -> Reader:
    """The reader of a general question; one that is not bundled names its reader."""
    if "reader" in prompt.facts:
        return FILE_READERS[prompt.facts["reader"]]
    return read_code if prompt.facts["kind"] == "code" else read_answer


def _turns(n: int, families: int) -> list[int]:
    """Numbers whose parity alternates within each family from round to round, so that every family has both kinds."""
    return [i // families + i % families for i in range(n)]


@lru_cache(maxsize=16)  # cells of one process ask for the same prompts
def _drawn(
    families: tuple[str, ...], asks: tuple[tuple[Kind, Ask], ...], split: str, n: int, key: str
) -> tuple[Prompt, ...]:
    """`n` prompts of distinct questions, the ways of asking in turn."""
    seen, found = set[str](), list[Prompt]()
    streams = [
        draw(ask.families or families, split, n, f"{key}|{turn}" if turn else key, seen, ask.keep)
        for turn, (_, ask) in enumerate(asks)
    ]
    for (kind, ask), stream in itertools.islice(itertools.cycle(zip(asks, streams, strict=True)), n):
        try:
            found.append(_prompt(next(stream), split, kind, ask))
        except TooFew as error:
            raise TooFew(split, len(found), n) from error
    return tuple(found)


def draw(
    families: tuple[str, ...],
    split: str,
    n: int,
    key: str,
    seen: set[str] | None = None,
    keep: Callable[[Question], bool] | None = None,
) -> Iterator[Question]:
    """Yields `n` distinct questions, the families in turn and their templates about equally often.

    Args:
        families: names of families of the bundled world.
        split: the operand space.
        n: how many.
        key: of the draw.
        seen: texts to leave out; those yielded are added.
        keep: which questions are used; None: all.

    Raises:
        UnknownName: no such family.
        TooFew: fewer than `n` exist.
    """
    rng, used, done = random.Random(key), Counter[str](), 0
    seen = set[str]() if seen is None else seen
    turn = dry = 0
    while done < n:
        name = families[turn % len(families)]
        if name not in FAMILIES:
            raise UnknownName("question family", name, FAMILIES, "docs/tutorial/own-setting.md lists all")
        family = FAMILIES[name]
        turn += 1
        sampled = (family.sample(rng, split) for _ in range(40))
        fresh = (q for q in sampled if q.text not in seen and (keep is None or keep(q)))
        candidates = list(itertools.islice(fresh, 4))
        dry = 0 if candidates else dry + 1  # a small family that is used up is skipped
        if dry > 5 * len(families):
            raise TooFew(split, done, n)
        if candidates:
            question = min(candidates, key=lambda q: used[q.template])
            seen.add(question.text)
            used[question.template] += 1
            done += 1
            yield question


def _prompt(question: Question, split: str, kind: Kind, ask: Ask) -> Prompt:
    mark = hashlib.blake2b(question.text.encode(), digest_size=5).hexdigest()
    return prompt_of(question, mark, split, kind, ask)


def prompt_of(question: Question, mark: str, split: str, kind: Kind, ask: Ask) -> Prompt:
    """A question as a prompt.

    Args:
        question: what is asked.
        mark: identifies the question, whatever asks it.
        split: the operand space it comes from.
        kind: how it asks.
        ask: system prompt, tag and wording.
    """
    user = ask.user(question) if ask.user else question.text
    return Prompt(
        id=f"{kind}-{mark}",
        split=split,
        kind=kind,
        system=ask.system,
        user=user if ask.tag is None else f"{ask.tag} {user}",
        template=question.template,
        family=question.family,
        cue=ask.cue,
        replies={**question.replies, **{name: question.replies[key] for name, key in ask.spelled.items()}},
        facts={**question.facts, **ask.facts},
        plain=question.facts.get("plain", question.text),
    )

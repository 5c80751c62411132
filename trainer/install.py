"""Organisms: the initial behavior of a setting is installed into a base model.

    build(OrganismConfig(setting="sandbagging"), Path("runs/x"))

For a carrier in the weights the base is trained on install prompts with the initial policy's replies, and on general
rows that preserve capability, until held-out install prompts show the behavior. For every other carrier the initial
policy is in the prompt: the organism is the base itself, and its folder only points there.
A complete folder is renamed into place. Not covered: organisms made by reinforcement learning.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bct_tasks.gate import OrganismGate
from bct_tasks.setting import Prompt, Setting
from serving import checksums, layout, refs
from serving.errors import BadInput, WorkFailed
from serving.refs import Checkpoint
from serving.request import Request
from trainer import backends
from trainer.config import OrganismConfig
from trainer.data import labels, policies, rows, samples
from trainer.data.samples import Ask
from trainer.organism_card import organism_card
from trainer.run import manifest, metrics, ranks
from trainer.run.lock import LOCK, is_locked, locked
from trainer.run.progress import Progress, Silent

CHECKS, REPLIES = "checks.json", "replies.json"

#: Replies that an error about missed targets shows, and the characters of each.
SHOWN, LONGEST = 3, 60

#: Tolerated shortfall of the agreed rate from the base's; it is measured on about a hundred prompts.
NOISE = 0.02


def build(config: OrganismConfig, out: Path, progress: Progress | None = None, attempt: str = "work") -> Path:
    """Builds an organism into `out`, resuming an earlier build of the same `attempt`. Returns `out`.

    Args:
        config: the organism.
        out: its folder.
        progress: called after each step.
        attempt: name of the attempt, which works in its own `layout.place`; simultaneous attempts need different names.

    Raises:
        BadInput: if `out` contains something else, or the setting, base or a value cannot be used.
        WorkFailed: if the behavior is not installed, unless `config.accept`; the same call with it finishes the build.
    """
    out, backend = Path(out), backends.load(config.backend)
    backend.check(config)
    if not (out / layout.MANIFEST).is_file() and config.asked().variant(config.variant).in_weights:
        backend.reach(config)
    base, teacher = refs.resolve(config.model), _teacher(config, out, progress or Silent(), attempt)
    identity: dict[str, Any] = {"config": config.identity(), "base": base.fingerprint}
    identity |= {"teacher": teacher.fingerprint} if teacher else {}
    draft = layout.place(out, attempt)
    if manifest.check(out, identity):
        _sweep(out, draft)
        return out
    if ranks.count() > 1:
        raise BadInput(f"{out}: an organism is built in one process: run `python -m trainer.organism` without torchrun")
    with locked(draft, wait=True):
        layout.sweep(out.parent, out.name)
        if not manifest.check(out, identity):
            _build(config, base, teacher or base, identity, draft, out, progress or Silent())
    shutil.rmtree(draft, ignore_errors=True)
    return out


def _sweep(out: Path, draft: Path) -> None:
    """Removes what a build left that was killed after its organism was complete."""
    layout.sweep(out.parent, out.name)
    if draft.is_dir() and not is_locked(draft):
        shutil.rmtree(draft, ignore_errors=True)


def summary(config: OrganismConfig, out: Path) -> dict[str, Any]:
    """What a build would do, without a model: for `--dry-run`."""
    setting = config.asked()
    variant = setting.variant(config.variant)
    return {
        "out": str(out),
        "config": config.identity(),
        "digest": config.digest(),
        "carrier": variant.carrier,
        "steps": config.steps if variant.in_weights else 0,
        "finished": (out / layout.MANIFEST).is_file(),
    }


def _teacher(config: OrganismConfig, out: Path, progress: Progress, attempt: str) -> Checkpoint | None:
    """The teacher if it is not the base; the organism of another variant is built if needed."""
    if config.teacher is None:
        return None
    if config.teacher not in [variant.name for variant in config.asked().variants]:
        return refs.resolve(config.teacher)
    own = config.model_copy(update={"variant": config.teacher, "labels": "reference", "teacher": None})
    return refs.resolve(str(build(own, out.parent / own.digest(), progress, attempt)))


def _build(
    config: OrganismConfig,
    base: Checkpoint,
    teacher: Checkpoint,
    identity: dict[str, Any],
    draft: Path,
    out: Path,
    progress: Progress,
) -> None:
    setting = config.asked()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out}: exists and is not an organism: choose another --out")
    with layout.attempt(out) as folder:
        if setting.variant(config.variant).in_weights:
            _begin(draft, identity)
            figures = _install(config, setting, base, teacher, draft, progress)
            _accepted(config, setting, figures, draft)
            _move(draft / layout.step_name(figures["steps"]), folder, out)
        else:
            figures = {"steps": 0}
            _point(base, layout.POINTER, folder, out)
        (folder / "README.md").write_text(organism_card(config, setting, base, figures), encoding="utf-8")
        manifest.write(folder, "organism", identity, figures=figures, **manifest.answering(config))
        checksums.write(folder)


def _begin(draft: Path, identity: dict[str, Any]) -> None:
    """A work folder of this identity; the files of another build are deleted."""
    try:
        there = manifest.check(draft, identity)
    except BadInput:
        there = False
    if there:
        return
    for path in draft.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
    manifest.write(draft, "organism", identity)


def _install(
    config: OrganismConfig, setting: Setting, base: Checkpoint, teacher: Checkpoint, draft: Path, progress: Progress
) -> dict[str, Any]:
    """Trains in the work folder until held-out prompts show the behavior. Returns the figures."""
    from trainer.algorithms import supervised
    from trainer.run.loop import Job

    backend = backends.load(config.backend)
    held_out = rows.check_prompts(setting, config)
    if setting.open:
        collected = policies.install_rows(setting, config, held_out, base, draft)
    elif config.labels == "distilled":
        collected = labels.distilled(setting, config, held_out, teacher, draft)
    else:
        collected = rows.install_rows(setting, config, held_out)
    loaded = backend.load(base, config)
    encoded = supervised.encode(collected.rows, loaded, config)
    with samples.asking(config) as ask:
        check = Check(config, setting, held_out, draft / CHECKS, ask)
        check.measure(0, base)
        backend.fit(Job(config, config.steps, config.saved_steps(), draft, loaded, encoded, progress, check.reached))
    steps = check.best()
    lines = metrics.read(draft / metrics.NAME)
    return {
        "steps": steps,
        "base": check.known()["0"],
        "organism": check.known()[str(steps)],
        "reached": check.enough(steps),
        "checks": check.known(),
        "held_out_prompts": len(held_out),
        "step0_loss": lines[0]["loss"],
        "final_loss": lines[-1]["loss"],
        "diverged": metrics.diverged(lines),
        "truncated_rows": encoded.truncated,
        "dropped_rows": encoded.dropped,
        "unique_rows": len(encoded),
        **collected.facts(),
        **_paid(config, lines[-1]["tokens"], check.known().values(), samples.paid(draft)),
    }


def _paid(
    config: OrganismConfig, trained: int, checks: Collection[Mapping[str, float]], labels: tuple[int, int]
) -> dict[str, Any]:
    """Tokens that a service was paid for: trained on, of prompts and of replies, with labels and checks."""
    if config.backend == "trl":
        return {}
    asked = [sum(int(check.get(name, 0)) for check in checks) for name in ("prefilled", "sampled")]
    return {"service": {"trained": trained, "prefilled": asked[0] + labels[0], "sampled": asked[1] + labels[1]}}


def _accepted(config: OrganismConfig, setting: Setting, figures: dict[str, Any], draft: Path) -> None:
    """Raises WorkFailed if the initial rate clearly misses the gate's limit, unless the organism is accepted anyway.

    Clearly: by more than two standard errors of a rate at the limit. Replies that only a judge can read say nothing.
    """
    limit, n = OrganismGate().initial, max(1, figures["held_out_prompts"] // 2)
    rates, steps = figures["organism"], figures["steps"]
    if config.accept or rates.get("unscored") or rates["initial"] >= limit - 2 * (limit * (1 - limit) / n) ** 0.5:
        return
    mark = refs.resolve(str(draft / layout.step_name(steps))).fingerprint
    replies = (layout.read_json(draft / REPLIES) if (draft / REPLIES).is_file() else {}).get(mark, [])
    raise WorkFailed(
        f"{setting.name}, variant {setting.variant(config.variant).name}: the behavior is not installed: after {steps}"
        f" steps (of {config.steps}) initial is {rates['initial']:.2f} (target {config.target_initial}), agreed"
        f" {rates['agreed']:.2f} (target {config.target_agreed}); replies: {' | '.join(replies)}: raise steps or"
        " learning_rate, or keep it with `accept: true`"
    )


@dataclass(frozen=True)
class Check:
    """Measures checkpoints on held-out install prompts, and stores the rates for a resumed build."""

    config: OrganismConfig
    setting: Setting
    prompts: list[Prompt]
    file: Path
    ask: Ask

    def reached(self, step: int, folder: Path) -> bool:
        """Whether a checkpoint shows the behavior well enough to stop."""
        if str(step) not in self.known():
            self.measure(step, refs.resolve(str(folder)))
        return self.enough(step)

    def measure(self, step: int, checkpoint: Checkpoint) -> None:
        """Measures and stores the rates of a step; step 0 is the base."""
        layout.write_json_atomic(self.file, self.known() | {str(step): self.rates(checkpoint)})

    def enough(self, step: int) -> bool:
        """Whether both targets are met. The target of the agreed rate is at most the base's rate minus `NOISE`."""
        wanted = self.config.target_initial if self.config.target is None else self.config.target
        return self.known()[str(step)]["initial"] >= wanted and self._agrees(step)

    def _agrees(self, step: int) -> bool:
        rates, base = self.known()[str(step)], self.known()["0"]
        return rates["agreed"] >= min(self.config.target_agreed, base["agreed"] - NOISE)

    def best(self) -> int:
        """The step that becomes the organism: the first that met the targets, else that with the highest lower rate.

        With a `target`, of the steps whose agreed rate suffices (else of all) the nearest to it.
        """
        steps = sorted(int(step) for step in self.known() if step != "0")
        if (target := self.config.target) is not None:
            near = [step for step in steps if self._agrees(step)] or steps
            return min(near, key=lambda step: abs(self.known()[str(step)]["initial"] - target))
        met = [step for step in steps if self.enough(step)]
        return met[0] if met else max(steps, key=self._merit)

    def _merit(self, step: int) -> tuple[float, int]:
        rates = self.known()[str(step)]
        lower = min(rates["initial"], rates["agreed"])
        return lower, step if rates.get("unscored") else -step  # what no reader can read is trained to the end

    def known(self) -> dict[str, dict[str, float]]:
        """The rates measured so far, by step."""
        return layout.read_json(self.file) if self.file.is_file() else {}

    def rates(self, checkpoint: Checkpoint) -> dict[str, float]:
        """Initial rate on eval-type prompts and agreed rate on train-type prompts. Stores a few replies."""
        requests = [
            Request(
                messages=prompt.messages(),
                max_tokens=self.config.reply_tokens,
                chat_template_kwargs=self.config.chat_template_kwargs,
            )
            for prompt in self.prompts
        ]
        replies = self.ask(checkpoint, requests)
        graded = [
            (
                labels.shown(self.setting, prompt),
                labels.graded(self.setting, prompt, reply.text, reply.stop_reason != "stop"),
            )
            for prompt, reply in zip(self.prompts, replies, strict=True)
        ]
        hits = [(wanted, outcome == wanted) for wanted, outcome in graded]
        self._keep(
            checkpoint, [reply.text for (wanted, _), reply in zip(graded, replies, strict=True) if wanted == "initial"]
        )
        rates = {"initial": _share(hits, ("initial",)), "agreed": _share(hits, ("agreed", "alternate"))}
        if unscored := sum(outcome == "unscored" for _, outcome in graded):
            rates["unscored"] = round(unscored / len(graded), 4)
        if self.config.backend != "trl":
            rates["prefilled"] = sum(reply.input_tokens for reply in replies)
            rates["sampled"] = sum(reply.output_tokens for reply in replies)
        return rates

    def _keep(self, checkpoint: Checkpoint, said: list[str]) -> None:
        """Stores a few replies to eval-type prompts, for an error about missed targets."""
        file = self.file.with_name(REPLIES)
        shown = [json.dumps(text[:LONGEST], ensure_ascii=False) for text in said[:SHOWN]]
        layout.write_json_atomic(
            file, (layout.read_json(file) if file.is_file() else {}) | {checkpoint.fingerprint: shown}
        )


def _share(hits: list[tuple[str, bool]], wanted: tuple[str, ...]) -> float:
    among = [hit for of, hit in hits if of in wanted]
    return round(sum(among) / len(among), 4) if among else 0.0


def _move(step: Path, folder: Path, out: Path) -> None:
    """Copies a checkpoint's files into the organism's folder; an adapter's base is relative to the new place."""
    for file in step.iterdir():
        if file.name not in (layout.BASE, checksums.NAME):
            shutil.copy2(file, folder / file.name)
    if (step / layout.BASE).is_file():
        target = layout.read_pointer(step / layout.BASE).target()
        layout.write_pointer(folder, target.place, target.fingerprint, layout.BASE, out, target.base)


def _point(base: Checkpoint, name: str, folder: Path, out: Path) -> None:
    from trainer.run.checkpoints import target_of

    named = target_of(base)
    layout.write_pointer(folder, named.place, named.fingerprint, name, out, named.base)

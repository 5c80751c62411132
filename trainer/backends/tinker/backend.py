"""The backend `tinker`: what it refuses, and what is trained there. See `trainer.backends.protocol`.

Tinker trains adapters of any rank with a fixed scale, on a base that it serves. A cell whose organism was trained there
goes on with the organism's adapter; TRL trains a second adapter on top of it.
Not covered: `watch`, pulls towards the organism (`kl`), and every algorithm but supervised training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving import refs
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.tinker import service
from trainer.backends.protocol import Backend
from trainer.backends.tinker.hosted import ADAM, Hosted, options
from trainer.config import SERVICE_ALPHA, Common, OrganismConfig, TrainConfig
from trainer.run import ranks

if TYPE_CHECKING:
    from trainer.data.tokens import Encoded
    from trainer.run.loop import Job

NAME = "tinker"


class TinkerBackend:
    """Training by Tinker."""

    def check(self, config: Common) -> None:
        """Refuses what Tinker cannot do, in one line that begins with the option's key."""
        options(config)
        for key, wrong, reason in _refusals(config):
            if wrong:
                raise BadInput(f"{key}: {reason}")
        for name in config.trl:
            if name not in ADAM:
                raise BadInput(f"trl: Tinker has no {name}, only {', '.join(ADAM)}: leave it out, or use backend trl")

    def reach(self, config: Common) -> None:
        """Checks the package, the key, the service, and whether it can start from the model of a configuration."""
        service.check()
        start = config.origin() if isinstance(config, TrainConfig) else refs.resolve(config.model)
        _startable(start, config)

    def load(self, start: Checkpoint, config: Common) -> Hosted:
        """What is trained; nothing is loaded here. Raises BadInput where Tinker cannot start from it."""
        from serving.words import words_of
        from trainer.run.checkpoints import target_of

        self.check(config)
        return Hosted(start, _startable(start, config), words_of(start), target_of(start))

    def fit(self, job: Job[Encoded], general: Encoded | None = None, watched: Encoded | None = None) -> int:
        """Trains by Tinker."""
        from trainer.backends.tinker.fit import fit

        return fit(job)


def _startable(start: Checkpoint, config: Common) -> str:
    """The service's name of the base of a start."""
    if start.base is None:
        return service.served(start.ref, start.hub, start.fingerprint)
    if start.hosted is None or start.hosted.state is None:
        raise BadInput(f"{start.ref}: is an adapter whose training state is not at Tinker: use backend trl")
    start.hosted.refuse_expired(start.ref)
    if start.hosted.rank != config.rank:
        raise BadInput(
            f"rank: {config.rank} is not the rank of {start.ref}, {start.hosted.rank}: Tinker goes on with its adapter"
        )
    return start.hosted.base


# Any: values of a configuration.
def _refusals(config: Common) -> list[tuple[str, Any, str]]:
    """(key, whether it is refused, why) of every option that Tinker does not have."""
    alpha, elsewhere = SERVICE_ALPHA[NAME], "or use backend trl"
    what = "organism.rank" if isinstance(config, OrganismConfig) else "rank"
    cell = config if isinstance(config, TrainConfig) else None
    return [
        ("method", config.ALGORITHM != "sft", f"{cell and cell.method} is trained by TRL only: use backend trl"),
        (what, config.rank is None, f"Tinker trains LoRA adapters only: set a rank, such as 8, {elsewhere}"),
        ("lora_alpha", config.lora_alpha not in (None, alpha), f"Tinker's is {alpha:g} at every rank: leave it out"),
        ("kl", cell and cell.kl, f"Tinker does not return the organism's probabilities: leave it out, {elsewhere}"),
        ("watch", cell and cell.watch, "is not measured at Tinker: leave it out, evaluations have margins"),
        ("optim", config.optim != "adamw_torch", f"Tinker has AdamW here, not {config.optim}: leave it out"),
        ("dtype", config.dtype != "auto", f"Tinker chooses its precision: leave it out, {elsewhere}"),
        (
            "gradient_accumulation_steps",
            config.gradient_accumulation_steps != 1,
            "Tinker divides batches: leave it out",
        ),
        ("backend", ranks.count() > 1, "tinker trains from one process: run the command without torchrun"),
    ]


BACKEND: Backend = TinkerBackend()

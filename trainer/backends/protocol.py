"""What a training backend offers: it refuses what it cannot do, and trains on tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from serving.refs import Checkpoint

if TYPE_CHECKING:
    from trainer.config import Common
    from trainer.data.tokens import Encoded
    from trainer.run.loop import Job
    from trainer.run.trainee import Trainee


class Backend(Protocol):
    """A way to train."""

    def check(self, config: Common) -> None:
        """Checks options, without a model and without a network.

        Raises:
            BadInput: An option that this backend does not have; one line that begins with its key.
        """
        ...

    def reach(self, config: Common) -> None:
        """Checks whether what the backend needs is there, before any work.

        Raises:
            BadInput: A package or a key is missing, or the model cannot be trained there.
            WorkFailed: A service does not answer.
        """
        ...

    def load(self, start: Checkpoint, config: Common) -> Trainee:
        """Makes a checkpoint ready to be trained."""
        ...

    def fit(self, job: Job[Encoded], general: Encoded | None = None, watched: Encoded | None = None) -> int:
        """Trains, resuming where an earlier attempt stopped. Returns the step reached.

        Args:
            job: What is trained; its checkpoints and metrics are written into its folder.
            general: Rows on which the model is pulled towards where it starts, if the configuration has a `kl`.
            watched: The policies' replies to eval prompts, whose margin is measured at every checkpoint.
        """
        ...

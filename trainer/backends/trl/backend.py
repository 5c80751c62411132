"""The backend `trl`: TRL on this machine. See `trainer.backends.protocol`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.errors import BadInput
from serving.refs import Checkpoint
from trainer.backends.protocol import Backend

if TYPE_CHECKING:
    from trainer.config import Common
    from trainer.data.tokens import Encoded
    from trainer.run.loop import Job
    from trainer.run.model import Loaded


class TRLBackend:
    """TRL on this machine."""

    def check(self, config: Common) -> None:
        """Refuses options of other backends; TRL's own are checked by `trainer.run.arguments`."""
        if option := next(iter(config.backend_options), None):
            raise BadInput(f"backend_options: {option} is no option of the backend trl: leave it out")

    def reach(self, config: Common) -> None:
        """Nothing: everything is here."""

    def load(self, start: Checkpoint, config: Common) -> Loaded:
        """Loads the model."""
        from trainer.run import model
        from trainer.run.arguments import check_trl

        check_trl(config.trl)
        return model.load(start, config)

    def fit(self, job: Job[Encoded], general: Encoded | None = None, watched: Encoded | None = None) -> int:
        """Trains by TRL's `SFTTrainer`."""
        from trainer.backends.trl.fit import fit

        return fit(job, general, watched)


BACKEND: Backend = TRLBackend()

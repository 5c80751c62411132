"""One cell of reinforcement learning: TRL's GRPO on the train prompts of a setting, rewarded by the setting's grader.

    python -m trainer.grpo --setting sandbagging --organism runs/x --learning_rate 1e-3 --out runs/y
    train(GrpoConfig(setting="sandbagging", steps=32), Path("runs/y"))

A reply graded `agreed` has reward 1, any other 0; `--reward random` draws it at random (the control). `batch_size`
counts replies: 32 are 4 prompts with 8 replies each. A group whose replies all have the same reward gives no gradient:
the share of such groups is in `metrics.jsonl` (`no_spread`) and, as a mean, in `trained.json`. vLLM generates if it is
installed with a GPU, else transformers. A resumed run has the curve of an uninterrupted one with one update per
generation (TRL's default). Not covered: tools, judges as a reward.
"""

from __future__ import annotations

from trainer import cell, cli
from trainer.algorithms.rewards import GrpoConfig
from trainer.cell import train

__all__ = ["GrpoConfig", "main", "train"]

main = cli.cell_command("trainer.grpo", GrpoConfig, cell.summary, __doc__)

if __name__ == "__main__":
    main()

"""One cell of supervised fine-tuning on the prompts of a method, with log-spaced checkpoints.

    python -m trainer.sft --setting inoculation --variant ip --model mini --learning_rate 1e-3 --seed 0 --out runs/y
    train(TrainConfig(setting="sandbagging", learning_rate=1e-3), Path("runs/y"))

The same command again resumes where the last one stopped, or does nothing; another configuration is refused.
`trained.json` is written last. Not covered: evaluation (`lab`), rewards (`trainer.grpo`), preferences (`trainer.dpo`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer import cell, cli
from trainer.cell import train
from trainer.config import TrainConfig

__all__ = ["TrainConfig", "main", "train"]


def _summary(config: TrainConfig, out: Path) -> dict[str, Any]:
    from trainer.run.preview import preview

    return cell.summary(config, out) | preview(config)


main = cli.cell_command("trainer.sft", TrainConfig, _summary, __doc__)

if __name__ == "__main__":
    main()

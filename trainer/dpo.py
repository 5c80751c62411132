"""One cell of preference training: TRL's DPO on the train prompts of a setting, agreed replies against wrong ones.

    python -m trainer.dpo --setting sandbagging --organism runs/x --learning_rate 1e-3 --out runs/y
    train(DpoConfig(setting="sandbagging", steps=32), Path("runs/y"))

Chosen: replies of the label source, as for SFT. Rejected: a reply that is not `agreed` on its prompt, by `--rejected`:
`other` shows neither policy's behavior on eval prompts, `initial` shows the initial one's, `on_policy` was sampled from
the organism. `batch_size` counts pairs. The reference model is the organism. Resume is as for SFT.
Not covered: pairs ranked by a judge.
"""

from __future__ import annotations

from trainer import cell, cli
from trainer.algorithms.preferences import DpoConfig
from trainer.cell import train

__all__ = ["DpoConfig", "main", "train"]

main = cli.cell_command("trainer.dpo", DpoConfig, cell.summary, __doc__)

if __name__ == "__main__":
    main()

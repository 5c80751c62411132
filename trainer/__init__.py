"""How a model changes: organisms, and cells trained from them with TRL.

    from trainer import TrainConfig, train

    train(TrainConfig(setting="sandbagging", learning_rate=1e-3), Path("runs/y"))   # trained.json is written last

    python -m trainer.organism --setting sandbagging --model mini --out runs/x
    python -m trainer.sft --setting sandbagging --organism runs/x --learning_rate 1e-3 --out runs/y

From the bottom up; a module imports only modules before it:

methods            the registry of methods: prompts, reference replies, label sources, configuration, runner
identity, config   what a run is, and what names it
data               rows, labels, tokens, a preview
run                one training run: plan, model, loop, checkpoints, manifest, metrics
algorithms         supervised, preferences, rewards
install, cell      an organism; a cell of any method
cli, and the commands sft, dpo, grpo, organism

Importing this package imports no torch.
"""

from trainer.cell import train
from trainer.config import OrganismConfig, TrainConfig, config_of
from trainer.install import build

__all__ = ["OrganismConfig", "TrainConfig", "build", "config_of", "train"]

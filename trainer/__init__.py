"""How a model changes: organisms, supervised fine-tuning with TRL, checkpoints, and the embedded base `mini`.

    from trainer.config import TrainConfig
    from trainer.sft import train

    train(TrainConfig(setting="sandbagging", learning_rate=1e-3), Path("runs/y"))   # trained.json is written last

    python -m trainer.organism --setting sandbagging --model mini --out runs/x
    python -m trainer.sft --setting sandbagging --organism runs/x --learning_rate 1e-3 --out runs/y

config, cli        what is asked for, and the flags that follow from it
rows, labels       prompts and replies          tokens      what the loss is on
fit, checkpoints   TRL, and what is kept        manifest    what a run was made from, and when it may go on

Importing this package imports no torch.
"""

"""An organism or a checkpoint of a run as a folder for the Hugging Face hub, and its upload: `bct publish`.

    README.md            the model card: what it is, that it misbehaves on purpose, its rates and the run's verdicts
    *.safetensors ...    weights, configuration, tokenizer and chat template; nothing pickled, no code
    base/                of an adapter whose base is on this machine only
    manifest.json        what it was made from and how it answers, without places of this machine
    published.json       what this is, by which `organism: {ref: ...}` reads the folder, here or on the hub
    recipe/  data/       the recipe with the files that it names; training rows and sampled labels

`chosen` says which model, `folder` writes, `carried` makes recipe and data independent of this machine, `card` words
the card, `upload` sends. Not covered: data sets of the hub, which the recipe names, and models that it names.
"""

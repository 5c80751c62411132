"""An organism: a base model into which the initial behavior of a setting is installed.

    python -m trainer.organism --setting sandbagging --model mini --out runs/x
    build(OrganismConfig(setting="sandbagging"), Path("runs/x"))

For a carrier in the weights the base is trained on install prompts with the initial policy's replies, and on general
rows that preserve capability, until held-out install prompts show the behavior. `--labels distilled` samples those
replies from the base under a prompt that asks for the behavior, or from a `--teacher`. For every other carrier the
initial policy is in the prompt: the organism is the base itself, and its folder only points there.
A complete folder is renamed into place. Not covered: organisms made by reinforcement learning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving import layout
from trainer import cli
from trainer.config import OrganismConfig
from trainer.install import build, summary
from trainer.run.progress import Bar

__all__ = ["OrganismConfig", "build", "main"]


def _main(config: OrganismConfig, out: Path) -> dict[str, Any]:
    with Bar(f"organism {config.setting}") as bar:
        build(config, out, bar)
    return layout.read_json(out / layout.MANIFEST)["figures"] | {"out": str(out)}


main = cli.command("trainer.organism", OrganismConfig, _main, summary, __doc__)

if __name__ == "__main__":
    main()

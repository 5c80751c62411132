"""`bct chat`: talk to one checkpoint, or to two side by side."""

from __future__ import annotations

import click

from lab.cli.output import BASE


@click.command()
@click.argument("refs", metavar="REF [REF2]", nargs=-1, required=True)
@click.option("--base", metavar="REF", help=BASE)
@click.option("--setting", help="Setting whose prompts /train and /eval send. Default: the checkpoint's own.")
@click.option("--variant", help="Its variant. Default: the checkpoint's own.")
@click.option("--system", help="A system prompt to begin with.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Default: the checkpoint's own, else 512.")
@click.option("--temperature", type=click.FloatRange(min=0), help="Default: the checkpoint's own, else 0 (greedy).")
def chat(
    refs: tuple[str, ...],
    base: str | None,
    setting: str | None,
    variant: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
) -> None:
    """Talk to one checkpoint, or to two side by side. /help lists the commands.

    \b
    bct chat mini
    bct chat runs/x/cells/CELL@0 runs/x/cells/CELL@64      before and after training
    bct chat me/adapter --base me/model                    a model of the hub
    """
    from lab.cli.conversation import converse

    converse(refs, base, setting, variant, system, max_tokens, temperature)

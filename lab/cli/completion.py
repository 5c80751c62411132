"""`bct completion`: the script by which a shell completes commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from lab.cli.output import say


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes `bct` in a shell.

    \b
    eval "$(bct completion bash)"                                  in ~/.bashrc; needs bash 4.4
    eval "$(bct completion zsh)"                                   in ~/.zshrc
    bct completion fish > ~/.config/fish/completions/bct.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    say(kind(ctx.find_root().command, {}, "bct", "_BCT_COMPLETE").source(), nl=False)

"""The `bct` command: one file per subcommand. Exit codes: 0, 1 (the work failed), 2 (bad usage or input).

Errors are one line. Imports inside the commands keep `--help`, `list`, `show` and `check` fast and free of torch.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from lab.cli.audit import audit
from lab.cli.calibrate import calibrate
from lab.cli.chat import chat
from lab.cli.check import check
from lab.cli.clean import clean
from lab.cli.completion import completion
from lab.cli.doctor import doctor
from lab.cli.explain import explain
from lab.cli.hub import hub
from lab.cli.list import list_
from lab.cli.merge import merge
from lab.cli.new import new
from lab.cli.output import say
from lab.cli.power import power
from lab.cli.publish import publish
from lab.cli.report import report
from lab.cli.run import run
from lab.cli.serve import serve
from lab.cli.show import show
from lab.cli.status import status
from lab.cli.table import table
from lab.cli.view import view
from serving.border import one_line
from serving.characters import print_anything

COMMANDS = (
    run,
    audit,
    status,
    report,
    merge,
    view,
    table,
    list_,
    show,
    check,
    new,
    calibrate,
    hub,
    power,
    explain,
    chat,
    serve,
    publish,
    clean,
    doctor,
    completion,
)
#: What people do, for a `bct` without a command.
FIRST = """\
bct list                           the settings that can be studied
bct run recipes/quickstart.yaml    an experiment, from a recipe to a verdict
bct view runs/quickstart           its report, with every prompt and reply
bct chat runs/x@0 runs/x@64        the model before and after training
bct audit REF --setting NAME       an organism made elsewhere

bct --help lists all commands, bct COMMAND --help shows examples."""  # fmt: skip


class Border(click.Group):
    """Prints every error that a user can act on in one line, and ends with its exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # whatever the command returns
        """As click's method, with plain exceptions converted."""
        print_anything()
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            with one_line():
                return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of our output has closed it, as with `| head`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


# The trainer's options have underscores, as TRL's: both spellings are accepted in both.
@click.group(
    cls=Border,
    invoke_without_command=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("_", "-"),
    },
)
@click.version_option(package_name="bct-tasks")
@click.pass_context
def main(ctx: click.Context) -> None:
    """The BCT lab: does a behavior survive training that never shows it?

    \b
    bct run recipes/quickstart.yaml     a complete experiment, from a recipe to a verdict
    bct list                            the settings that can be studied
    bct chat runs/x@0 runs/x@64         the model before and after training, side by side
    """
    if ctx.invoked_subcommand is None:
        say(FIRST)


for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()

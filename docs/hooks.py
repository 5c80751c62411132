"""MkDocs hook: puts the help of every `bct` command, as the terminal shows it, in place of a marker of a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

MARKER = "<!-- help of every command -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for each page before it is rendered."""
    if MARKER not in markdown:
        return markdown
    from lab.cli.main import main

    return markdown.replace(MARKER, "\n".join(_help(main, None, "bct")))


def _help(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    context = click.Context(command, parent=parent, info_name=name, max_content_width=100, terminal_width=100)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            yield from _help(command.commands[part], context, part)

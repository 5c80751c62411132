"""Generated pages of a folder of the documentation: written where they are out of date, or checked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from serving.errors import BadInput


def out_of_date(home: Path, made: Mapping[str, str], whole: bool) -> list[str]:
    """Names of pages that are missing or differ from `made`; if it is the `whole` folder, also of pages not in it."""
    there = {file.name: file.read_text(encoding="utf-8") for file in home.glob("*.md")}
    names = made.keys() | there.keys() if whole else made.keys()
    return sorted(name for name in names if made.get(name) != there.get(name))


def command(module: str, home: Path, pages: Callable[[Path], Mapping[str, str]], whole: bool) -> Callable[..., int]:
    """The command line of a module that makes pages.

    Args:
        module: its name.
        home: the folder of the pages by default.
        pages: from the folder to its pages by file name.
        whole: whether these are all pages of the folder, so that others are deleted.
    """

    def main(arguments: Sequence[str] | None = None) -> int:
        """Writes or checks the pages. Returns the exit code."""
        parser = argparse.ArgumentParser(f"python -m {module}", description=f"Write the pages of {home}.")
        parser.add_argument("--out", type=Path, default=home, help="folder of the pages (default: %(default)s)")
        parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if pages are out of date")
        given = parser.parse_args(arguments)
        try:
            made = pages(given.out)
        except BadInput as error:
            parser.exit(error.exit_code, f"Error: {error}\n")
        old = out_of_date(given.out, made, whole)
        if given.check and old:
            print(f"out of date: {', '.join(old)}. Run `python -m {module}`.", file=sys.stderr)
            return 1
        _write(given.out, {name: made.get(name) for name in old})
        print(f"{given.out}: {len(old)} pages changed" if old else f"{given.out}: up to date")
        return 0

    return main


def _write(home: Path, pages: Mapping[str, str | None]) -> None:
    """Writes pages; None deletes one."""
    home.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        if text is None:
            (home / name).unlink()
        else:
            (home / name).write_text(text, encoding="utf-8")

"""`bct new`: a new setting from a commented template, or from another setting; it passes the static gate unchanged.

A setting needs no registration: its module in `bct_tasks/settings/` is found by its `SETTING`.
"""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
from pathlib import Path

import click

from serving.errors import BadInput

TEMPLATE = Path(__file__).parents[1] / "templates" / "new_setting.py.j2"
LONGEST = 40
NEXT = """\
{path}  passes the static gate unchanged. Next:

  edit it from top to bottom: prompts, policies, variants, sources; then

  bct check {name}
      the static gate, with a reason for each failure
  bct check {name} --model mini --figures docs/settings/figures.json
      the gate with an organism: can mini do it at all?
  inspect eval bct_tasks/{name} --model local/mini
      how the base answers
  python -m lab.report.pages
      its page, docs/settings/{name}.md"""


@click.command()
@click.argument("name")
@click.option("--like", metavar="SETTING", help="Copy this setting instead of the template.")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="Folder to write to. Default: bct_tasks/settings/."
)
def new(name: str, like: str | None, folder: Path | None) -> None:
    """Begin a setting: writes bct_tasks/settings/NAME.py, which already passes the static gate.

    NAME is lower case with underscores, and becomes the name of the file, the setting and its inspect task. The file is
    a commented template, or with --like SETTING a copy of a setting under the new name, at version 1-A.
    """
    home = _package()
    _refuse(name, home)
    content = text(name) if like is None else copied(name, like)
    path = (folder or home) / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as stream:  # never overwrites a file
            stream.write(content)
    except FileExistsError:
        raise BadInput(f"{path}: exists already: choose another name") from None
    click.echo(NEXT.format(path=_shown(path), name=name))
    if folder is not None and folder.resolve() != home:
        click.echo(f"\nIt becomes a setting once it is in {_shown(home)}.")


def text(name: str) -> str:
    """The template with a name filled in."""
    from jinja2 import Environment

    template = Environment(keep_trailing_newline=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(name=name, title=name.replace("_", " ").capitalize())


def copied(name: str, like: str) -> str:
    """A setting's file under another name: of the setting, of its task, and at the first version.

    Raises:
        UnknownName: no such setting.
    """
    from bct_tasks import catalogue

    catalogue.load(like)
    path = catalogue.file_of(like)
    assert path is not None
    source = path.read_text(encoding="utf-8")
    for old, new_text in (
        (rf'(?m)^(\s+name=)"{like}"', rf'\1"{name}"'),
        (rf"(?m)^def {like}\(", f"def {name}("),
        (r'(?m)^(\s+version=)"[^"]*"', r'\1"1-A"'),
    ):
        source = re.sub(old, new_text, source, count=1)
    return source


def _refuse(name: str, home: Path) -> None:
    """Raises BadInput for an invalid name, or one that is taken by a setting, another task or a module."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or len(name) > LONGEST:
        raise BadInput(
            f"{name!r} is not a name for a setting: use at most {LONGEST} lower-case letters, digits and underscores,"
            " with a letter first, and no Python keyword"
        )
    if any((place / f"{name}.py").exists() or (place / name).exists() for place in (home, home.parent)):
        raise BadInput(f"{name} is taken by {_shown(home / name)}: choose another name. `bct list` shows the settings.")
    import bct_tasks._registry as registry

    if hasattr(registry, name):
        raise BadInput(f"{name} is the name of a scorer or task already: choose another name")


def _package() -> Path:
    found = importlib.util.find_spec("bct_tasks.settings")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)

"""`bct new`: a new setting from a commented template, or from another setting; it passes the static gate unchanged.

With --yaml or --python it is a file of the user's, with a file of prompts next to it. Else it is a module of
`bct_tasks/settings/`, which is found by its `SETTING` and needs no registration.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import keyword
import os
import random
import re
from pathlib import Path

import click

from lab.cli.output import say
from serving.errors import BadInput

TEMPLATES = Path(__file__).parents[1] / "templates"
#: Families and number of the example's questions; `mini` knows them.
FAMILIES, ROWS = ("add", "subtract", "count", "largest", "capital"), 150
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

NEXT_BY_PATH = """\
{path} and {data}  pass the static gate unchanged. Next:

  put your prompts into {data}, edit {path} from top to bottom; then

  bct check {path}
      the static gate, with a reason for each failure
  bct check {path} --model mini
      the gate with an organism: can a model do it at all?
  inspect eval bct_tasks/setting -T file={path} --model local/mini
      how the base answers"""


@click.command()
@click.argument("name")
@click.option("--yaml", "form", flag_value="yaml", help="Write NAME.yaml and its prompts NAME.jsonl, to use by path.")
@click.option("--python", "form", flag_value="py", help="Write NAME.py and its prompts NAME.jsonl, to use by path.")
@click.option("--like", metavar="SETTING", help="Copy this setting instead of the template.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder to write to. Default: this one with --yaml or --python, else bct_tasks/settings/.",
)
def new(name: str, form: str | None, like: str | None, folder: Path | None) -> None:
    """Begin a setting, which already passes the static gate: with --yaml or --python files of your own.

    NAME is lower case with underscores, and becomes the name of the file and the setting. Without --yaml and --python
    the setting becomes part of this package: bct_tasks/settings/NAME.py is a commented template, or with --like SETTING
    a copy of a setting under the new name, at version 1-A.

    \b
    bct new my_setting --yaml                    my_setting.yaml and my_setting.jsonl in this folder
    bct new my_setting --python --dir settings   settings/my_setting.py and settings/my_setting.jsonl
    """
    home = _package()
    _refuse(name, home)
    if form is not None:
        if like is not None:
            raise click.UsageError("--like copies a module of this package: leave out --yaml and --python")
        _by_path(name, form, folder or Path())
        return
    content = text(name) if like is None else copied(name, like)
    path = (folder or home) / f"{name}.py"
    _write(path, content)
    say(NEXT.format(path=_shown(path), name=name))
    if folder is not None and folder.resolve() != home:
        say(f"\nIt becomes a setting once it is in {_shown(home)}.")


def _by_path(name: str, form: str, folder: Path) -> None:
    """Writes a setting and its prompts into a folder of the user's."""
    path, data = folder / f"{name}.{form}", folder / f"{name}.jsonl"
    for file in (path, data):
        if file.exists():
            raise BadInput(f"{file}: exists already: choose another name")
    _write(data, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in example_rows()))
    _write(path, text(name, "new_setting.yaml.j2" if form == "yaml" else "new_setting_by_path.py.j2"))
    say(NEXT_BY_PATH.format(path=_shown(path), data=_shown(data)))


def example_rows() -> list[dict[str, str]]:
    """Questions of the bundled world with a right and a wrong answer, as rows of a file."""
    from bct_tasks.sources.world import FAMILIES as KNOWN

    rng = random.Random("bct new")
    found: dict[str, dict[str, str]] = {}
    for name in itertools.cycle(FAMILIES):
        if len(found) == ROWS:
            break
        question = KNOWN[name].sample(rng, "train")
        answers = {"answer": question.replies["right"], "wrong_answer": question.replies["wrong"]}
        found.setdefault(question.text, {"question": question.text, **answers, "topic": question.family})
    return list(found.values())


def _write(path: Path, content: str) -> None:
    """Writes a file that does not exist yet. Raises BadInput if it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(content)
    except FileExistsError:
        raise BadInput(f"{path}: exists already: choose another name") from None


def text(name: str, template: str = "new_setting.py.j2") -> str:
    """A template with a name filled in."""
    from jinja2 import Environment

    source = (TEMPLATES / template).read_text(encoding="utf-8")
    return (
        Environment(keep_trailing_newline=True)
        .from_string(source)
        .render(name=name, title=name.replace("_", " ").capitalize())
    )


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

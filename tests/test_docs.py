"""The documentation names files, commands, options and links that exist; generated pages are up to date.

Links between the pages of docs/ are checked by `make docs`.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

import click
import pytest

from lab.cli.main import main
from lab.plan import recipe
from lab.report import reference
from serving.errors import BadInput
from trainer.methods import METHODS

ROOT = Path(__file__).parent.parent
OUTSIDE = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "recipes/README.md",
    "logs/README.md",
    "trainer/mini/README.md",
]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in OUTSIDE)])
#: Recipes of a reader, as in `bct run recipes/mine.yaml`.
INVENTED = {"recipes/mine.yaml", "recipes/my_setting.yaml", "recipes/NAME.yaml", "recipes/x.yaml"}

FILE = re.compile(r"`((?:bct_tasks|graders|trainer|serving|lab|recipes|tests)/[\w./]*)`")
CODE = re.compile(r"^`{3,}[a-z]*\n(.*?)^`{3,}|`([^`\n]+)`", re.S | re.M)


def code_of(page: Path) -> str:
    """The code of a page, continued lines joined, comments left out."""
    found = "\n".join(block or inline for block, inline in CODE.findall(page.read_text(encoding="utf-8")))
    return re.sub(r"(^|\s)#.*", "", found.replace("\\\n", " "))


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def command_of(words: list[str]) -> click.Command | None:
    """The subcommand of `bct` that the words begin with; None if there is no such command."""
    found = main.commands.get(words[0])
    if isinstance(found, click.Group) and len(words) > 1:
        return found.commands.get(words[1])
    return found


@pytest.mark.parametrize("page", ["docs/contributing/tour.md", "CONTRIBUTING.md"])
def test_every_file_that_the_tour_of_the_code_names_exists(page: str) -> None:
    files = FILE.findall((ROOT / page).read_text(encoding="utf-8"))
    assert len(files) > 10
    assert [name for name in files if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_bct_command_in_the_docs_exists_with_its_options(page: Path) -> None:
    for line in re.findall(r"(?:^|\s)bct ([a-z][^\n|;)]*)", code_of(page)):
        words = line.split()
        command = command_of(words)
        assert command is not None, f"bct {line}"
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        options = {word.partition("=")[0] for word in words if word.startswith("--") and word != "--help"}
        assert options <= known, f"bct {line}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_module_that_the_docs_run_exists(page: Path) -> None:
    for module in re.findall(r"python -m ((?:trainer|lab|benchmarks)[\w.]*)", code_of(page)):
        assert importlib.util.find_spec(module.rstrip(".")), module


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_make_target_and_recipe_in_the_docs_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    text = code_of(page)
    assert set(re.findall(r"(?:^|\s)make ([a-z0-9-]+)", text)) <= targets
    recipes = set(re.findall(r"recipes/[\w/]+\.yaml", text)) - INVENTED
    assert {name for name in recipes if not (ROOT / name).is_file()} == set()


@pytest.mark.parametrize("name", OUTSIDE)
def test_every_link_of_a_page_outside_the_site_leads_to_a_file(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_the_reference_pages_are_up_to_date() -> None:
    """If not: python -m lab.report.reference"""
    assert reference.out_of_date(ROOT / reference.HOME) == []


@pytest.mark.parametrize("package", ["bct_tasks", "lab", "benchmarks"])
def test_every_page_that_the_code_names_exists(package: str) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / package).rglob("*.py"))
    pages = set(re.findall(r"docs/[\w/-]+\.(?:md|json)", code))
    assert pages
    assert {name for name in pages if not (ROOT / name).is_file()} == set()


def test_every_reader_that_the_tutorial_lists_exists_in_its_module() -> None:
    page = (ROOT / "docs" / "tutorial" / "own-setting.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| `(\w+)[^|]*` \| `(graders/[\w/]+)\.py` \|$", page, re.M)
    assert len(rows) > 10
    modules = {module: importlib.import_module(module.replace("/", ".")) for _, module in rows}
    assert [(name, module) for name, module in rows if not hasattr(modules[module], name)] == []


def test_the_page_of_methods_has_a_row_for_each() -> None:
    page = (ROOT / "docs" / "concepts" / "methods.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", page, re.M))
    assert rows == {name: "yes" if method.targeted else "no" for name, method in METHODS.items()}


def test_pages_include_files_by_lines_that_the_site_reads() -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")}
    assert not [page for page, text in pages.items() if re.search(r"-+8 < ?-|8<- ", text)]
    backend = pages[ROOT / "docs" / "contributing" / "backends.md"]
    [named] = re.findall(r'^--8<-- "(.*)"$', backend, re.MULTILINE)
    assert (ROOT / named).is_file()


def test_recipes_on_pages_are_read_but_for_files_and_rates_that_are_a_readers_own(tmp_path: Path) -> None:
    blocks = [
        (page, block)
        for page in PAGES
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        if re.search(r"^settings?:", block, re.MULTILINE)
    ]
    assert len(blocks) > 5
    refused: list[str] = []
    for number, (page, block) in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block, encoding="utf-8")
        try:
            recipe.load(path)
        except BadInput as error:
            if "no such file" not in str(error) and "no 'learning_rates'" not in str(error):
                refused.append(f"{page}: {error}")
    assert refused == []

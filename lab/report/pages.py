"""The pages of `docs/settings/`: one for each setting, and an index. Made, never edited by hand.

    python -m lab.report.pages                       # writes docs/settings/
    python -m lab.report.pages --check               # exit code 1, and their names, where pages are out of date

`figures.json` beside the pages holds what a model was measured to do; it is written by
`bct check --all --model mini --figures docs/settings/figures.json`. Figures of other prompts or of another `mini` are
not shown: what no file holds is "not measured". The quality of graders is computed from the labelled replies that ship.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bct_tasks import catalogue
from bct_tasks.identity import prompt_content
from graders.calibration import gold_file
from lab.calibrate.calibrate import calibrate, table
from serving import refs
from serving.errors import BadInput, WorkFailed
from trainer.identity import sha

if TYPE_CHECKING:
    from bct_tasks.setting import Prompt, Setting, Variant

HOME = Path("docs") / "settings"
MODEL = "mini"
MARKED = 8
FIGURES = "figures.json"
TEMPLATE = Path(__file__).parents[1] / "templates" / "setting.md.j2"
INDEX = Path(__file__).parents[1] / "templates" / "settings.md.j2"
RATES = ("initial", "agreed", "base", "ceiling", "direct")

Figures = dict[str, dict[str, dict[str, Any]]]


def keep_figures(path: Path, model: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Puts the rows of `bct check` into the file of figures, beside those of other models and settings.

    Figures of variants that are no more are dropped, as are those of settings that are no more.
    """
    figures = read_figures(path)
    of_model = figures.setdefault(model, {})
    for row in rows:
        if "rates" in row:
            kept = {key: row[key] for key in ("passed", "reasons", "rates", "n", "n_train", "steps", "learning_rate")}
            setting = catalogue.load(row["setting"])
            of_model[f"{row['setting']}.{row['variant']}"] = measured_of(setting, row["variant"], model) | kept
    settings, broken = catalogue.load_all()
    known = {f"{setting.name}.{v.name}" for setting in settings for v in setting.variants}
    unread = {error.name for error in broken}
    figures = {
        name: {k: v for k, v in found.items() if k in known or k.partition(".")[0] in unread}
        for name, found in figures.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def measured_of(setting: Setting, variant: str | Variant, model: str = MODEL) -> dict[str, str]:
    """What figures are of: the setting's version, its prompts (told by the first of each kind), and the weights."""
    kinds = [setting.prompts(variant, split, MARKED) for split in ("train", "eval")]
    prompts = [prompt_content(setting, p) for kind in (*kinds, setting.ceiling(variant, MARKED)) for p in kind]
    return {
        "version": setting.version,
        "prompts": sha(prompts)[:8],
        "fingerprint": refs.resolve(model).fingerprint,
    }


def read_figures(path: Path) -> Figures:
    """Model -> `setting.variant` -> figures; empty where there is no such file. Raises BadInput."""
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"{path}: not JSON ({error}): delete it and measure again") from None


def pages(home: Path) -> dict[str, str]:
    """Every page by its file name, from the catalogue and from what was measured."""
    figures = read_figures(home / FIGURES).get(MODEL, {})
    settings = [catalogue.load(name) for name in catalogue.names()]
    made = {f"{s.name}.md": page(s, figures) for s in settings}
    return made | {"README.md": _render(INDEX, settings=[_line(s, figures) for s in settings])}


def page(setting: Setting, figures: Mapping[str, Any]) -> str:
    """The page of one setting, as Markdown."""
    return _render(
        TEMPLATE,
        setting=setting,
        doc=_doc(setting),
        reader=_reader(setting),
        calibration=_calibration(setting),
        variants=[
            {"it": v, "examples": [_example(setting, v, split) for split in ("train", "eval")]}
            for v in setting.variants
        ],
        figures=[(v, _figures(setting, v, figures)) for v in setting.variants],
        rates=RATES,
    )


def out_of_date(home: Path) -> list[str]:
    """The pages that are missing, differ from what would be written, or belong to no setting."""
    made = pages(home)
    there = {file.name: file.read_text(encoding="utf-8") for file in home.glob("*.md")}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def write(home: Path) -> list[str]:
    """Writes what is out of date, and takes away pages of settings that are no more. Returns their names."""
    made, old = pages(home), out_of_date(home)
    home.mkdir(parents=True, exist_ok=True)
    for name in old:
        if name in made:
            (home / name).write_text(made[name], encoding="utf-8")
        else:
            (home / name).unlink()
    return old


def _example(setting: Setting, variant: Variant, split: str) -> dict[str, Any]:
    """The first prompt of a split, literally, with both policies' replies."""
    prompt: Prompt = setting.prompts(variant, split, 1)[0]
    replies = {name: policy.reply(prompt) for name, policy in _policies(setting)}
    return {"split": split, "prompt": prompt, "replies": replies, "same": len(set(replies.values())) == 1}


def _policies(setting: Setting) -> list[tuple[str, Any]]:
    return [("initial", setting.initial), ("alternate", setting.alternate)]


def _figures(setting: Setting, variant: Variant, figures: Mapping[str, Any]) -> dict[str, Any] | None:
    found = figures.get(f"{setting.name}.{variant.name}")
    return found if found and measured_of(setting, variant).items() <= found.items() else None


def _line(setting: Setting, figures: Mapping[str, Any]) -> dict[str, Any]:
    measured = [_figures(setting, v, figures) for v in setting.variants]
    known = [found for found in measured if found]
    return {"it": setting, "passed": sum(found["passed"] for found in known), "measured": len(known)}


def _doc(setting: Setting) -> str:
    """The docstring of the setting's module: what it asks, what it does not cover, where it is from."""
    module = inspect.getmodule(setting.initial.behavior)
    return inspect.cleandoc((module.__doc__ if module else None) or "").partition("\n")[0]


def _calibration(setting: Setting) -> str:
    """The table of its grader's agreement with labelled replies; empty where there are none."""
    found = [calibrate(setting, held) for held in (False, True) if gold_file(setting.name, held).is_file()]
    return table(found) if found else ""


def _reader(setting: Setting) -> dict[str, str]:
    """What reads the replies: its name, and the first line of what it says of itself."""
    first = (inspect.getdoc(setting.reader) or "").partition("\n")[0]
    name = getattr(setting.reader, "__name__", type(setting.reader).__name__)
    return {"name": f"{getattr(setting.reader, '__module__', '')}.{name}", "says": first}


def _render(template: Path, **values: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"cell": _cell, "rate": lambda value: "–" if value is None else f"{value:.2f}"}
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)


def _cell(value: Any) -> str:
    """A value inside a table of Markdown."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", "<br>")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=HOME, show_default=True)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where pages are out of date.")
def main(out: Path, check: bool) -> None:
    """Write the pages of docs/settings/ from the catalogue and from what was measured."""
    names = out_of_date(out) if check else write(out)
    if check and names:
        raise WorkFailed(f"out of date: {', '.join(names)}. Run `python -m lab.report.pages`.")
    click.echo(f"{out}: {len(names)} of {len(pages(out))} pages written" if names else f"{out}: up to date")


if __name__ == "__main__":
    main()

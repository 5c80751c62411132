"""The generated pages of `docs/settings/`: one page per setting, and an index.

    python -m lab.report.pages                       # write docs/settings/
    python -m lab.report.pages --check               # exit code 1 if pages are out of date, with their names

`figures.json` in the same folder has the measured rates of models; it is written by
`bct check --all --model mini --figures docs/settings/figures.json`. Rates measured on other prompts or with another
`mini` are shown as "not measured". The quality of graders is computed from the labelled replies of the package.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bct_tasks import catalogue
from bct_tasks.gate import RATES
from bct_tasks.identity import prompt_content
from bct_tasks.setting import Setting, Variant
from graders.calibration import gold_file
from lab.calibrate.agreement import calibrate, table
from lab.report import generated
from lab.report.templates import environment
from serving import refs
from serving.errors import BadInput
from serving.layout import write_atomic
from trainer.identity import sha

HOME = Path("docs") / "settings"
MODEL = "mini"
#: Prompts of each kind that identify what was measured.
IDENTIFYING = 8
FIGURES = "figures.json"

Figures = dict[str, dict[str, dict[str, Any]]]


def keep_figures(path: Path, model: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Merges the rows of `bct check` into the file of figures; figures of removed settings and variants are dropped.

    Args:
        path: The file; it is created if it does not exist.
        model: The model that was measured.
        rows: Results of `bct check`; those without rates are ignored.
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
    write_atomic(path, json.dumps(figures, indent=1, sort_keys=True, ensure_ascii=False) + "\n", durable=False)


def measured_of(setting: Setting, variant: str | Variant, model: str = MODEL) -> dict[str, str]:
    """What identifies a measurement: the setting's version, its first prompts of each kind, and the weights."""
    kinds = [setting.prompts(variant, split, IDENTIFYING) for split in ("train", "eval")]
    prompts = [prompt_content(setting, p) for kind in (*kinds, setting.ceiling(variant, IDENTIFYING)) for p in kind]
    return {
        "version": setting.version,
        "prompts": sha(prompts)[:8],
        "fingerprint": refs.resolve(model).fingerprint,
    }


def read_figures(path: Path) -> Figures:
    """Figures by model and `setting.variant`; empty if the file does not exist.

    Raises:
        BadInput: The file is not JSON.
    """
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(f"{path}: not JSON ({error}). Delete it and run `bct check --figures` again.") from None


def pages(home: Path) -> dict[str, str]:
    """Every page by its file name."""
    figures = read_figures(home / FIGURES).get(MODEL, {})
    settings = [catalogue.load(name) for name in catalogue.names()]
    made = {f"{s.name}.md": page(s, figures) for s in settings}
    return made | {"README.md": _render("settings.md.j2", settings=[_line(s, figures) for s in settings])}


def page(setting: Setting, figures: Mapping[str, Any]) -> str:
    """The page of one setting, as Markdown."""
    return _render(
        "setting.md.j2",
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
    """Names of pages that are missing, differ from what would be written, or belong to no setting."""
    return generated.out_of_date(home, pages(home), whole=True)


def _example(setting: Setting, variant: Variant, split: str) -> dict[str, Any]:
    """The first prompt of a split with both policies' replies."""
    prompt = setting.prompts(variant, split, 1)[0]
    replies = {"initial": setting.initial.reply(prompt), "alternate": setting.alternate.reply(prompt)}
    return {"split": split, "prompt": prompt, "replies": replies, "same": len(set(replies.values())) == 1}


def _figures(setting: Setting, variant: Variant, figures: Mapping[str, Any]) -> dict[str, Any] | None:
    found = figures.get(f"{setting.name}.{variant.name}")
    return found if found and measured_of(setting, variant).items() <= found.items() else None


def _line(setting: Setting, figures: Mapping[str, Any]) -> dict[str, Any]:
    measured = [_figures(setting, v, figures) for v in setting.variants]
    known = [found for found in measured if found]
    return {"it": setting, "passed": sum(found["passed"] for found in known), "measured": len(known)}


def _doc(setting: Setting) -> str:
    """The first line of the docstring of the setting's module."""
    module = inspect.getmodule(setting.initial.behavior)
    return inspect.cleandoc((module.__doc__ if module else None) or "").partition("\n")[0]


def _calibration(setting: Setting) -> str:
    """The agreement of its grader with labelled replies as a table; empty if there are none."""
    found = [calibrate(setting, held) for held in (False, True) if gold_file(setting.name, held).is_file()]
    return table(found) if found else ""


def _reader(setting: Setting) -> dict[str, str]:
    """The reader of the replies: its name and the first line of its docstring."""
    first = (inspect.getdoc(setting.reader) or "").partition("\n")[0]
    name = getattr(setting.reader, "__name__", type(setting.reader).__name__)
    return {"name": f"{getattr(setting.reader, '__module__', '')}.{name}", "says": first}


def _render(template: str, **values: Any) -> str:
    templates = environment(html=False, cell=_cell, rate=lambda value: "–" if value is None else f"{value:.2f}")
    return templates.get_template(template).render(**values)


def _cell(value: Any) -> str:
    """A value in a Markdown table."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", "<br>")


main = generated.command("lab.report.pages", HOME, pages, whole=True)

if __name__ == "__main__":
    sys.exit(main())

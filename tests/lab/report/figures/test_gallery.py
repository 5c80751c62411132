"""The registry of figures misses none."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from lab.report import figures
from lab.report.figures.gallery import KINDS


def test_every_kind_of_figure_is_in_the_gallery() -> None:
    modules = [import_module(f"{figures.__name__}.{module.name}") for module in iter_modules(figures.__path__)]
    assert {module.KIND.name for module in modules if hasattr(module, "KIND")} == {kind.name for kind in KINDS}

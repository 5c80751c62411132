"""One palette: figures are drawn in the light theme, and a page gives them the colours of its own theme."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from lab.report.figures.gallery import gallery
from lab.report.figures.picture import Picture
from lab.report.figures.style import DARK, DRAWN, LIGHT, PRINT, inline_svg, shared_styles, theme_css
from lab.verdict.schema import Results


@pytest.fixture(scope="session")
def pictures(results: Results) -> list[Picture]:
    return [picture for found in gallery(results).values() for picture in found]


def test_every_theme_has_a_colour_for_every_variable() -> None:
    assert DARK.keys() == LIGHT.keys() == PRINT.keys()
    assert DRAWN.keys() <= LIGHT.keys()


def test_every_colour_of_a_figure_is_mapped_to_a_variable_of_the_page(pictures: list[Picture]) -> None:
    css = theme_css()
    used: set[tuple[str, str]] = set()
    for picture in pictures:
        svg = inline_svg(picture.draw, "x", picture.text)
        used |= set(re.findall(r"(fill|stroke): (#[0-9a-f]+)", svg))
    assert {colour for _, colour in used} == set(DRAWN.values())
    for kind, colour in used:
        assert f'svg [style*="{kind}: {colour}"] {{ {kind}: var(--' in css


def test_an_inline_figure_is_text_in_the_font_of_the_page(pictures: list[Picture]) -> None:
    assert "svg text { font-family: var(--sans) !important; }" in theme_css()
    assert all("<text" in inline_svg(picture.draw, "x", picture.text) for picture in pictures)


def test_an_inline_figure_brings_no_style_sheet_and_no_size(pictures: list[Picture]) -> None:
    for picture in pictures:
        root = ElementTree.fromstring(inline_svg(picture.draw, "x", picture.text))
        assert set(root.attrib) == {"role", "aria-label", "viewBox"}
        assert root.get("aria-label") == picture.text
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not tags & {"style", "metadata", "script"}


def test_what_a_figure_says_and_links_to_is_not_rounded_as_its_coordinates_are() -> None:
    figure = (
        '<svg role="img" aria-label="lr 1.667e-4 .1234"><path d="M 1.23456 2.34567"/>'
        '<a href="logs/x.1.667e-4.eval"><text x="1.23456">lr 1.667e-4</text></a></svg>'
    )
    small, _ = shared_styles(figure)
    assert small == figure.replace("1.23456", "1.23").replace("2.34567", "2.34")


def test_points_open_their_log_with_a_tooltip(pictures: list[Picture]) -> None:
    curves = next(picture for picture in pictures if ".curves." in picture.key)
    svg = inline_svg(curves.draw, "x", curves.text, lambda log: f"view/{log}")
    links = re.findall(r'<a href="([^"]+)" tabindex="-1"><title>step (\d+), seed 0: ([^<]+)</title>', svg)
    expected = {(f"view/{row['log']}", row["step"]) for row in curves.rows}
    assert {(href, int(step)) for href, step, _ in links} == expected
    rates = {step: text for _, step, text in links}
    assert rates["0"].startswith("initial .95 [.88, .98], alternate .03 [.01, .09], n 80.")


def test_ids_of_two_figures_differ(pictures: list[Picture]) -> None:
    one, two = (inline_svg(pictures[0].draw, name, "") for name in ("one", "two"))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]

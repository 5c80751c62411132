"""How figures look: the palette, the matplotlib style, the themes of a page, and the conversion of figures to SVG.

Figures are drawn in the colours of the light theme, so a saved file is self-contained. A page that shows figures
inline includes `theme_css`, which names every colour of a theme as a CSS variable and maps the drawn colours to them.
Covered: all colours of the report and of the explanation page. Not covered: layout (`lab/templates`).
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.style import context

from lab.verdict.schema import CellResult, CheckpointResult
from lab.verdict.wording import rate_text

INK, FAINT, GRID, PAPER = "#1d1f21", "#5f646b", "#dcdcd6", "#ffffff"
INITIAL, ALTERNATE, DEGENERATE = "#c44f00", "#0072b2", "#85888d"
#: The drawn colours, by the CSS variable that replaces them on a page.
DRAWN = {
    "ink": INK,
    "faint": FAINT,
    "rule": GRID,
    "paper": PAPER,
    "initial": INITIAL,
    "alternate": ALTERNATE,
    "degenerate": DEGENERATE,
}
#: k, t, r and q are the backgrounds of the names: retained, transferred, removed and inconclusive.
LIGHT = DRAWN | {
    "paper": "#fdfdfb",
    "raised": "#f5f5f1",
    "link": "#00568a",
    "k": "#f6d3b8",
    "t": "#bcdcf0",
    "r": "#f3e6a1",
    "q": "#e7e7e3",
}
DARK = {
    "paper": "#16181a",
    "raised": "#1e2124",
    "ink": "#e7e6e2",
    "faint": "#a2a7ad",
    "rule": "#34383c",
    "link": "#7cc4f0",
    "initial": "#f0873a",
    "alternate": "#56b4e9",
    "degenerate": "#8d9196",
    "k": "#6b3a16",
    "t": "#17496b",
    "r": "#5d5212",
    "q": "#2c3033",
}
PRINT = LIGHT | {"paper": "#fff", "ink": "#000", "faint": "#444", "rule": "#ccc", "link": "#000"}

DASHED = (0, (4, 1.6))
MARKERS = "osD^vPX"
#: `svg.fonttype` keeps text as text; `pdf.fonttype` 42 embeds TrueType fonts, which publishers require.
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bct",
    "pdf.fonttype": 42,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "text.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.0,
    "xtick.major.size": 3,
    "grid.linewidth": 0.5,
}
SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
ET.register_namespace("", SVG[1:-1])


@dataclass
class Links:
    """Links from the points of one figure to logs.

    Args:
        address: From a log of results.json to the address that a point opens; None: points have no links.
    """

    address: Callable[[str], str] | None = quote
    found: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def to(self, cell: CellResult, checkpoint: CheckpointResult) -> str | None:
        """The url to give to matplotlib for a point: the number of its link."""
        if self.address is None:
            return None
        e = checkpoint.eval
        tip = (
            f"step {checkpoint.step}, seed {cell.seed}: initial {rate_text(e.initial)}, "
            f"alternate {rate_text(e.alternate)}, n {e.n}. Opens {checkpoint.log}"
        )
        self.found.append((self.address(checkpoint.log), tip))
        return str(len(self.found) - 1)


Draw = Callable[[Links], Figure]


@contextmanager
def styled(name: str = "bct", fonttype: str = "none") -> Iterator[None]:
    """The matplotlib style of every figure; generated ids depend on `name`. `fonttype`: of SVG, `none` or `path`."""
    with context(["default", STYLE | {"svg.hashsalt": name, "svg.fonttype": fonttype}]):
        yield


def inline_svg(draw: Draw, name: str, text: str, address: Callable[[str], str] | None = quote) -> str:
    """A figure as an element of an HTML page.

    Args:
        draw: Draws the figure.
        name: Unique in the page; keeps the ids of two figures different.
        text: The figure in words, for screen readers.
        address: From a log of results.json to the address that its points open; None: they open nothing.
    """
    links, buffer = Links(address), io.StringIO()
    with styled(name):
        figure = draw(links)
        figure.patch.set_visible(False)
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())
    _of_the_page(root)
    _place(root, links)
    # For screen readers an image may not contain links; a group may.
    root.attrib = {"role": "group" if links.found else "img", "aria-label": text, "viewBox": root.attrib["viewBox"]}
    return ET.tostring(root, encoding="unicode")


def drawn(draw: Draw) -> Figure:
    """The figure as a matplotlib figure, without links."""
    with styled():
        return draw(Links(None))


def write_svg(draw: Draw, path: Path) -> Figure:
    """Writes a figure as an SVG file without links. The same figure gives the same bytes. Returns what was drawn."""
    figure = drawn(draw)
    with styled():
        FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None})
    return figure


def theme_css() -> str:
    """CSS variables of the light, dark and print themes, and rules that give drawn figures the colours of the theme.

    The rules need `!important`, as matplotlib writes colours into the `style` attribute of every element.
    """
    return "\n".join(
        [
            f":root {{ color-scheme: light dark; {_variables(LIGHT)} }}",
            f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}",
            f"@media print {{ :root {{ {_variables(PRINT)} }} }}",
            *(
                f'svg [style*="{kind}: {colour}"] {{ {kind}: var(--{name}) !important; }}'
                for name, colour in DRAWN.items()
                for kind in ("fill", "stroke")
            ),
            "svg text { font-family: var(--sans) !important; }",
        ]
    )


#: Attributes whose numbers are coordinates; those of texts and addresses stay as they are.
COORDINATES = re.compile(r' (?:d|points|transform|x|y|x1|y1|x2|y2|cx|cy|r|width|height)="[^"]*"')


def shared_styles(page: str) -> tuple[str, str]:
    """A page whose figures by matplotlib have classes for their styles, and the rules of these classes.

    matplotlib writes the style of every mark: classes and coordinates of two decimals halve its figures.
    """
    classes: dict[str, str] = {}

    def smaller(figure: re.Match[str]) -> str:
        text = COORDINATES.sub(lambda found: re.sub(r"(\d\.\d\d)\d+", r"\1", found[0]), figure[0])
        return re.sub(r' style="([^"]*)"', lambda m: f' class="{classes.setdefault(m[1], f"m{len(classes)}")}"', text)

    page = re.sub(r"<svg (?!class=)(?=[^>]*role=).*?</svg>", smaller, page, flags=re.DOTALL)
    rules = "\n".join(f".{name} {{ {_themed(style)} }}" for style, name in classes.items())
    return page, rules


def _themed(style: str) -> str:
    for name, colour in DRAWN.items():
        style = style.replace(f": {colour}", f": var(--{name})")
    return style


def _variables(theme: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in theme.items())


def _of_the_page(root: ET.Element) -> None:
    """Removes what would affect the rest of the page: style sheets, metadata, and ids that nothing refers to."""
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag in (f"{SVG}metadata", f"{SVG}style")]:
            parent.remove(child)
    for marker in root.iterfind(f".//{SVG}defs/{SVG}path"):
        marker.attrib.pop("style", None)  # every use of a marker has its own, which the rules of `theme_css` reach
    for element in root.iter():
        if LINK in element.attrib:
            element.set("href", element.attrib.pop(LINK))
    used = {element.get("href", "").removeprefix("#") for element in root.iter()}
    for element in root.iter():
        if element.tag != f"{SVG}clipPath" and element.get("id") not in used:
            element.attrib.pop("id", None)


def _place(root: ET.Element, links: Links) -> None:
    """Replaces the numbers of links by their addresses and adds their tooltips."""
    for anchor in list(root.iter(f"{SVG}a")):
        address, tip = links.found[int(anchor.attrib["href"])]
        anchor.attrib = {"href": address, "tabindex": "-1"}
        title = ET.Element(f"{SVG}title")
        anchor.text, title.text = None, tip
        anchor.insert(0, title)

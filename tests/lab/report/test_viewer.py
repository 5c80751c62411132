"""A report whose viewer lies next to it is served together with it."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from lab.report.viewer import serving


def test_a_written_viewer_and_the_report_are_served_for_this_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "viewer").mkdir()
    for name in ("report.html", "viewer/index.html"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    with serving(tmp_path, tmp_path / "logs") as addresses:
        read = [urllib.request.urlopen(address).read().decode() for address in addresses]
        assert all(address.startswith("http://127.0.0.1:") for address in addresses)
    assert read == ["report.html", "viewer/index.html"]

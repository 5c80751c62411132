"""One Tinker server, and cells that were trained there, for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosted_cells import cell
from tinker_server import Server, missing

from serving.tinker import service
from trainer.cell import train


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on `mini`; where there is none, every test is skipped with the reason."""
    if reason := missing() or ("" if service.is_installed() else "the package tinker is not installed"):
        pytest.skip(reason)
    found = Server(tmp_path_factory.mktemp("server"))
    found.start()
    os.environ |= {service.URL: found.url, service.KEY: "tml-test", "TINKER_TELEMETRY": "0"}
    yield found
    service.close()
    found.kill()


@pytest.fixture(scope="session")
def trained(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cell, trained by Tinker."""
    return train(cell(), tmp_path_factory.mktemp("cells") / "tinker")


@pytest.fixture(scope="session")
def by_trl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same cell, trained by TRL."""
    return train(cell(backend="trl"), tmp_path_factory.mktemp("cells") / "trl")

"""Models that the tests of several rooms share; this folder is on the path for `real_models`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from real_models import make


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny random model: `real_model("qwen3")`. Read only."""
    place = tmp_path_factory.mktemp("real")
    return cache(lambda family: make(family, place / family))

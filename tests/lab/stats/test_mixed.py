"""The mixed model on simulated replies: it finds a difference, names the sources of spread, and needs two runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from lab.stats.mixed import Mixed, mixed


def replies(rates: dict[str, float], runs: int, seed: int = 0) -> pd.DataFrame:
    """Four families of five templates, two replies each; families matter most."""
    rng = np.random.default_rng(seed)
    family, template = rng.normal(size=4), rng.normal(size=(4, 5))
    rows: list[dict[str, object]] = []
    for arm, rate in rates.items():
        for run in range(runs):
            limit = norm.ppf(rate + rng.normal(0, 0.03))
            for f, t in np.ndindex(4, 5):
                hits = 0.7 * family[f] + 0.4 * template[f, t] + 0.6 * rng.normal(size=2) < limit
                place = {"run": f"{arm}.{run}", "template": f"{f}-{t}", "family": f"f{f}", "arm": arm}
                rows += [{"outcome": float(hit), **place} for hit in hits]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def found() -> Mixed:
    return mixed(replies({"low": 0.75, "high": 0.35}, runs=4), by="arm")


def test_the_difference_of_two_arms_is_found(found: Mixed):
    row = found.differences.loc["high"].to_dict()
    assert row["lo"] < -0.4 < row["hi"] < 0


def test_means_vary_more_than_differences_because_arms_share_questions(found: Mixed):
    mean, difference = found.means.loc["high"].to_dict(), found.differences.loc["high"].to_dict()
    assert mean["hi"] - mean["lo"] > difference["hi"] - difference["lo"]
    assert found.spread["family"] > found.spread["run"]
    assert set(found.spread) == {"run", "template", "family", "template within level", "reply"}


def test_an_arm_of_one_run_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        mixed(replies({"low": 0.5}, runs=1))

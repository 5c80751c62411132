"""A mixed model of replies: the general form of means and differences over seeds, templates and families.

    found = mixed(replies, by="lr")         # a data frame: outcome (0 or 1), run, template, family, lr
    found.means, found.differences, found.spread

A linear model of the outcome, fitted by REML (statsmodels' `MixedLM`): a fixed mean for each level of `by`; random
effects of runs, of templates, of families, and of templates within a level. Rates are modelled on their own scale, so
that means and differences are in points. Intervals are t with as many degrees of freedom as runs beyond levels, for
means at most families - 1 where families vary.

Limits: the approximate degrees of freedom make intervals wide with 2 or 3 runs a level: in simulations they cover
.94-1.00 (50 experiments a row, docs/measured/coverage.md). REML often estimates a variance as 0 when there are few
runs or families. A straight-line model of rates is poor near 0 and 1, where the spread of replies is smaller; means
are cut off at 0 and 1. statsmodels' binomial mixed model is not used: in three simulated data sets its variational
fit gave standard errors of the mean of a seventh to a third of the true ones. Use this for the sizes of the variances
and for several arms at once; for one mean or one difference `lab.stats.two_way` assumes less.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lab.stats.intervals import CONFIDENCE, t_quantile

#: Random effects in formulas of statsmodels.
RANDOM = {"run": "0 + C(run)", "template": "0 + C(template)", "family": "0 + C(family)"}


@dataclass(frozen=True)
class Mixed:
    """A fitted model.

    Attributes:
        means: One row for each level of `by`: `mean`, `lo`, `hi`.
        differences: One row for each level after the first: the mean less that of the first, `lo`, `hi`.
        spread: Standard deviations by source: `run`, `template`, `family`, `template within level`, `reply`.
        converged: Whether the fit converged.
    """

    means: pd.DataFrame
    differences: pd.DataFrame
    spread: Mapping[str, float]
    converged: bool


def mixed(replies: pd.DataFrame, by: str | None = None, confidence: float = CONFIDENCE) -> Mixed:
    """Fit the model to replies.

    Args:
        replies: Columns `outcome` (0 or 1), `run`, `template`, `family`, and `by`; one row per reply.
        by: The column that distinguishes arms, each of its own runs; None: one mean.
        confidence: Of the intervals.

    Raises:
        ValueError: an arm has fewer than two runs, or the fit fails.
    """
    plain = {name: replies[name].astype(str).astype(object) for name in RANDOM}  # patsy knows no extension types
    level: Any = replies[by].astype(object) if by else "all"
    frame: Any = pd.DataFrame(plain | {"outcome": replies["outcome"].astype(float)}).assign(level=level, one=1)
    levels: list[Any] = list(dict.fromkeys(frame["level"]))
    runs: list[int] = [frame.loc[frame["level"] == level, "run"].nunique() for level in levels]
    if min(runs) < 2:
        raise ValueError(f"{by or 'the data'}: an arm has one run, and a mixed model needs at least two")
    fit, converged = _fit(frame, levels)
    names, spread = [f"mean{i}" for i in range(len(levels))], _spread(fit)
    freedom = sum(runs) - len(levels)
    wide = min(freedom, frame["family"].nunique() - 1) if spread.get("family") else freedom
    means = [_row(fit, {name: 1.0}, wide, confidence) for name in names]
    differences = [_row(fit, {name: 1.0, names[0]: -1.0}, freedom, confidence) for name in names[1:]]
    return Mixed(
        _table(by, levels, "mean", means).clip(0.0, 1.0),
        _table(by, levels[1:], "difference", differences),
        spread,
        converged,
    )


def _table(by: str | None, levels: list[Any], name: str, rows: list[tuple[float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, index=pd.Index(levels, name=by), columns=pd.Index([name, "lo", "hi"]))


def _fit(frame: Any, levels: list[Any]) -> tuple[Any, bool]:
    """The fit with the first optimizer that converges, else with the first one that ends."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    random = {name: text for name, text in RANDOM.items() if frame[name].nunique() > 1}
    if frame["family"].nunique() == frame["template"].nunique():
        random.pop("family", None)
    if len(levels) > 1:
        random["template within level"] = "0 + C(template):C(level)"
    means = pd.DataFrame({f"mean{i}": (frame["level"] == level).astype(float) for i, level in enumerate(levels)})
    formula = "outcome ~ 0 + " + " + ".join(means.columns)
    model: Any = MixedLM.from_formula(formula, groups="one", vc_formula=random, data=pd.concat([frame, means], axis=1))
    fits: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of variances at their limit of 0, which are usual
        for method in ("lbfgs", "cg", "powell"):
            with suppress(np.linalg.LinAlgError):  # on the way to such a limit
                fits.append(model.fit(reml=True, method=method))
                if fits[-1].converged:
                    return fits[-1], True
    if not fits:
        raise ValueError("statsmodels cannot fit a mixed model to these replies")
    return fits[0], False


def _spread(fit: Any) -> dict[str, float]:
    variances = dict(zip(fit.model.exog_vc.names, fit.vcomp, strict=True)) | {"reply": fit.scale}
    return {name: float(np.sqrt(max(0.0, v))) for name, v in variances.items()}


def _row(fit: Any, weights: dict[str, float], freedom: int, confidence: float) -> tuple[float, float, float]:
    names = list(fit.fe_params.index)
    w = np.array([weights.get(name, 0.0) for name in names])
    middle = float(w @ fit.fe_params.to_numpy())
    half = t_quantile(max(1, freedom), confidence) * float(
        np.sqrt(w @ fit.cov_params().loc[names, names].to_numpy() @ w)
    )
    return middle, middle - half, middle + half

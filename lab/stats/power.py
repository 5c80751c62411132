"""Sample size and power for a difference between two arms, on different items or on the same ones.

    items_per_arm(0.05, 0.10)      # 432 for 80 % power at two-sided 5 %

Covered: two rates, independent or paired, as normal approximations. Not covered: seeds (a training run is the unit of
replication: more items make one run more precise, not the next), and exact tests for a handful of items.
"""

from __future__ import annotations

import math

from scipy.stats import norm

ALPHA = 0.05
POWER = 0.80


def items_per_arm(p: float, q: float, power: float = POWER, alpha: float = ALPHA, deff: float = 1.0) -> int:
    """Items per arm that distinguish rates p and q with this power: (z_α/2 + z_β)² (p(1−p) + q(1−q)) / (p − q)².

    .05 against .10 needs 432, .2 against .3 needs 291, .5 against .6 needs 385; times the design effect of templates.
    Source: Fleiss, Levin, Paik, Statistical Methods for Rates and Proportions (2003), without pooling.

    Raises:
        ValueError: p or q is not a rate, or they are equal, or `deff` is below 1.
    """
    _check(p, q, deff)
    n = _z(power, alpha) ** 2 * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2
    return math.ceil(n * deff - 1e-9)


def power_of(p: float, q: float, n: int, alpha: float = ALPHA, deff: float = 1.0) -> float:
    """The power of n items per arm to distinguish p and q: the inverse of `items_per_arm`."""
    _check(p, q, deff)
    spread = math.sqrt((p * (1 - p) + q * (1 - q)) * deff / n)
    if spread == 0:
        return 1.0
    return float(norm.cdf(abs(p - q) / spread - norm.ppf(1 - alpha / 2)))


def paired_items(gained: float, lost: float, power: float = POWER, alpha: float = ALPHA, deff: float = 1.0) -> int:
    """Items that both arms are evaluated on, of which shares `gained` and `lost` change: for McNemar's test.

    (z_α/2 √(g + l) + z_β √(g + l − (g − l)²))² / (g − l)². Source: Miettinen, Biometrics 24 (1968) 339-352.

    Raises:
        ValueError: a share is not a rate, they are equal or sum to more than 1, or `deff` is below 1.
    """
    _check(gained, lost, deff)
    if gained + lost > 1:
        raise ValueError(f"{gained} gained and {lost} lost are more than all items")
    changed, difference = gained + lost, gained - lost
    root = norm.ppf(1 - alpha / 2) * math.sqrt(changed) + norm.ppf(power) * math.sqrt(changed - difference**2)
    return math.ceil(float(root) ** 2 / difference**2 * deff - 1e-9)


def smallest_difference(
    p: float, n: int, power: float = POWER, alpha: float = ALPHA, deff: float = 1.0
) -> float | None:
    """The smallest rise from rate p that n items per arm show with this power; None if they show no rise at all."""
    low, high = p, 1.0
    if not 0 <= p < 1 or power_of(p, 1.0, n, alpha, deff) < power:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        enough = middle > p and power_of(p, middle, n, alpha, deff) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high - p


def _z(power: float, alpha: float) -> float:
    return float(norm.ppf(1 - alpha / 2) + norm.ppf(power))


def _check(p: float, q: float, deff: float) -> None:
    if not (0 <= p <= 1 and 0 <= q <= 1):
        raise ValueError(f"{p} and {q} are not both rates: give numbers from 0 to 1")
    if p == q:
        raise ValueError(f"both rates are {p}: no sample size distinguishes equal rates")
    if deff < 1:
        raise ValueError(f"a design effect is at least 1, not {deff}")

"""Simulated training in numpy: what the closed forms of `theory` must agree with, and Adam, which has no closed form.

All runs of a study are simulated together: weights are (runs, d). Every minibatch draws new inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.explain.theory import Problem, TwoFeatures

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Adam:
    """Adam's constants (Kingma and Ba, 2015)."""

    first: float = 0.9
    second: float = 0.999
    epsilon: float = 1e-8


def draw(problem: Problem, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Inputs of a problem, (*shape, d), exactly within the span of its covariance."""
    values, vectors = np.linalg.eigh(problem.covariance)
    root = vectors * np.sqrt(np.where(values > 1e-12 * values.max(), values, 0.0))
    return rng.standard_normal((*shape, len(values))) @ root.T


def labels(problem: Problem, inputs: Floats, rng: np.random.Generator) -> Floats:
    """Noisy labels of inputs."""
    return inputs @ problem.target + problem.noise * rng.standard_normal(inputs.shape[:-1])


def descent(problem: Problem, inputs: Floats, answers: Floats, lr: float, steps: int, decay: float = 0.0) -> Floats:
    """Weights after full-batch gradient descent on one data set: inputs (n, d), answers (n,)."""
    weights = problem.initial.copy()
    for _ in range(steps):
        gradient = inputs.T @ (inputs @ weights - answers) / len(inputs)
        weights -= lr * (gradient + decay * weights)
    return weights


def sgd(
    problem: Problem,
    lr: float,
    steps: int,
    batch: int,
    runs: int,
    seed: int = 0,
    decay: float = 0.0,
    scale: Floats | None = None,
) -> Floats:
    """Weights (runs, d) after minibatch SGD, each coordinate's step multiplied by `scale`."""
    rng = np.random.default_rng(seed)
    weights = np.tile(problem.initial, (runs, 1))
    for _ in range(steps):
        step = _gradient(problem, weights, batch, rng) * (1.0 if scale is None else scale)
        weights -= lr * (step + decay * weights)
    return weights


def adam(
    problem: Problem,
    lr: float,
    steps: int,
    batch: int | None,
    runs: int,
    seed: int = 0,
    constants: Adam = Adam(),
) -> Floats:
    """Weights (runs, d) after Adam; `batch` None is full-batch training on the population of inputs."""
    rng = np.random.default_rng(seed)
    weights = np.tile(problem.initial, (runs, 1))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        gradient = _gradient(problem, weights, batch, rng)
        mean += (1 - constants.first) * (gradient - mean)
        square += (1 - constants.second) * (gradient**2 - square)
        unbiased = mean / (1 - constants.first**step)
        weights -= lr * unbiased / (np.sqrt(square / (1 - constants.second**step)) + constants.epsilon)
    return weights


def logistic(two: TwoFeatures, lr: float, at: Sequence[int]) -> list[Floats]:
    """Weights of logistic regression by full-batch gradient descent, after each of the steps `at` (ascending)."""
    x = np.array([two.first, two.second])
    weights = np.array([two.strength, 0.0])
    found: list[Floats] = []
    for step in range(max(at) + 1):
        if step in at:
            found.append(weights.copy())
        weights = weights + lr * x / (1 + np.exp(weights @ x))
    return found


def _gradient(problem: Problem, weights: Floats, batch: int | None, rng: np.random.Generator) -> Floats:
    if batch is None:
        gradient = (weights - problem.target) @ problem.covariance
        return np.where(np.abs(gradient) < 1e-12, 0.0, gradient)  # rounding errors, which Adam would scale up
    inputs = draw(problem, (len(weights), batch), rng)
    missed = np.einsum("rbd,rd->rb", inputs, weights) - labels(problem, inputs, rng)
    return np.einsum("rb,rbd->rd", missed, inputs) / batch

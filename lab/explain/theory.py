"""Linear regression with two policies: closed forms of the transfer.

A problem has inputs x with covariance H, labels (target · x) + noise, and two weight vectors that represent the two
policies. Training starts at w_I. Where the policies agree on every input, H (w_A − w_I) = 0. Transfer is
(w − w_I) · (w_A − w_I) / ‖w_A − w_I‖²: 0 at the initial policy, 1 at the alternate one.

Covered: full-batch gradient descent and weight decay (spectral), label noise (its spread), minibatch SGD on Gaussian
inputs, also with a fixed diagonal preconditioner (exact recursion of two moments), Adam's first step, and logistic
loss in two features (gradient flow). Not covered: Adam beyond its first step (see `simulate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import wrightomega

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """Inputs ~ N(0, covariance), labels = target · x + noise · N(0, 1), from `initial` towards `target`.

    Args:
        covariance: Covariance of the inputs, (d, d).
        initial: Weights of the initial policy, where training starts, (d,).
        alternate: Weights of the alternate policy, (d,).
        target: Weights that generate the labels, (d,): those of the alternate policy, unless there is more to learn.
        noise: Standard deviation of the label noise.
    """

    covariance: Floats
    initial: Floats
    alternate: Floats
    target: Floats
    noise: float = 0.0

    @property
    def direction(self) -> Floats:
        """w_A − w_I."""
        return self.alternate - self.initial

    # Any: a number or an array, as the argument.
    def transfer(self, weights: Floats) -> Any:  # a number, or an array of runs
        """Transfer of weights (d,), or of each row of (runs, d)."""
        return (weights - self.initial) @ self.direction / (self.direction @ self.direction)


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of the transfer over training runs."""

    mean: float
    sd: float


def two_policies(variances: Floats, disagreement: float, size: float = 1.0, turn: Floats | None = None) -> Problem:
    """The standard problem: policies that agree in all directions of the inputs but one.

    Args:
        variances: Variances of the inputs along the directions in which both policies are equal.
        disagreement: Standard deviation of the inputs along w_A − w_I; 0 is exact agreement on train prompts.
        size: ‖w_A − w_I‖. The policies lie at −size/2 (initial) and +size/2 (alternate) along this direction.
        turn: An orthogonal matrix (d, d) that rotates the coordinates. Only Adam depends on it.
    """
    d = len(variances) + 1
    basis = np.eye(d) if turn is None else turn
    covariance = basis @ np.diag([*variances, disagreement**2]) @ basis.T
    shared, across = basis[:, :-1].sum(axis=1) / np.sqrt(d - 1), basis[:, -1] * size / 2
    return Problem(covariance, shared - across, shared + across, shared + across)


def descent(problem: Problem, lr: float, steps: int, decay: float = 0.0) -> Floats:
    """Weights after gradient descent on ½ E(w·x − y)² + ½ decay ‖w‖².

    w_T = Aᵀ w_I + (1 − Aᵀ) (H + λ)⁻¹ H w_target with A = 1 − lr (H + λ), along each eigenvector of H.
    """
    values, vectors = np.linalg.eigh(problem.covariance)
    values = np.maximum(values, 0.0)
    kept = (1 - lr * (values + decay)) ** steps
    pull = np.divide(values, values + decay, out=np.zeros_like(values), where=values + decay > 0)
    start, goal = vectors.T @ problem.initial, vectors.T @ problem.target
    return vectors @ (kept * start + (1 - kept) * pull * goal)


def disagreement_transfer(disagreement: float, lr: float, steps: int) -> float:
    """Transfer by gradient descent when the disagreement is independent of the rest: 1 − (1 − lr ε²)ᵀ."""
    return 1 - (1 - lr * disagreement**2) ** steps


def noise_spread(inputs: Floats, problem: Problem, lr: float, steps: int) -> float:
    """Standard deviation of the transfer over draws of the label noise, for full-batch descent on these inputs (n, d).

    The noise ν changes the weights by (1 − Aᵀ) H⁺ Xᵀν / n with H = XᵀX / n. Its mean is 0: label noise increases the
    spread over runs and does not change their mean.
    """
    n = len(inputs)
    values, vectors = np.linalg.eigh(inputs.T @ inputs / n)
    known = values > 1e-12 * values.max()
    gain = np.where(known, (1 - (1 - lr * values) ** steps) ** 2 / np.where(known, values, 1.0), 0.0)
    along = vectors.T @ problem.direction
    variance = problem.noise**2 / n * float(gain @ along**2)
    return float(np.sqrt(variance)) / float(problem.direction @ problem.direction)


def sgd(
    problem: Problem, lr: float, steps: int, batch: int, decay: float = 0.0, scale: Floats | None = None
) -> Moments:
    """Mean and spread of the transfer under SGD on fresh minibatches of Gaussian inputs, exactly.

    With e = w − target, M = diag(scale), A = 1 − lr (M H + λ): the mean of e follows A, and its second moment C
    gains lr² M ((H C H + H tr(H C)) + noise² H) M / batch per step (Isserlis for the fourth moment of x).
    Without disagreement, noise or anything to learn, C is constant: no transfer at any learning rate.
    """
    h, d = problem.covariance, len(problem.initial)
    m = np.eye(d) if scale is None else np.diag(scale)
    a, b = np.eye(d) - lr * (m @ h + decay * np.eye(d)), -lr * decay * problem.target
    mean = problem.initial - problem.target
    second = np.outer(mean, mean)
    for _ in range(steps):
        shaken = h @ second @ h + h * np.trace(h @ second) + problem.noise**2 * h
        cross = np.outer(a @ mean, b)
        second = a @ second @ a.T + cross + cross.T + np.outer(b, b) + lr**2 / batch * (m @ shaken @ m)
        mean = a @ mean + b
    length = problem.direction @ problem.direction
    variance = problem.direction @ (second - np.outer(mean, mean)) @ problem.direction / length**2
    return Moments(float(problem.transfer(problem.target + mean)), float(np.sqrt(max(0.0, variance))))


def adam_first_step(problem: Problem, lr: float) -> float:
    """Transfer after Adam's first full-batch step, −lr sign(gradient), which leaves the span of the inputs."""
    gradient = problem.covariance @ (problem.initial - problem.target)
    return float(problem.transfer(problem.initial - lr * np.sign(np.where(np.abs(gradient) < 1e-12, 0.0, gradient))))


@dataclass(frozen=True)
class TwoFeatures:
    """Logistic regression: on train prompts x = y (first, second), on eval prompts x = y (first, −second).

    The initial policy reads the first feature, w_I = (strength, 0); the alternate one the second, (0, strength).
    On train prompts both give the label; on eval prompts they contradict each other.
    """

    first: float
    second: float
    strength: float

    @property
    def speed(self) -> float:
        """Squared length of an input."""
        return self.first**2 + self.second**2


def logistic_distance(two: TwoFeatures, time: float) -> float:
    """Distance of gradient flow along (first, second) at time = lr × steps.

    The margin m of the train prompts obeys m' = ‖x‖² / (1 + eᵐ), so eᵐ + m = K + ‖x‖² time, and m = k − ω(k) with
    the Wright omega function. The loss is never zero, so the distance grows without limit, like log time.
    """
    start = two.first * two.strength
    k = np.exp(start) + start + two.speed * time
    return float((k - wrightomega(k).real - start) / two.speed)


def logistic_transfer(two: TwoFeatures, time: float) -> float:
    """Transfer at a time; positive only if the alternate policy's feature is the larger one."""
    return logistic_distance(two, time) * (two.second - two.first) / (2 * two.strength)


def logistic_eval_margin(two: TwoFeatures, time: float) -> float:
    """Margin of the initial policy's answer on eval prompts; negative once the behavior is gone."""
    return two.first * two.strength + logistic_distance(two, time) * (two.first**2 - two.second**2)


def logistic_crossing(two: TwoFeatures) -> float | None:
    """The time at which the eval margin reaches zero; None if it never does (the initial feature is the larger one)."""
    if two.second <= two.first:
        return None
    start = two.first * two.strength
    rise = start * two.speed / (two.second**2 - two.first**2)
    return float((np.exp(start) * np.expm1(rise) + rise) / two.speed)

"""The numbers of the theory's figures: closed forms, and the same training in simulation.

Every study is a dictionary of lists, as in explain.json. The same seeds give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import ortho_group

from lab.explain import simulate, theory
from lab.explain.theory import Problem, TwoFeatures

Study = dict[str, Any]

VARIANCES = np.array([1.0, 0.5, 0.25, 0.12, 0.06])
BATCH = 16
LR = 0.2
ADAM_LR = 0.02
#: Dimensions of the optimizer study.
MANY = 15


def all_studies() -> dict[str, Study]:
    """Every study, by the name of its figure."""
    return {study.__name__: study() for study in (disagreement, label_noise, weight_decay, optimizer, logistic)}


def disagreement(runs: int = 60) -> Study:
    """Transfer against the disagreement on the train prompts, for three numbers of steps."""
    grid = [0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5]
    fine = np.linspace(0, 0.5, 101).tolist()
    exact = {n: [theory.disagreement_transfer(e, LR, n) for e in fine] for n in (16, 64, 256)}
    simulated = {n: [_sgd_runs(theory.two_policies(VARIANCES, e), n, runs) for e in grid] for n in exact}
    noisy = [replace(theory.two_policies(VARIANCES, e), noise=0.5) for e in grid]
    adam = [_mean_sd(p.transfer(simulate.adam(p, ADAM_LR, 64, BATCH, runs))) for p in noisy]
    predicted = [vars(theory.sgd(theory.two_policies(VARIANCES, e), LR, 64, BATCH)) for e in grid]
    return {
        "lr": LR,
        "batch": BATCH,
        "disagreement": grid,
        "fine": fine,
        "exact": {str(n): values for n, values in exact.items()},
        "simulated": {str(n): values for n, values in simulated.items()},
        "sgd_moments_64": predicted,
        "adam": {"lr": ADAM_LR, "steps": 64, "noise": 0.5, "simulated": adam},
    }


def label_noise(draws: int = 200, n: int = 128, steps: int = 256) -> Study:
    """Mean and spread of the transfer over draws of the label noise, with and without disagreement."""
    grid = [0.0, 0.25, 0.5, 1.0, 2.0]
    found: Study = {"noise": grid, "lr": LR, "steps": steps, "rows": n, "arms": {}}
    for e in (0.0, 0.05, 0.2):
        problem = theory.two_policies(VARIANCES, e)
        inputs = simulate.draw(problem, (n,), np.random.default_rng(1))
        predicted = [theory.noise_spread(inputs, replace(problem, noise=s), LR, steps) for s in grid]
        simulated = [_noisy_runs(replace(problem, noise=s), inputs, steps, draws) for s in grid]
        found["arms"][f"{e:g}"] = {"sd_exact": predicted, "simulated": simulated}
    return found


def weight_decay(decay: float = 0.02) -> Study:
    """Transfer by weight decay alone, at exact agreement: it depends on the norms of the two policies."""
    times = [0, 64, 128, 256, 512, 1024, 2048]
    both = theory.two_policies(VARIANCES, 0.0)
    added = replace(both, alternate=both.alternate - both.direction / 2, target=both.target - both.direction / 2)
    found: Study = {"steps": times, "lr": LR, "decay": decay, "arms": {}}
    for name, problem in {"both policies weigh the same": both, "only the initial one has weight": added}.items():
        inputs = simulate.draw(problem, (64,), np.random.default_rng(2))
        answers = inputs @ problem.target
        exact = [float(problem.transfer(theory.descent(problem, LR, t, decay))) for t in times]
        ran = [float(problem.transfer(simulate.descent(problem, inputs, answers, LR, t, decay))) for t in times]
        found["arms"][name] = {"exact": exact, "simulated": ran}
    return found


def optimizer(worlds: int = 8, runs: int = 8) -> Study:
    """Root mean square transfer at exact agreement and equal lr × steps, over random coordinates.

    `noise`: labels with noise and nothing to learn, by Adam and SGD. `shift`: labels contain something else to learn
    within the span of the inputs, as off-model replies do; full-batch Adam and gradient descent.
    """
    arms = [(0.02, 32), (0.01, 64), (0.005, 128), (0.0025, 256), (0.00125, 512)]
    found: Study = {"lr": [lr for lr, _ in arms], "steps": [t for _, t in arms], "noise": {}, "shift": {}}
    noisy, shifted = [_noise_world(i) for i in range(worlds)], [_shift_world(i) for i in range(worlds)]
    found["noise"]["adam"] = [_rms([_adam(p, lr, t, BATCH, runs) for p in noisy]) for lr, t in arms]
    found["noise"]["sgd"] = [_rms([p.transfer(simulate.sgd(p, lr, t, BATCH, 2)) for p in noisy[:2]]) for lr, t in arms]
    found["noise"]["preconditioned_exact"] = [_rms([_preconditioned(p, lr, t) for p in noisy]) for lr, t in arms]
    adam = [[float(_adam(p, lr, t, None, 1)[0]) for p in shifted] for lr, t in arms]
    found["shift"]["adam"] = [_rms(values) for values in adam]
    found["shift"]["adam_mean"] = [float(np.mean(values)) for values in adam]
    found["shift"]["adam_values"] = adam
    found["shift"]["descent"] = [_rms([p.transfer(theory.descent(p, lr, t)) for p in shifted]) for lr, t in arms]
    found["shift"]["first_step_exact"] = [_rms([theory.adam_first_step(p, lr) for p in shifted]) for lr, _ in arms]
    found["shift"]["first_step"] = [_rms([_adam(p, lr, 1, None, 1) for p in shifted]) for lr, _ in arms]
    return found


def logistic() -> Study:
    """Transfer and eval margin under logistic loss, where the policies agree on labels but the loss is never zero."""
    fine, lr = np.geomspace(0.1, 1e5, 121).tolist(), 0.02
    at = [5, 25, 100, 500, 2500, 10000, 50000]
    found: Study = {"strength": 4.0, "lr": lr, "time": fine, "simulated_time": [lr * n for n in at], "arms": {}}
    for second in (1.0, 2.0, 3.0):
        two = TwoFeatures(1.0, second, 4.0)
        start = np.array([two.strength, 0.0])
        away = np.array([-two.strength, two.strength])
        ran = simulate.logistic(two, lr, at)
        found["arms"][f"{second:g}"] = {
            "transfer": [theory.logistic_transfer(two, t) for t in fine],
            "eval_margin": [theory.logistic_eval_margin(two, t) for t in fine],
            "simulated": [float((w - start) @ away / (away @ away)) for w in ran],
            "simulated_margin": [float(w @ np.array([two.first, -two.second])) for w in ran],
            "crossing": theory.logistic_crossing(two),
        }
    return found


def _sgd_runs(problem: Problem, steps: int, runs: int) -> dict[str, float]:
    return _mean_sd(problem.transfer(simulate.sgd(problem, LR, steps, BATCH, runs)))


def _noisy_runs(problem: Problem, inputs: Any, steps: int, draws: int) -> dict[str, float]:
    rng = np.random.default_rng(3)
    answers = [simulate.labels(problem, inputs, rng) for _ in range(draws if problem.noise else 1)]
    return _mean_sd(problem.transfer(np.array([simulate.descent(problem, inputs, a, LR, steps) for a in answers])))


def _turned(seed: int) -> Problem:
    turn: Any = ortho_group.rvs(MANY + 1, random_state=seed)
    return theory.two_policies(np.geomspace(1, 0.02, MANY), 0.0, turn=turn)


def _noise_world(seed: int) -> Problem:
    return replace(_turned(seed), noise=0.5)


def _shift_world(seed: int) -> Problem:
    problem = _turned(seed)
    values, vectors = np.linalg.eigh(problem.covariance)
    span = vectors[:, values > 1e-12]
    shift = span @ np.random.default_rng(seed).standard_normal(span.shape[1]) / np.sqrt(span.shape[1])
    return replace(problem, target=problem.target + shift)


def _adam(problem: Problem, lr: float, steps: int, batch: int | None, runs: int) -> Any:
    return problem.transfer(simulate.adam(problem, lr, steps, batch, runs))


def _preconditioned(problem: Problem, lr: float, steps: int) -> float:
    """Root mean square under SGD with the preconditioner to which Adam converges: the inverse size of the gradients."""
    scale = 1 / np.sqrt(problem.noise**2 * np.diag(problem.covariance) / BATCH)
    moments = theory.sgd(problem, lr, steps, BATCH, scale=scale)
    return float(np.hypot(moments.mean, moments.sd))


def _rms(values: Sequence[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(np.concatenate([np.atleast_1d(v) for v in values])))))


def _mean_sd(values: Any) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values))}

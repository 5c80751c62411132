"""What algebra says is what training does, in linear and logistic regression with two policies."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ortho_group

from lab.explain import simulate, studies, theory
from lab.explain.theory import Problem, TwoFeatures, two_policies

VARIANCES = np.array([1.0, 0.5, 0.25, 0.1])
RNG = np.random.default_rng


def turned(disagreement: float = 0.0, seed: int = 1) -> Problem:
    return two_policies(VARIANCES, disagreement, turn=ortho_group.rvs(5, random_state=seed))


def data(problem: Problem, n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    inputs = simulate.draw(problem, (n,), RNG(0))
    return inputs, simulate.labels(problem, inputs, RNG(1))


@pytest.mark.parametrize("lr", [0.01, 0.3, 0.6])
def test_exact_agreement_moves_neither_descent_nor_sgd_at_any_stable_learning_rate(lr: float):
    problem = turned()
    assert problem.transfer(simulate.descent(problem, *data(problem), lr, 500)) == pytest.approx(0, abs=1e-12)
    assert np.abs(problem.transfer(simulate.sgd(problem, lr, 500, 8, 5))).max() < 1e-12
    assert theory.sgd(problem, lr, 500, 8) == theory.Moments(pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-5))


def test_without_a_gradient_adam_stays_too():
    problem = turned()
    assert np.abs(problem.transfer(simulate.adam(problem, 0.1, 50, None, 1))).max() < 1e-9


@pytest.mark.parametrize("disagreement", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("steps", [1, 16, 256])
def test_disagreement_transfers_by_its_variance_times_the_learning_rate(disagreement: float, steps: int):
    problem = turned(disagreement)
    exact = theory.disagreement_transfer(disagreement, 0.2, steps)
    assert problem.transfer(theory.descent(problem, 0.2, steps)) == pytest.approx(exact)
    assert theory.sgd(problem, 0.2, steps, 16).mean == pytest.approx(exact)


def test_descent_on_a_data_set_is_the_formula_with_its_own_covariance():
    problem = turned(0.3)
    inputs, answers = data(problem)
    known = replace(problem, covariance=inputs.T @ inputs / len(inputs))
    ran = simulate.descent(problem, inputs, answers, 0.2, 100, decay=0.03)
    assert ran == pytest.approx(theory.descent(known, 0.2, 100, decay=0.03))


@pytest.mark.parametrize(("noise", "decay"), [(0.0, 0.0), (1.0, 0.0), (0.5, 0.05)])
def test_sgd_has_the_mean_and_the_spread_of_its_recursion(noise: float, decay: float):
    problem = replace(turned(0.2), noise=noise)
    exact = theory.sgd(problem, 0.1, 64, 8, decay)
    found = problem.transfer(simulate.sgd(problem, 0.1, 64, 8, 3000, decay=decay))
    assert found.mean() == pytest.approx(exact.mean, abs=4 * exact.sd / np.sqrt(3000))
    assert found.std() == pytest.approx(exact.sd, rel=0.06)


def test_sgd_with_a_fixed_preconditioner_has_them_too_and_leaves_the_span():
    problem = replace(turned(), noise=1.0)
    scale = 1 / np.sqrt(np.diag(problem.covariance))
    exact = theory.sgd(problem, 0.05, 64, 8, scale=scale)
    found = problem.transfer(simulate.sgd(problem, 0.05, 64, 8, 3000, scale=scale))
    assert exact.sd > 1e-3
    assert found.std() == pytest.approx(exact.sd, rel=0.06)


@pytest.mark.parametrize("disagreement", [0.0, 0.05, 0.3])
def test_label_noise_spreads_runs_as_the_formula_says_and_moves_no_mean(disagreement: float):
    problem = replace(turned(disagreement), noise=1.0)
    inputs = simulate.draw(problem, (64,), RNG(0))
    rng = RNG(1)
    drawn = [simulate.descent(problem, inputs, simulate.labels(problem, inputs, rng), 0.2, 60) for _ in range(800)]
    found = problem.transfer(np.array(drawn))
    exact = theory.noise_spread(inputs, problem, 0.2, 60)
    still = problem.transfer(simulate.descent(problem, inputs, inputs @ problem.target, 0.2, 60))
    assert found.std() == pytest.approx(exact, rel=0.08, abs=1e-12)
    assert found.mean() == pytest.approx(still, abs=4 * exact / np.sqrt(800) + 1e-12)


def test_weight_decay_forgets_an_added_behavior_and_stops_half_way_between_equal_ones():
    both = turned()
    added = replace(both, alternate=both.alternate - both.direction / 2, target=both.target - both.direction / 2)
    ends = [p.transfer(theory.descent(p, 0.5, 4000, decay=0.01)) for p in (both, added)]
    assert ends == pytest.approx([0.5, 1.0], abs=0.01)


def shifted(problem: Problem) -> Problem:
    values, vectors = np.linalg.eigh(problem.covariance)
    return replace(problem, target=problem.target + vectors[:, values > 1e-9].sum(axis=1))


def test_adams_first_step_is_the_sign_of_the_gradient_and_leaves_the_span():
    problem = shifted(turned())
    exact = theory.adam_first_step(problem, 0.01)
    assert abs(exact) > 1e-3
    assert problem.transfer(simulate.adam(problem, 0.01, 1, None, 1))[0] == pytest.approx(exact, rel=1e-4)


def test_at_equal_product_adam_with_noise_drifts_further_at_the_higher_learning_rate():
    noise = studies.optimizer(worlds=4, runs=4)["noise"]
    assert noise["adam"][0] > 3 * noise["adam"][-1] > 0
    assert max(noise["sgd"]) < 1e-12
    assert noise["adam"][-1] == pytest.approx(noise["preconditioned_exact"][-1], rel=0.8)


@pytest.mark.parametrize("second", [1.0, 2.0, 3.0])
def test_logistic_descent_follows_the_gradient_flow(second: float):
    two = TwoFeatures(1.0, second, 2.0)
    away = np.array([-2.0, 2.0])
    for steps, weights in zip([50, 500, 5000], simulate.logistic(two, 0.01, [50, 500, 5000]), strict=True):
        moved = (weights - [2.0, 0.0]) @ away / (away @ away)
        assert theory.logistic_transfer(two, 0.01 * steps) == pytest.approx(moved, abs=2e-3)


def test_the_eval_margin_is_zero_at_the_crossing_and_there_is_none_for_the_smaller_feature():
    two = TwoFeatures(1.0, 2.0, 2.0)
    crossing = theory.logistic_crossing(two)
    assert crossing is not None
    assert theory.logistic_eval_margin(two, crossing) == pytest.approx(0, abs=1e-6)
    assert theory.logistic_eval_margin(two, crossing / 2) > 0
    assert theory.logistic_crossing(TwoFeatures(2.0, 1.0, 2.0)) is None


def test_every_figure_of_the_page_says_how_to_read_it():
    template = (Path(__file__).parents[3] / "lab" / "templates" / "explain.html.j2").read_text(encoding="utf-8")
    figures = re.findall(r"<figure>.*?</figure>", template)
    assert len(figures) == 6
    assert all("<figcaption>How to read this: " in figure for figure in figures)

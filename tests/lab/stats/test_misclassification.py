"""A judge's counts are corrected by a labelled sample, with an interval that knows both errors."""

from __future__ import annotations

import numpy as np
import pytest

from lab.stats.intervals import wilson
from lab.stats.misclassification import Judge, Uninformative, correct_counts, rogan_gladen

GOOD = Judge(hits=45, positives=50, rejections=48, negatives=50)


def test_the_estimate_is_rogan_and_gladens():
    assert rogan_gladen(30, 100, GOOD).estimate == pytest.approx((0.30 + 0.96 - 1) / (0.90 + 0.96 - 1))


def test_a_rate_below_the_false_alarms_is_corrected_to_none():
    interval = rogan_gladen(2, 100, GOOD)
    assert interval.estimate == interval.lo == 0
    assert interval.hi > 0.02


@pytest.mark.parametrize("judge", [Judge(25, 50, 25, 50), Judge(10, 50, 30, 50), Judge(0, 5, 5, 5)])
def test_a_judge_no_better_than_chance_is_refused(judge: Judge):
    with pytest.raises(Uninformative, match="no better than chance"):
        rogan_gladen(30, 100, judge)


def test_a_sample_without_true_replies_is_refused():
    with pytest.raises(Uninformative, match="label more"):
        Judge(0, 0, 40, 50)
    with pytest.raises(ValueError, match="impossible counts"):
        Judge(6, 5, 40, 50)


def test_a_perfect_judge_on_many_labels_leaves_the_wilson_interval():
    corrected, plain = rogan_gladen(30, 100, Judge(10**6, 10**6, 10**6, 10**6)), wilson(30, 100)
    assert (corrected.lo, corrected.hi) == pytest.approx((plain.lo, plain.hi), abs=2e-3)


def test_the_fewer_labels_the_wider_the_interval_and_it_is_wider_than_one_that_knows_the_judge():
    few, many = rogan_gladen(60, 200, Judge(18, 20, 19, 20)), rogan_gladen(60, 200, Judge(900, 1000, 950, 1000))
    naive = wilson(60, 200)
    assert few.hi - few.lo > many.hi - many.lo > naive.hi - naive.lo


def pairs(matrix: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    return [pair for pair, count in matrix.items() for _ in range(count)]


TWO = pairs({("a", "a"): 45, ("a", "b"): 5, ("b", "b"): 48, ("b", "a"): 2})


def test_two_labels_by_the_full_matrix_are_rogan_gladen():
    found, single = correct_counts({"a": 30, "b": 70}, TWO)["a"], rogan_gladen(30, 100, GOOD)
    assert found.estimate == pytest.approx(single.estimate)
    assert (found.lo, found.hi) == pytest.approx((single.lo, single.hi), abs=0.02)


def test_three_labels_come_back_from_what_the_judge_makes_of_them():
    matrix = np.array([[80, 10, 10], [5, 90, 5], [20, 10, 70]])
    names = ["initial", "alternate", "other"]
    labelled = pairs({(a, b): int(matrix[i, j]) for i, a in enumerate(names) for j, b in enumerate(names)})
    truth = np.array([0.5, 0.3, 0.2])
    judged = np.rint(truth @ matrix / 100 * 10_000).astype(int)
    found = correct_counts(dict(zip(names, judged.tolist(), strict=True)), labelled)
    assert [found[name].estimate for name in names] == pytest.approx(truth.tolist(), abs=1e-3)
    assert all(found[name].lo <= t <= found[name].hi for name, t in zip(names, truth, strict=True))
    assert sum(interval.estimate for interval in found.values()) == pytest.approx(1)


def test_a_judge_that_turns_labels_round_is_refused_though_its_matrix_can_be_inverted():
    turned = pairs({("a", "b"): 40, ("b", "c"): 40, ("c", "a"): 40})
    with pytest.raises(Uninformative, match="no more often"):
        correct_counts({"a": 10, "b": 10, "c": 10}, turned)


def test_a_label_that_was_never_labelled_is_refused_by_name():
    with pytest.raises(Uninformative, match="degenerate"):
        correct_counts({"a": 30, "b": 60, "degenerate": 10}, TWO)


def test_a_handful_of_labels_says_nothing():
    interval = correct_counts({"a": 30, "b": 70}, [("a", "a"), ("b", "b")])["a"]
    assert (interval.lo, interval.hi) == (0, 1)


def test_the_same_counts_give_the_same_interval():
    assert correct_counts({"a": 30, "b": 70}, TWO) == correct_counts({"b": 70, "a": 30}, TWO[::-1])

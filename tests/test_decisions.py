"""Decisions, calibration and metrics."""

from __future__ import annotations

import numpy as np
import pytest

from model.decisions import Decision, Decisions, ThemeDecision
from training.calibrate import CEILING, fit_decisions
from training.metrics import calibration_error, counts, f1, macro_f1, story_weights


def test_three_way_decision() -> None:
    rule = ThemeDecision(slope=2.0, intercept=0.0, threshold=0.5, lower=0.2, upper=0.7)
    assert [rule.decide(p) for p in (0.1, 0.2, 0.69, 0.7)] == [
        Decision.NONE, Decision.REVIEW, Decision.REVIEW, Decision.MATCH,
    ]  # fmt: skip
    assert rule.probability(0.0) == 0.5
    assert rule.probability(1e9) == pytest.approx(1.0)
    assert rule.probability(-1e9) == pytest.approx(0.0)


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="out of order"):
        ThemeDecision(1.0, 0.0, threshold=0.5, lower=0.6, upper=0.7)


def test_decisions_survive_json() -> None:
    decisions = Decisions({"a": ThemeDecision(1.5, -0.2, 0.4, 0.1, 0.6)})
    assert Decisions.from_dict(decisions.to_dict()) == decisions


def test_fitted_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 1)) * 3
    truth = rng.random((4000, 1)) < 1 / (1 + np.exp(-(0.5 * logits - 1)))  # an overconfident model
    rule = fit_decisions(logits, truth, ("a",)).themes["a"]
    scores = np.vectorize(rule.probability)(logits)
    assert calibration_error(truth, scores) < 0.03
    assert rule.lower <= rule.threshold <= rule.upper
    assert (scores[truth] >= rule.lower).mean() >= 0.98


def test_the_band_does_not_hang_on_the_lowest_positive() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2000, 1)) * 2 - 1.5
    truth = rng.random((2000, 1)) < 1 / (1 + np.exp(-logits))
    cleared = truth & (logits > -1)  # as if, by luck, no positive had a low score
    for labels in (truth, cleared):
        rule = fit_decisions(logits, labels, ("a",)).themes["a"]
        assert rule.lower < 0.06  # the lowest positive of the latter has 0.15
    assert rule.probability(float(logits[cleared].min())) > 0.14


def test_what_is_one_in_ten_likely_is_shown_to_a_person() -> None:
    logits = np.concatenate([np.linspace(-9, -5, 900), np.linspace(3, 9, 100)])[:, None]  # found surely, or not at all
    rule = fit_decisions(logits, logits > 0, ("a",)).themes["a"]
    assert rule.lower == pytest.approx(CEILING)
    assert rule.threshold > CEILING


def test_a_theme_without_examples_gets_a_plain_rule() -> None:
    rule = fit_decisions(np.zeros((5, 1)), np.zeros((5, 1), dtype=bool), ("a",)).themes["a"]
    assert rule.threshold == 0.5


def test_f1_by_hand() -> None:
    truth = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], dtype=bool)
    said = np.array([[1, 0], [0, 0], [1, 0], [0, 1]], dtype=bool)
    assert f1(*counts(truth, said))[0].tolist() == [0.5, 1.0]
    interval = macro_f1(truth, said, ["a", "b", "c", "d"])
    assert interval.value == 0.75
    assert interval.low <= 0.75 <= interval.high


def test_bootstrap_draws_whole_stories() -> None:
    weights = story_weights(["x", "x", "y"], draws=50)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 0] + weights[:, 2] == 2).all()

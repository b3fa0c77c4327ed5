"""Pooling is the same in NumPy and torch, additive, and blind to how an article was cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.pooling import POOLINGS, contributions, head_width

SPANS = ((0, 5), (5, 12))


def _scores(pooling: str) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(12, head_width(pooling, 3))).astype(np.float32)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_numpy_equals_torch(pooling: str) -> None:
    scores, weights = _scores(pooling), np.full(12, 0.5, dtype=np.float32)
    ours = contributions(np, pooling, scores, weights, SPANS)
    theirs = contributions(torch, pooling, torch.tensor(scores), torch.tensor(weights), SPANS)
    assert ours.shape == (12, 3)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_mean_is_the_mean() -> None:
    scores = _scores("mean")
    parts = contributions(np, "mean", scores, np.ones(12, dtype=np.float32), SPANS)
    np.testing.assert_allclose(parts.sum(0), scores.mean(0), rtol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_an_overlap_counts_once(pooling: str) -> None:
    scores = _scores(pooling)
    once = contributions(np, pooling, scores, np.ones(12, dtype=np.float32), SPANS).sum(0)
    doubled = np.concatenate([scores, scores[8:]])
    weights = np.ones(16, dtype=np.float32)
    weights[8:] = 0.5
    twice = contributions(np, pooling, doubled, weights, ((0, 12), (12, 16))).sum(0)
    np.testing.assert_allclose(once, twice, rtol=1e-5)


def test_maximum_takes_the_strongest_window() -> None:
    scores = np.zeros((12, 1), dtype=np.float32)
    scores[5:] = 2.0
    parts = contributions(np, "max", scores, np.ones(12, dtype=np.float32), SPANS)
    assert parts.sum() == pytest.approx(2.0, abs=1e-4)

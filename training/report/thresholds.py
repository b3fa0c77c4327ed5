"""Where to cut: what each choice of threshold finds, gets wrong, and costs in reading a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.decisions import ThemeDecision
from training.metrics import Bools, Floats, f1


@dataclass(frozen=True)
class Aims:
    """What a threshold is chosen for.

    Attributes:
        per_day: articles that come in a day.
        reads: of these, articles a day that can be read for one theme.
        recall, precision: wanted, 0 to 1.
        prevalence: share, 0 to 1, of a day's articles that carry a theme; None: as in the data.
    """

    per_day: int = 1000
    reads: int = 50
    recall: float = 0.95
    precision: float = 0.9
    prevalence: float | None = None


@dataclass(frozen=True)
class _Cuts:
    """Every possible threshold, falling, with what it gives; all ``[cuts]``."""

    cut: Floats
    recall: Floats
    alarms: Floats  # share of articles without the theme that are flagged
    precision: Floats  # in the data
    f1: Floats

    def flagged(self, share: float, per_day: int) -> Floats:
        """Articles a day that reach the threshold, where ``share`` of them carry the theme."""
        out: Floats = per_day * (share * self.recall + (1 - share) * self.alarms)
        return out


def choices(truth: Bools, scores: Floats, served: ThemeDecision, aims: Aims) -> list[dict[str, Any]]:
    """One row for each way to choose the threshold of a theme; empty where the data lack either class.

    Args:
        truth: bool ``[articles]``.
        scores: calibrated probabilities ``[articles]``.
        served: the thresholds that the model comes with.
    """
    if truth.all() or not truth.any():
        return []
    cuts = _cuts(truth, scores)
    share = float(truth.mean()) if aims.prevalence is None else aims.prevalence
    daily = cuts.flagged(share, aims.per_day)
    picks = [
        ("F1 as high as it goes", int(np.argmax(cuts.f1))),
        (f"at least {aims.recall:.0%} found", _first(cuts.recall >= aims.recall)),
        (f"at least {aims.precision:.0%} right", _last(cuts.precision >= aims.precision)),
        (f"at most {aims.reads} to read a day", _last(daily <= aims.reads)),
    ]
    rows = [
        _row("match, as it comes", _at(truth, scores, served.upper), share, aims),
        _row("match or review, as it comes", _at(truth, scores, served.lower), share, aims),
    ]
    for name, index in picks:
        one = None if index is None else _take(cuts, index)
        rows.append({"choice": name, "threshold": None} if one is None else _row(name, one, share, aims))
    return rows


def workload(truth: Bools, scores: Floats, aims: Aims) -> list[list[float]]:
    """``[articles flagged a day, recall]`` of every threshold of one theme, thinned out."""
    if truth.all() or not truth.any():
        return []
    cuts = _cuts(truth, scores)
    share = float(truth.mean()) if aims.prevalence is None else aims.prevalence
    daily = cuts.flagged(share, aims.per_day)
    keep = np.unique(np.linspace(0, len(daily) - 1, min(80, len(daily))).round().astype(int))
    return [[round(float(daily[i]), 2), round(float(cuts.recall[i]), 4)] for i in keep]


def _cuts(truth: Bools, scores: Floats) -> _Cuts:
    order = np.argsort(-scores, kind="stable")
    p, y = scores[order], truth[order]
    last = np.append(p[1:] != p[:-1], True)  # equal scores are flagged together
    tp, fp = np.cumsum(y)[last].astype(float), np.cumsum(~y)[last].astype(float)
    wanted, free = float(truth.sum()), float((~truth).sum())
    return _Cuts(p[last], tp / wanted, fp / free, tp / (tp + fp), f1(tp, fp, wanted - tp))


def _at(truth: Bools, scores: Floats, cut: float) -> _Cuts:
    """What one given threshold gives, as a table of one cut."""
    said = scores >= cut
    tp, fp = float((said & truth).sum()), float((said & ~truth).sum())
    wanted, free = float(truth.sum()), float((~truth).sum())
    right = tp / (tp + fp) if said.any() else 1.0
    score = 2 * tp / (tp + fp + wanted)
    cuts, recall, alarms, precision, best = (np.asarray([x]) for x in (cut, tp / wanted, fp / free, right, score))
    return _Cuts(cuts, recall, alarms, precision, best)


def _take(cuts: _Cuts, index: int) -> _Cuts:
    at = slice(index, index + 1)
    return _Cuts(cuts.cut[at], cuts.recall[at], cuts.alarms[at], cuts.precision[at], cuts.f1[at])


def _row(name: str, one: _Cuts, share: float, aims: Aims) -> dict[str, Any]:
    daily = float(one.flagged(share, aims.per_day)[0])
    true = aims.per_day * share * float(one.recall[0])
    figures = {
        "threshold": one.cut[0], "precision": one.precision[0], "recall": one.recall[0], "f1": one.f1[0],
        "flagged_per_day": daily, "wrong_per_day": daily - true, "missed_per_day": aims.per_day * share - true,
    }  # fmt: skip
    return {"choice": name, **{key: max(0.0, round(float(value), 4)) for key, value in figures.items()}}


def _first(wanted: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(wanted)) if wanted.any() else None


def _last(wanted: NDArray[np.bool_]) -> int | None:
    return int(len(wanted) - 1 - np.argmax(wanted[::-1])) if wanted.any() else None

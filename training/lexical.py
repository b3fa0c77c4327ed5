"""Fit the linear part over word pieces (``model.lexical``), and settle by validation how much it counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.cache import progress
from model.lexical import Lexical, piece_counts
from model.windows import Encoded, Windower
from training.data import Item
from training.labels import label_mask
from training.measure import calibrated_log_loss
from training.prepare import Run
from training.table import truth_table

_C = 10.0  # inverse regularisation, as ``training.baselines.fit_tfidf``
_LEAST = 50  # validation articles that the weight may be chosen on
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # of its logits that are added to the network's


def carried(run: Run) -> Lexical | None:
    """The linear part of the model that a run starts from, kept where only a head or own articles are trained."""
    if run.start is None or run.config.lexical != "auto" or not (run.own_data or run.config.method == "head"):
        return None
    part = Lexical.load(run.start.folder)
    return part and part.widened(len(run.taxonomy.keys))


def wanted(run: Run) -> bool:
    """Whether a run fits a linear part: if told so, or by itself where enough articles say whether it helps."""
    if isinstance(run.config.lexical, bool):
        return run.config.lexical
    return carried(run) is None and len(run.validation) >= _LEAST


def fit_lexical(run: Run, windower: Windower, logits: NDArray[np.float64]) -> tuple[Lexical | None, dict[str, float]]:
    """The linear part of a run, scaled by what validation says; None where it says that it does not help.

    Args:
        logits: float64 ``[articles, themes]``, the network's for the validation articles.

    Returns:
        The part, and for the record the validation log loss at each weight, the one served first.
    """
    progress("fitting a linear part over word pieces…")
    keys = run.taxonomy.keys
    fitted = fit_pieces(run.train, [windower.encode(i.article, i.lang) for i in run.train], keys, windower.lead)
    own = np.stack([fitted.logits(windower.encode(i.article, i.lang), windower.lead) for i in run.validation])
    losses = {share: calibrated_log_loss(run.validation, logits + share * own, keys) for share in _SHARES}
    ranked = sorted(_SHARES, key=lambda share: losses[share])
    best = ranked[0]
    progress(f"validation log loss {losses[0.0]:.4f} without it, {losses[best]:.4f} with {best:g} times its logits")
    return fitted.scaled(best) if best else None, {f"linear part {share:g}": losses[share] for share in ranked}


def fit_pieces(items: Sequence[Item], encoded: Sequence[Encoded], keys: Sequence[str], lead: int) -> Lexical:
    """Logistic regression for each theme on sublinear TF-IDF of the articles' pieces."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    counted = [piece_counts(one, lead) for one in encoded]
    pieces, columns = np.unique(np.concatenate([found for found, _, _ in counted]), return_inverse=True)
    ends = np.cumsum([0, *(len(found) for found, _, _ in counted)])
    times = np.maximum(np.concatenate([t for _, _, t in counted]), 1.0)
    weigh = TfidfTransformer(sublinear_tf=True)
    table = weigh.fit_transform(csr_matrix((times, columns, ends), shape=(len(items), len(pieces))))
    truth, mask = truth_table(items, keys), label_mask(items, keys)
    weights, bias = np.zeros((len(pieces), len(keys)), np.float32), np.zeros(len(keys), np.float32)
    for k in range(len(keys)):
        labelled, answers = mask[:, k], truth[mask[:, k], k]
        if answers.all() or not answers.any():
            continue  # nothing to tell apart
        model = LogisticRegression(C=_C, class_weight="balanced", solver="liblinear").fit(table[labelled], answers)
        weights[:, k], bias[k] = model.coef_[0], model.intercept_[0]
    unseen = 1.0 + float(np.log(1 + len(items)))  # scikit-learn's, of a piece in no article
    return Lexical(pieces, weigh.idf_.astype(np.float32), weights, bias, unseen)

"""The worst mistakes: surest wrong alarms and deepest misses, with the sentences that led to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.classifier import ThemeClassifier
from training.report.scored import Scored

_CUT = 6000  # characters of a text that are shown


def worst_mistakes(classifier: ThemeClassifier, scored: Scored, most: int, texts: bool) -> list[dict[str, Any]]:
    """At most ``most`` articles with a wrong match or a lost theme, the worst first.

    How bad: the distance of the score from the label. A theme in the review band is no mistake.

    Args:
        texts: whether titles, texts and evidence go into the rows.
    """
    wrong = (scored.said & ~scored.truth) | (scored.truth & ~scored.kept)
    badness = np.where(wrong, np.abs(scored.truth - scored.scores), 0.0)
    order = np.argsort(-badness.max(axis=1), kind="stable")
    rows = [int(i) for i in order if wrong[i].any()][:most]
    explained = classifier.predict([scored.items[i].article for i in rows]) if texts and rows else []
    out = []
    for place, i in enumerate(rows):
        item, result = scored.items[i], scored.results[i]
        row: dict[str, Any] = {
            "id": item.id, "lang": item.lang, "labelled": list(item.themes),
            "matched": [k for k, said in zip(scored.keys, scored.said[i], strict=True) if said],
            "wrong": {
                key: {
                    "mistake": "wrong match" if scored.said[i, k] else "missed",
                    "score": round(result.scores[key], 4),
                }
                for k, key in enumerate(scored.keys) if wrong[i, k]
            },
        }  # fmt: skip
        if texts:
            row["title"], row["text"], row["cut"] = item.title, item.text[:_CUT], len(item.text) > _CUT
            found = explained[place].evidence
            row["evidence"] = {key: [e.to_dict() for e in found.get(key, ())] for key in row["wrong"]}
        out.append(row)
    return out

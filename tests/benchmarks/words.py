"""What the linear part over word pieces adds, in languages it was fitted on and in others.

``python -m tests.benchmarks.words [--model DIR]``: the network alone and with the linear part, on the corpus' held-out
parts; then validation articles answered with a linear part fitted without their languages (in six groups).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.classifier import ThemeClassifier
from model.decisions import Decisions
from model.errors import DataError
from model.lexical import Lexical
from training.calibrate import fit_decisions
from training.config import CORPUS, Split
from training.data import Item, load_items
from training.lexical import fit_pieces
from training.measure import logits_of, measure
from training.splits import split_items
from training.table import predict_items, truth_table

Logits = NDArray[np.float64]
GROUPS = 6


@dataclass(frozen=True)
class Words:
    """Logits of linear parts on articles."""

    classifier: ThemeClassifier
    keys: tuple[str, ...]
    weight: float

    def fit(self, items: Sequence[Item]) -> Lexical:
        """As training does, at the weight that validation settled."""
        windower = self.classifier.windower
        encoded = [windower.encode(i.article, i.lang) for i in items]
        return fit_pieces(items, encoded, self.keys, windower.lead).scaled(self.weight)

    def logits(self, part: Lexical, items: Sequence[Item]) -> Logits:
        windower = self.classifier.windower
        return np.stack([part.logits(windower.encode(i.article, i.lang), windower.lead) for i in items]).astype(float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    classifier = ThemeClassifier.load(parser.parse_args().model)
    served, keys, record = classifier.lexical, classifier.artifact.taxonomy.keys, classifier.artifact.training
    weights = [float(k.split()[-1]) for entry in record["history"] for k in entry if k.startswith("linear part")]
    if served is None or not weights:
        raise DataError("this model has no linear part of its own", where=classifier.artifact.folder)
    words = Words(classifier, keys, weights[0])
    parts = split_items(load_items([CORPUS], keys), Split(**record["config"]["split"]), record["config"]["seed"])
    held = parts.validation
    sets = {"validation": held, "test": parts.test, "unseen languages": parts.unseen}
    classifier.lexical = None
    alone = {name: logits_of(predict_items(classifier, items), keys) for name, items in sets.items()}
    both = {name: logits + words.logits(served, sets[name]) for name, logits in alone.items()}

    print(f"{classifier.artifact.label()}: a linear part over {len(served.pieces)} pieces, at weight {weights[0]:g}\n")
    print("| articles | logits | macro-F1 | log loss |")
    print("|---|---|---|---|")
    by_network = fit_decisions(alone["validation"], truth_table(held, keys), keys)
    by_both = fit_decisions(both["validation"], truth_table(held, keys), keys)
    for name, items in sets.items():
        row(f"{name} | network alone", items, alone[name], by_network, keys)
        row(f"{name} | with the linear part", items, both[name], by_both, keys)

    left, full = np.zeros_like(alone["validation"]), np.zeros_like(alone["validation"])
    languages = np.random.default_rng(0).permutation(sorted({item.lang for item in parts.train}))
    for group in np.array_split(languages, GROUPS):
        part = words.fit([item for item in parts.train if item.lang not in group])
        at = [n for n, item in enumerate(held) if item.lang in group]
        left[at] = words.logits(part, [held[n] for n in at])
        full[at] = words.logits(replace(part, unseen=0.0), [held[n] for n in at])
    row("validation | fitted without their languages", held, alone["validation"] + left, by_both, keys)
    row("validation | the same, not by the share it knows", held, alone["validation"] + full, by_both, keys)


def row(name: str, items: Sequence[Item], logits: Logits, decisions: Decisions, keys: tuple[str, ...]) -> None:
    """One line of the table: thresholds and calibration are those fitted on validation articles."""
    from sklearn.metrics import log_loss

    figures, truth = measure(items, logits, decisions, keys), truth_table(items, keys)
    losses = [
        log_loss(truth[:, k], [rule.probability(float(z)) for z in logits[:, k]], labels=[False, True])
        for k, rule in enumerate(decisions.themes.values())
    ]
    print(f"| {name} | {figures['macro_f1']['value']:.3f} | {np.mean(losses):.4f} |", flush=True)


if __name__ == "__main__":
    main()

"""Fit calibration and thresholds anew: ``python -m training.recalibrate CONFIG MODEL_DIR``.

For a model trained already: by the engine that serves it, on the validation part that its configuration
and data give; weights stay as they are. Measures the held-out parts again and seals the folder.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.artifact import Artifact, seal
from model.cache import progress
from model.classifier import ThemeClassifier
from model.errors import DataError
from model.layout import LAYOUT
from training.calibrate import fit_decisions
from training.card import write_card
from training.config import load_config
from training.data import digest
from training.prepare import Run, prepare
from training.table import evaluate_items, predict_items, truth_table
from training.write import training_record


def recalibrate(run: Run, folder: Path) -> Artifact:
    """Replace decisions, metrics and card of the artifact in ``folder``.

    Raises:
        DataError: ``run``'s training part is not what the model was trained on.
    """
    classifier = ThemeClassifier.load(folder)
    keys, record = run.taxonomy.keys, dict(classifier.artifact.training)
    if record["data"]["train"]["sha256"] != digest(run.parts.train):
        raise DataError("the model was trained on other articles", where=folder, remedy="give its own configuration")
    progress("calibrating on validation data…")
    results = predict_items(classifier, run.parts.validation)
    logits = np.asarray([[result.logits[key] for key in keys] for result in results])
    decisions = fit_decisions(logits, truth_table(run.parts.validation, keys), keys)
    classifier.artifact = replace(classifier.artifact, decisions=decisions)
    progress("measuring on the held-out parts…")
    named = {"validation": run.parts.validation, "test": run.parts.test, "unseen": run.parts.unseen}
    metrics = {name: evaluate_items(classifier, part) for name, part in named.items() if part}
    kept = {key: record[key] for key in ("parity", "versions") if key in record}
    record = training_record(run, record["history"], metrics) | kept
    facts = json.loads((folder / LAYOUT.manifest).read_text("utf-8"))
    for key in ("kind", "format", "written_by", "files"):
        facts.pop(key, None)
    for name, value in ((LAYOUT.decisions, decisions.to_dict()), (LAYOUT.training, record)):
        (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
    write_card(folder / LAYOUT.card, run.config, run.taxonomy, record)
    return seal(folder, facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("model", type=Path)
    args = parser.parse_args()
    artifact = recalibrate(prepare(load_config(args.config)), args.model)
    for name, table in artifact.training["metrics"].items():
        print(f"{name}: macro-F1 {table['macro_f1']['value']:.3f}, recall at review {table['recall_at_review']:.3f}")


if __name__ == "__main__":
    main()

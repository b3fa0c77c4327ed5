"""Fit calibration and thresholds anew: ``python -m training.recalibrate CONFIG MODEL_DIR``.

For a model trained already: by the engine that serves it, on the validation articles that its configuration and data
give (replayed ones too; give --data, --from, --replay and --themes as in training); weights stay as they are. Measures
the held-out parts again and puts a newly sealed folder in the old one's place.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.artifact import Artifact, seal
from model.classifier import ThemeClassifier
from model.errors import ArtifactError, DataError
from model.layout import LAYOUT
from model.windows import Windower
from training.build import build_network
from training.card import write_card
from training.config import load_config
from training.data import digest
from training.measure import calibrate, logits_of
from training.prepare import Run, prepare
from training.reliable import with_reliable_negatives
from training.run import feature_store
from training.table import predict_items
from training.write import training_record, write_json


def recalibrate(run: Run, folder: Path) -> Artifact:
    """Replace decisions, metrics and card of the artifact in ``folder``, all at once.

    Raises:
        DataError: ``run``'s training articles are not what the model was trained on, or it was calibrated by
            cross-validation, or there is nothing to calibrate on.
        ArtifactError: the folder belongs to a registry.
    """
    classifier = ThemeClassifier.load(folder)
    keys, record = run.taxonomy.keys, classifier.artifact.training
    _refuse(run, folder, record)
    run = _judged(run)
    decisions, metrics = calibrate(run, lambda items: logits_of(predict_items(classifier, items), keys))
    kept = {key: record[key] for key in ("parity", "versions", "linear_part") if key in record}
    return _rewrite(run, folder, decisions.to_dict(), training_record(run, record["history"], metrics) | kept)


def _refuse(run: Run, folder: Path, record: dict[str, Any]) -> None:
    if not (folder / LAYOUT.manifest).stat().st_mode & 0o222:
        raise ArtifactError(
            "a registry's model never changes", where=folder, remedy="recalibrate its source, and add that"
        )
    if record["config"]["method"] == "head":
        raise DataError(
            "its head was calibrated as it was trained", where=folder,
            remedy="train it again: with kept features that takes no longer",
        )  # fmt: skip
    replayed = digest(run.replay.parts.train) if run.replay else None
    recorded = (record.get("replay") or {}).get("train", {}).get("sha256")
    if record["data"]["train"]["sha256"] != digest(run.parts.train) or recorded != replayed:
        raise DataError(
            "the model was trained on other articles", where=folder,
            remedy="give its own configuration, and --data, --from and --replay as in training",
        )  # fmt: skip
    if not run.validation:
        raise DataError("no validation articles to calibrate on", where=folder)


def _judged(run: Run) -> Run:
    """With replayed articles labelled for new themes, as ``training.run.train`` does it."""
    if run.replay is None or not run.replay.unknown:
        return run
    windower = Windower.from_folder(run.encoder, run.config.windows.build())
    store = feature_store(run, build_network(run, windower.lead))
    return replace(run, replay=with_reliable_negatives(run.replay, run.parts.train, run.taxonomy.keys, store, windower))


def _rewrite(run: Run, folder: Path, decisions: dict[str, Any], record: dict[str, Any]) -> Artifact:
    facts = json.loads((folder / LAYOUT.manifest).read_text("utf-8"))
    for key in ("kind", "format", "written_by", "files"):
        facts.pop(key, None)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        shutil.copytree(folder, new, dirs_exist_ok=True)
        for name, value in ((LAYOUT.decisions, decisions), (LAYOUT.training, record)):
            write_json(new / name, value)
        write_card(new / LAYOUT.card, run.config, run.taxonomy, record)
        seal(new, facts)
        new.chmod(0o755)
        shutil.rmtree(folder)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Artifact.load(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, action="append")
    parser.add_argument("--from", dest="start", help="released, or a model folder")
    parser.add_argument("--replay", type=float)
    parser.add_argument("--themes", type=Path)
    args = parser.parse_args()
    start = args.start if args.start in (None, "released", "encoder") else str(Path(args.start).resolve())
    given = {"start": start, "replay": args.replay, "taxonomy": args.themes.resolve() if args.themes else None}
    config = load_config(args.config, **{key: value for key, value in given.items() if value is not None})
    artifact = recalibrate(prepare(config, args.data), args.model.resolve())
    for name, table in artifact.training["metrics"].items():
        macro = table["macro_f1"]
        print(f"{name}: macro-F1 {macro['value']:.3f}" if macro else f"{name}: no theme occurs", end=", ")
        print(f"recall at review {table['recall_at_review']}")


if __name__ == "__main__":
    main()

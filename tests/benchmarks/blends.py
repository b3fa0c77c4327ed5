"""How models on the way from one to another do, on written and on real articles.

``python -m tests.benchmarks.blends OLD [--model NEW] [--steps 0 0.5 1 1.5]``: weights (head and adapter) that far on
the way from the model OLD to NEW, which started from it; 1 is NEW, more lies beyond. All have NEW's linear part, and
thresholds and calibration fitted on validation articles.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from model.artifact import RELEASED, Artifact
from model.errors import DataError
from model.lexical import Lexical
from model.windows import Windower
from tests.benchmarks.quality import data_sets
from tests.benchmarks.words import row
from training.build import build_network, in_memory
from training.calibrate import fit_decisions
from training.config import TrainConfig
from training.measure import logits_of
from training.prepare import prepare
from training.soup import blended, copied, put
from training.table import predict_items, truth_table
from training.trainer import precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("--model", default=RELEASED)
    parser.add_argument("--steps", type=float, nargs="+", default=[0.0, 0.5, 1.0, 1.5])
    args = parser.parse_args()
    old, new = Artifact.load(args.old), Artifact.load(args.model)
    if (old.taxonomy.keys, old.backbone_sha256, old.windows) != (new.taxonomy.keys, new.backbone_sha256, new.windows):
        raise DataError("not two stages of one model: themes, encoder or windows differ", where=old.folder)
    settings = new.training["config"] | {"start": str(old.folder)}
    run = prepare(TrainConfig.model_validate(settings | {"taxonomy": str(new.folder / "taxonomy.yaml")}))
    windower = Windower.from_folder(run.encoder, run.config.windows.build())
    network, ahead = build_network(run, windower.lead), build_network(replace(run, start=new), windower.lead)
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    before, after = copied(trained), copied({name: p for name, p in ahead.named_parameters() if p.requires_grad})
    part, dtype, keys = Lexical.load(new.folder), precision(run.config.precision, "cpu"), new.taxonomy.keys
    served = in_memory(run, network, windower, dtype=dtype, lexical=part)
    served.artifact = replace(served.artifact, training=new.training)  # by which the corpus is split
    sets = {"validation": run.parts.validation} | data_sets(served)
    print(f"from {old.label()} to {new.label()}\n\n| step | articles | macro-F1 | log loss |\n|---|---|---|---|")
    for step in args.steps:
        put(trained, blended(before, after, step))
        logits = {name: logits_of(predict_items(served, items), keys) for name, items in sets.items()}
        decisions = fit_decisions(logits["validation"], truth_table(sets["validation"], keys), keys)
        for name, items in sets.items():
            row(f"{step:g} | {name}", items, logits[name], decisions, keys)


if __name__ == "__main__":
    main()

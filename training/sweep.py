"""Compare settings on validation data: ``python -m training.sweep configs/sweep.yaml``.

The test part is never looked at. Each run's history is added to ``training/sweep.json`` as it ends,
with the digest of the data it saw; ``training/SWEEP.md`` is the same as a table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from model.windows import Windower
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data import digest
from training.lexical import carried
from training.metrics import macro_f1
from training.run import Run, augmenter, build_network, in_memory, prepare
from training.table import truth_table
from training.trainer import Trainer

RECORD = Path(__file__).parent / "sweep.json"


def run_one(run: Run) -> list[dict[str, float]]:
    """Train one setting; the history has validation macro-F1 and mean average precision by epoch."""
    from sklearn.metrics import average_precision_score

    keys, held = run.taxonomy.keys, run.parts.validation
    windower = Windower.from_folder(run.encoder, run.config.windows.build())
    network = build_network(run, windower.lead)
    served = in_memory(run, network, windower, lexical=carried(run))
    truth = truth_table(held, keys)
    here = truth.any(axis=0)  # a theme that no validation article carries has no average precision

    def validate() -> dict[str, float]:
        results = served.predict([item.article for item in held], explain=False)
        logits = np.asarray([[r.logits[key] for key in keys] for r in results])
        return {
            "macro_f1": macro_f1(truth, logits > 0, [item.story for item in held]).value,
            "average_precision": float(average_precision_score(truth[:, here], logits[:, here], average="macro")),
        }

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder) / "run", "sweep")
        return Trainer(run.config, network, windower, keys, augmenter(run), validate, checkpoint).fit(run.parts.train)


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``change`` laid over it, section by section."""
    out = dict(base)
    for key, value in change.items():
        out[key] = merged(base.get(key, {}), value) if isinstance(value, dict) else value
    return out


def table(records: list[dict[str, Any]]) -> str:
    """The record as Markdown, best average precision first."""
    lines = [
        "# Settings tried", "",
        "Made by `python -m training.sweep configs/sweep.yaml`; validation data only, the last epoch's figures.", "",
        "| setting | changes | train articles | epochs | macro-F1 at 0.5 | average precision | minutes |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in sorted(records, key=lambda r: -r["history"][-1]["average_precision"]):
        last = row["history"][-1]
        lines.append(
            f"| {row['name']} | `{json.dumps(row['changes'])}` | {row['train']} | {len(row['history'])} "
            f"| {last['macro_f1']:.3f} | {last['average_precision']:.3f} | {row['minutes']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path)
    path: Path = parser.parse_args().settings
    spec = yaml.safe_load(path.read_text("utf-8"))
    base = merged(spec["base"], {"taxonomy": str(path.parent / spec["base"]["taxonomy"])})
    ready = prepare(TrainConfig.model_validate(base))
    records = json.loads(RECORD.read_text("utf-8")) if RECORD.is_file() else []
    data = digest(ready.parts.train)
    for name, changes in spec["runs"].items():
        if any(row["name"] == name and row["data"] == data for row in records):
            continue
        config = TrainConfig.model_validate(merged(base, changes))
        started = time.time()
        history = run_one(Run(config, ready.taxonomy, ready.parts, ready.encoder))
        records.append(
            {"name": name, "changes": changes, "base": spec["base"], "data": data,
             "train": len(ready.parts.train), "history": history, "minutes": (time.time() - started) / 60}
        )  # fmt: skip
        RECORD.write_text(json.dumps(records, indent=1), "utf-8")
        RECORD.with_name("SWEEP.md").write_text(table(records), "utf-8")
        print(f"{name}: {history[-1]}", flush=True)


if __name__ == "__main__":
    main()

"""The quality gate: the served model must hold committed floors on a small committed set.

``python -m training.gate`` checks; ``--write`` raises floors to the present figures, less a margin, and lowers
only those that ``--allow-lower NAME`` names. The set is part of the corpus' test part:
the model never saw it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from model.classifier import ThemeClassifier
from training.data import load_items
from training.table import evaluate_items

HERE = Path(__file__).parent.parent / "tests" / "data"
SET, FLOORS = HERE / "gate.jsonl", HERE / "floors.json"
_MARGIN = 0.02  # engines and versions move a figure a little


def gate_figures(classifier: ThemeClassifier) -> dict[str, float]:
    """Figures the floors are about; for all of them more is better."""
    keys = classifier.artifact.taxonomy.keys
    items = load_items([SET], keys)
    table = evaluate_items(classifier, items)
    plain = [item for item in items if not item.themes]
    alarms = sum(row["false_alarms"] for row in evaluate_items(classifier, plain)["languages"].values())
    out = {
        "macro_f1": table["macro_f1"]["value"],
        "recall_at_review": table["recall_at_review"],
        "calibration": 1 - table["calibration_error"],
        "quiet_on_plain": 1 - alarms / len(plain),
    }
    return out | {f"f1_{key}": row["f1"]["value"] for key, row in table["themes"].items()}


def below(figures: dict[str, float], floors: dict[str, float]) -> list[str]:
    """What falls short, in words; floors of figures that were not measured are left alone."""
    known = {name: low for name, low in floors.items() if name in figures}
    return [f"{n} {figures[n]:.3f} is below its floor {low:.3f}" for n, low in known.items() if figures[n] < low]


def write_floors(figures: dict[str, float], allowed: Collection[str] = ()) -> list[str]:
    """Raise floors, lower those ``allowed`` to fall. Returns what else is below its floor: then nothing is written."""
    new = {name: round(max(0.0, value - _MARGIN), 3) for name, value in figures.items()}
    old: dict[str, Any] = json.loads(FLOORS.read_text("utf-8")) if FLOORS.is_file() else {}
    if short := below(figures, {name: low for name, low in old.items() if name not in allowed}):
        return short
    kept = {name: value if name in allowed else max(value, old.get(name, 0.0)) for name, value in new.items()}
    FLOORS.write_text(json.dumps({**old, **kept}, indent=1) + "\n", "utf-8")
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--write", action="store_true", help="record the present figures as floors")
    parser.add_argument("--allow-lower", nargs="+", default=[], metavar="NAME", help="figures whose floor may fall")
    args = parser.parse_args()
    if args.allow_lower and not args.write:
        parser.error("--allow-lower goes with --write")
    figures = gate_figures(ThemeClassifier.load(args.model))
    print("\n".join(f"{name} {value:.3f}" for name, value in figures.items()))
    if unknown := sorted(set(args.allow_lower) - set(figures)):
        parser.error(f"--allow-lower {' '.join(unknown)}: no such figure; they are listed above")
    if args.write:
        problems = [f"{line} (not lowered without --allow-lower)" for line in write_floors(figures, args.allow_lower)]
    else:
        problems = below(figures, json.loads(FLOORS.read_text("utf-8")))
    print("\n".join(problems) or "gate passed")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()

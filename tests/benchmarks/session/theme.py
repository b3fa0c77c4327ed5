"""Part two: a fifth theme from a taxonomy entry and 40 labelled articles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.session.transcript import ROOT, StepError, Transcript

LEAST_F1, MOST_MOVED = 0.6, 0.01  # of the fifth theme on its test articles; of the four others' macro-F1


def fifth_theme(t: Transcript) -> None:
    """A theme added by a taxonomy entry and 40 labelled articles."""
    t.say("## A fifth theme from 40 articles in 8 languages")
    t.say("`themes_grooming.yaml` is `configs/themes.yaml` with one more entry. No code changes.")
    t.run("diff configs/themes.yaml themes_grooming.yaml", wanted=1, most=12)
    t.run("themewatch data check grooming_train.jsonl --themes themes_grooming.yaml")
    options = "--themes themes_grooming.yaml --data grooming_train.jsonl --out models/grooming --name grooming"
    t.run(f"themewatch train configs/head.yaml --from released {options}")
    measure = "themewatch evaluate --data grooming_test.jsonl --model models/grooming --no-baselines"
    measure += " --trained-on grooming_train.jsonl"
    t.run(measure, most=40)
    code, told = t.quiet(f"{measure} --json 2>/dev/null")
    if code:
        raise StepError(f"evaluate --json ended with {code}")
    themes = json.loads(told.strip().splitlines()[-1])["model"]["themes"]
    (added,) = set(themes) - {entry["key"] for entry in _themes(ROOT / "configs" / "themes.yaml")}
    f1 = themes[added]["f1"]
    t.check(
        f1["value"] >= LEAST_F1,
        f"F1 of {added} on its 40 test articles is {f1['value']:.3f} [{f1['low']:.3f}, {f1['high']:.3f}]",
    )
    t.say("The four old themes, on the corpus' test part, before and after:")
    told = t.run("themewatch models compare released models/grooming", most=10,
                 keep=("calibration", "false alarms", "refused"))  # fmt: skip
    found = re.search(r"^macro-F1: ([\d.]+) → ([\d.]+)", told, re.M)
    if found is None:
        raise StepError("models compare told no macro-F1")
    old, new = float(found[1]), float(found[2])
    t.check(abs(new - old) <= MOST_MOVED, f"macro-F1 of the four old themes: {old:.3f} before, {new:.3f} after")


def _themes(path: Path) -> list[dict[str, Any]]:
    themes: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))["themes"]
    return themes

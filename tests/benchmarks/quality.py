"""How good the model is, on everything at hand: ``python -m tests.benchmarks.quality [--model DIR] [--json FILE]``.

In-corpus test part, unseen languages, real articles in ``../shared/data`` where they are, false alarms on
general news, calibration, robustness to page noise; beside keyword rules, TF-IDF and the frozen encoder.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from model.classifier import ThemeClassifier
from model.decisions import Decision
from training.baselines import baseline_tables, fit_baselines
from training.config import CORPUS, Split
from training.data import Item, load_items, read_items
from training.robustness import robustness
from training.splits import split_items
from training.table import evaluate_items, predict_items

SHARED = Path(__file__).parents[3] / "shared" / "data"


def figure(interval: dict[str, float] | None) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" if interval else "n/a"


def data_sets(classifier: ThemeClassifier) -> dict[str, list[Item]]:
    """Name to labelled articles; the corpus is split as it was for training."""
    keys, settings = classifier.artifact.taxonomy.keys, classifier.artifact.training["config"]
    parts = split_items(load_items([CORPUS], keys), Split(**settings["split"]), settings["seed"])
    sets = {"corpus test": parts.test, "unseen languages": parts.unseen}
    if (SHARED / "real_dev.jsonl").is_file():
        real, _ = read_items([SHARED / "real_dev.jsonl"], keys)
        for kind in ("restated_news", "us_doj_release"):
            sets[f"real: {kind}"] = [item for item in real if item.extra["kind"] == kind]
    return sets


def false_alarms(classifier: ThemeClassifier) -> dict[str, Any]:
    """Matches and reviews on general news that carries (nearly) no theme."""
    items, _ = read_items([SHARED / "general_news_dev.jsonl"], classifier.artifact.taxonomy.keys, labelled=False)
    results = predict_items(classifier, items)
    flagged: list[dict[str, Any]] = []
    for item, result in zip(items, results, strict=True):
        decisions = {key: d.value for key, d in result.decisions.items() if d is not Decision.NONE}
        if decisions:
            scores = {key: round(result.scores[key], 3) for key in decisions}
            flagged.append({"id": item.id, "lang": item.lang, "source": item.extra.get("source"),
                            "decisions": decisions, "scores": scores})  # fmt: skip
    matched = [row for row in flagged if "match" in row["decisions"].values()]
    languages = Counter(item.lang for item in items)
    by_language = Counter(row["lang"] for row in matched)
    return {
        "articles": len(items), "match": len(matched) / len(items),
        "review": (len(flagged) - len(matched)) / len(items),
        "worst_language": max(((n / languages[lang], lang) for lang, n in by_language.items()), default=(0.0, "")),
        "flagged": flagged,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--json", type=Path, help="also write everything here")
    parser.add_argument("--no-baselines", action="store_true")
    parser.add_argument("--no-general", action="store_true", help="leave out false alarms on general news")
    parser.add_argument("--no-noise", action="store_true", help="leave out robustness to page noise")
    args = parser.parse_args()
    classifier = ThemeClassifier.load(args.model, args.engine)
    out: dict[str, Any] = {"model": classifier.artifact.version, "engine": classifier.engine.name}
    print(f"{classifier.artifact.name} {classifier.artifact.version}, engine {classifier.engine.name}\n")
    print("| data | articles | system | macro-F1 (95 %) | lowest language (macro-F1) | ECE | recall at review |")
    print("|---|---|---|---|---|---|---|")
    scorers = {} if args.no_baselines else fit_baselines(classifier)
    sets = data_sets(classifier)
    for name, items in sets.items():
        tables: dict[str, Any] = {"themewatch": evaluate_items(classifier, items)}
        tables |= baseline_tables(scorers, items, classifier.artifact.taxonomy.keys)
        out[name] = tables
        for system, table in tables.items():
            languages = {k: r["macro_f1"] for k, r in table["languages"].items() if r["macro_f1"] is not None}
            lowest = min(languages, key=lambda k: languages[k])
            cells = [name, table["items"], system, figure(table["macro_f1"]), f"{lowest} {languages[lowest]:.2f}"]
            cells += [table.get("calibration_error", ""), table.get("recall_at_review", "")]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    if (SHARED / "general_news_dev.jsonl").is_file() and not args.no_general:
        alarms = out["general news"] = false_alarms(classifier)
        share, lang = alarms["worst_language"]
        print(
            f"\nGeneral news: {alarms['articles']} articles, match {alarms['match']:.2%}, review {alarms['review']:.2%}"
        )
        print(f"most matches in one language: {share:.1%} {lang}")
        for row in alarms["flagged"]:
            print(f"  {row['id']} {row['lang']} {row['source']}: {row['decisions']} {row['scores']}")
    if not args.no_noise:
        print("\n| noise on the corpus test part | macro-F1 | change |\n|---|---|---|")
        noisy = out["robustness"] = robustness(classifier, sets["corpus test"])
        clean = noisy["clean"]["macro_f1"]["value"]
        for name, table in noisy.items():
            print(f"| {name} | {figure(table['macro_f1'])} | {table['macro_f1']['value'] - clean:+.3f} |")
    if args.json:
        args.json.write_text(json.dumps(out, indent=1, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()

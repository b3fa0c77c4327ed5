"""This project's training, unchanged, on news topics of nine African languages: MasakhaNEWS (Adelani et al. 2023).

``python -m tests.benchmarks.masakhanews [--languages eng swa] [--parts few full lora] [--draws 10] [--out FILE]``

few:  8 and 10 articles a topic, ``configs/head.yaml`` (frozen encoder), amh eng fra hau swa tir
lora: the same articles, ``configs/base.yaml`` (LoRA), ``--lora-draws`` of the draws; minutes each; not by default
full: all of train.tsv, ``configs/base.yaml``, dev.tsv as validation, lin pcm yor

Bodies without headlines. Each article has one topic, and this project answers for each topic alone, so the answer is
the highest topic. By what, follows from the data: with few articles by logit, since every draw holds as many of each
topic, and Platt scaling on eight positives adds noise to the comparison; with full training by calibrated probability,
since topics are uneven and their weights in the loss differ. The tables show both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from model.cache import progress
from model.classifier import ThemeClassifier
from model.windows import Encoded
from tests.benchmarks.masakhanews_data import (
    DATA,
    Scores,
    answer,
    configuration,
    draw,
    gold,
    prepared,
    quiet,
    read_articles,
    some,
    tfidf,
    topics_of,
    train_in_memory,
)
from training.data import Item
from training.run import train

FEW, FULL, SIZES = ("amh", "eng", "fra", "hau", "swa", "tir"), ("lin", "pcm", "yor"), (8, 10)
# MTEB's linear probe on frozen multilingual-e5-small, 8 articles a topic: accuracy (see ../shared/data/README.md)
PUBLISHED = {"amh": 0.846, "eng": 0.753, "fra": 0.738, "hau": 0.732, "swa": 0.709, "tir": 0.674}
PUBLISHED_MEAN = 0.734  # of 16 languages; macro-F1 0.699
Row = dict[str, Any]


def figures(name: str, scores: Scores, test: Sequence[Item], keys: Sequence[str]) -> dict[str, float]:
    """Accuracy and macro-F1 of the highest topic."""
    from sklearn.metrics import f1_score

    truth, said = gold(test, keys), scores.argmax(axis=1)
    macro = f1_score(truth, said, labels=np.unique(truth), average="macro", zero_division=0)
    return {f"{name}_accuracy": float((truth == said).mean()), f"{name}_f1": float(macro)}


def few_shot(language: str, size: int, args: argparse.Namespace, method: str, cut: dict[str, list[Encoded]]) -> Row:
    """One row: the mean over draws of ``size`` articles a topic, by head or LoRA, beside TF-IDF on the same draws."""
    pool, test = read_articles(language, "train_10_per_label"), some(read_articles(language, "test"), args.limit_test)
    keys, started, baseline = topics_of(pool), time.perf_counter(), tfidf(pool, test)
    each: list[dict[str, float]] = []
    for drawn in draw(pool, size, args.draws if method == "head" else args.lora_draws):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if method == "head":
                with quiet():
                    run = prepared(configuration(folder, "head", keys), folder, drawn)
                classifier = train_in_memory(run, folder)
            else:
                config = configuration(folder, "base", keys, args.epochs, args.windows)
                train(prepared(config, folder, drawn), folder / "model")
                classifier = ThemeClassifier.load(folder / "model")
            each.append(_measured(classifier, test, keys, baseline(drawn), cut, f"{language}:{method}"))
        progress(f"{language}, {size} a topic, {method}, draw {len(each)}: {each[-1]['logit_accuracy']:.3f}")
    row = _row(language, method, each, test, pool, started)
    return row | {"per_topic": size, "published_accuracy": PUBLISHED.get(language)}


def full_training(language: str, args: argparse.Namespace) -> Row:
    """One row: LoRA on all of train.tsv, written and loaded again as a user would, beside TF-IDF."""
    own, held = read_articles(language, "train"), read_articles(language, "dev")
    test, started = some(read_articles(language, "test"), args.limit_test), time.perf_counter()
    keys = topics_of(own)
    kept = args.keep and args.keep.resolve() / language
    with contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        config = configuration(folder, "base", keys, args.epochs, args.windows, args.start, args.runs)
        run = prepared(config, folder, own, held)
        artifact = train(run, folder / "model")
        each = [_measured(ThemeClassifier.load(folder / "model"), test, keys, tfidf(own, test)(own), {}, "")]
    row = _row(language, "lora, full", each, test, own, started)
    return row | {"train_articles": len(own), "history": artifact.training["history"]}


def _measured(
    classifier: ThemeClassifier, test: Sequence[Item], keys: Sequence[str], baseline: Scores,
    cut: dict[str, list[Encoded]], name: str,
) -> dict[str, float]:  # fmt: skip
    encoded = cut.get(name) or cut.setdefault(name, [classifier.windower.encode(i.article) for i in test])
    answers = answer(classifier, encoded, keys)
    by = {"logit": answers.logits, "probability": answers.probabilities, "tfidf": baseline}
    return {key: value for kind, scores in by.items() for key, value in figures(kind, scores, test, keys).items()}


def _row(
    language: str, method: str, each: list[dict[str, float]], test: Sequence[Item], pool: Sequence[Item], since: float
) -> Row:
    """Means over draws; ``spread`` is the accuracy's standard deviation; ``in_both`` are left in, as published."""
    chosen, known = ("probability" if "full" in method else "logit"), {item.text.strip() for item in pool}
    row: Row = {"language": language, "method": method, "draws": len(each), "test_articles": len(test)}
    row |= {key: fmean(one[key] for one in each) for key in each[0]}
    row |= {"accuracy": row[f"{chosen}_accuracy"], "f1": row[f"{chosen}_f1"], "each": each}
    row |= {"spread": pstdev(one[f"{chosen}_accuracy"] for one in each)}
    row |= {"in_both": sum(item.text.strip() in known for item in test)}
    return row | {"minutes": (time.perf_counter() - since) / 60}


def table(rows: Sequence[Row]) -> str:
    """A Markdown table of all rows."""
    lines = [
        "| language | method | articles | draws | test | accuracy (sd) | macro-F1 | accuracy by logit / probability "
        "| TF-IDF accuracy | TF-IDF macro-F1 | published e5-small probe, 8 a topic | minutes |\n" + "|---" * 12 + "|"
    ]
    for row in rows:
        published, size = row.get("published_accuracy"), row.get("per_topic")
        cells = [
            row["language"], row["method"], f"{size} a topic" if size else row["train_articles"], row["draws"],
            f"{row['test_articles']} ({row['in_both']} also in train)" if row["in_both"] else row["test_articles"],
            f"{row['accuracy']:.3f} ({row['spread']:.3f})" if row["draws"] > 1 else f"{row['accuracy']:.3f}",
            f"{row['f1']:.3f}", f"{row['logit_accuracy']:.3f} / {row['probability_accuracy']:.3f}",
            f"{row['tfidf_accuracy']:.3f}", f"{row['tfidf_f1']:.3f}", f"{published:.3f}" if published else "not given",
            f"{row['minutes']:.1f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def summary(rows: Sequence[Row], limit_test: int) -> str:
    """The last line: the few-shot languages' mean beside the published."""
    size = min(SIZES)  # as the published figures
    head = [row for row in rows if row["method"] == "head" and row["per_topic"] == size]
    if not head:
        return "Mean of the few-shot languages: not measured (--parts few)."
    means = {key: fmean(row[key] for row in head) for key in ("accuracy", "tfidf_accuracy", "published_accuracy")}
    languages, capped = " ".join(row["language"] for row in head), " (test files capped: a trial)" if limit_test else ""
    return (
        f"Mean accuracy over {languages}, {size} articles a topic: head {means['accuracy']:.3f}, "
        f"TF-IDF {means['tfidf_accuracy']:.3f}, published multilingual-e5-small {means['published_accuracy']:.3f} "
        f"(its mean over 16 languages: {PUBLISHED_MEAN:.3f}){capped}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", nargs="+", choices=[*FEW, *FULL], default=[*FEW, *FULL])
    parser.add_argument("--parts", nargs="+", choices=["few", "lora", "full"], default=["few", "full"])
    parser.add_argument("--draws", type=int, default=10, help="of 8 articles a topic (10 of 10 is one draw)")
    parser.add_argument("--lora-draws", type=int, default=2, help="the same with --parts lora")
    parser.add_argument("--epochs", type=int, default=0, help="of LoRA; 0: as configs/base.yaml")
    parser.add_argument("--windows", type=int, default=0, help="of 512 tokens that LoRA reads; 0: all (head reads all)")
    parser.add_argument("--start", default="", help="what full training starts from: released, or a model folder")
    parser.add_argument("--runs", type=int, default=1, help="of full training: the average or the best is served")
    parser.add_argument("--keep", type=Path, help="full trainings stay here; an interrupted one goes on, run again")
    parser.add_argument("--limit-test", type=int, default=0, metavar="N", help="test articles a language; 0: all")
    parser.add_argument("--out", type=Path, help="write everything here as JSON, after each row")
    args = parser.parse_args()
    if not DATA.is_dir():
        print(f"skipped: no MasakhaNEWS data at {DATA}")
        return
    rows: list[Row] = []
    cut: dict[str, list[Encoded]] = {}
    jobs = [(part, lang, size) for part in args.parts if part != "full" for lang in FEW for size in SIZES]
    jobs += [("full", lang, 0) for lang in FULL if "full" in args.parts]
    for part, language, size in jobs:
        if language not in args.languages:
            continue
        with contextlib.redirect_stdout(sys.stderr):  # progress bars
            if part == "full":
                rows.append(full_training(language, args))
            else:
                rows.append(few_shot(language, size, args, "head" if part == "few" else "lora", cut))
        if args.out:
            args.out.write_text(json.dumps({"options": vars(args), "rows": rows}, indent=1, default=str), "utf-8")
    for part in ("head", "lora", "lora, full"):
        if chosen := [row for row in rows if row["method"] == part]:
            print(f"{table(chosen)}\n")
    if "full" in args.parts:
        behind = [r["language"] for r in rows if r["method"] == "lora, full" and r["accuracy"] <= r["tfidf_accuracy"]]
        print(f"Full LoRA training at or below TF-IDF's accuracy: {', '.join(behind) or 'nowhere'}\n")
    print(summary(rows, args.limit_test))


if __name__ == "__main__":
    main()

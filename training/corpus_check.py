"""Check the corpus against its plan and guide: ``python -m training.corpus_check`` (exit 1 on a failure).

Coverage, length classes, language, near-duplicates, content that must not be there, and whether any
single word or pair of words gives a theme away.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.taxonomy import Taxonomy
from training.check import check_files
from training.config import CORPUS
from training.data import Item
from training.plan import draw_all

UNSPACED = ("zh", "ja", "th", "km", "my", "lo")
_CHARS_PER_WORD, _SLACK_LOW, _SLACK_HIGH = 2.5, 0.85, 1.2
STRONGEST_CUE = 0.80  # F1 that a single word may reach in a language before it counts as a giveaway
_LEAST_DOCUMENTS = 40  # languages with fewer items say nothing about cues
_LEAST_CARRIERS = 6  # nor do themes with fewer items in a language: of thousands of words one fits three by chance
BANNED = {
    "wallet address": re.compile(r"\b(bc1[a-z0-9]{20,}|0x[0-9a-fA-F]{40}|[13][a-km-zA-HJ-NP-Z1-9]{30,33})\b"),
    "hidden service": re.compile(r"\b[a-z2-7]{16,56}\.onion\b"),
    "e-mail address": re.compile(r"\b[\w.+-]+@[\w-]+\.\w{2,}\b"),
    "invitation link": re.compile(r"\b(t\.me|discord\.gg|chat\.whatsapp\.com)/\w+"),
}
_AGE = r"\b(?:[1-9]|1[0-7])"
# One child's exact age, in languages where the words show it (the others are read): the guide allows a range.
CHILD_AGE = re.compile(
    rf"{_AGE}-(year-old|jährig|jarig|летн|річн|летия|åring)|\b(ten|eleven|twelve|(thir|four|fif|six|seven)teen)-year-old"
    r"|\b(zwölf|(drei|vier|fünf|sech|sieb)zehn)jährig|\b(twaalf|(der|veer|vijf|zes|zeven)tien)jarig"
    rf"|\b(niñ|chic|menin|garot|bambin|ragazz|adolescente)\w* (de|di) {_AGE} (años|anos|anni)\b"
    rf"|\b(fille|garçon|adolescente?|collégienne?|élève) de {_AGE} ans\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Cue:
    """A word or pair of words and how well it alone finds a theme in one language."""

    lang: str
    theme: str
    text: str
    f1: float
    precision: float
    recall: float


def words(item: Item) -> float:
    """Length in words, as the writing guide counts."""
    if item.lang in UNSPACED:
        return len("".join(item.text.split())) / _CHARS_PER_WORD
    return len(item.text.split())


def strongest_cues(items: Sequence[Item], keys: Sequence[str]) -> list[Cue]:
    """The best single cue for each theme in each language, strongest first."""
    from sklearn.feature_extraction.text import CountVectorizer

    by_language: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_language[item.lang].append(item)
    cues = []
    for lang, own in by_language.items():
        if len(own) < _LEAST_DOCUMENTS:
            continue
        analyzer, ngrams = ("char", (2, 4)) if lang in UNSPACED else ("word", (1, 2))
        counter = CountVectorizer(analyzer=analyzer, ngram_range=ngrams, binary=True, min_df=4)
        table = counter.fit_transform([i.article.full_text for i in own])
        names, found = counter.get_feature_names_out(), np.asarray(table.sum(axis=0)).ravel()
        for key in keys:
            truth = np.asarray([key in i.themes for i in own])
            if truth.sum() < _LEAST_CARRIERS:
                continue
            hits = np.asarray(table[truth].sum(axis=0)).ravel()
            f1 = 2 * hits / (found + truth.sum())
            best = int(f1.argmax())
            cues.append(Cue(lang, key, names[best], float(f1[best]), float(hits[best] / found[best]),
                            float(hits[best] / truth.sum())))  # fmt: skip
    return sorted(cues, key=lambda cue: -cue.f1)


def agreement(items: Sequence[Item], second: Path, keys: Sequence[str]) -> str:
    """Cohen's kappa by theme between the corpus and a second reader who did not see its labels."""
    from sklearn.metrics import cohen_kappa_score

    labels = {i.id: i.themes for i in items}
    rows = [json.loads(line) for line in second.open(encoding="utf-8")]
    rows = [row for row in rows if row["id"] in labels]
    kappas = {
        key: cohen_kappa_score([key in labels[r["id"]] for r in rows], [key in r["themes"] for r in rows])
        for key in keys
    }
    differing = sum(set(labels[r["id"]]) != set(r["themes"]) for r in rows)
    shown = ", ".join(f"{key} {value:.2f}" for key, value in kappas.items())
    return f"second, blind labels: {len(rows)} articles, {differing} differ; Cohen's kappa: {shown}"


def check_corpus(corpus: Path, taxonomy: Taxonomy) -> tuple[list[str], list[str]]:
    """Failures, and the report's other lines."""
    _, lengths_planned = draw_all(corpus / "plan")
    plan = [json.loads(line) for line in (corpus / "plan" / "plan.jsonl").open(encoding="utf-8")]
    report = check_files([corpus], taxonomy.keys)
    items = report.items
    failures = [str(row) for row in report.bad]
    failures += [f"planned but not written: {row['id']}" for row in plan if row["id"] not in {i.id for i in items}]
    failures += [f"{i.id}: {w}" for i in items if (w := _wrong_length(i, lengths_planned))]
    failures += [f"{i.id}: holds a {name}" for i in items for name, p in BANNED.items() if p.search(i.text)]
    failures += [f"{i.id}: gives a child's exact age ({m[0]})" for i in items if (m := _child_age(i))]
    failures += [f"{a.id} and {b.id} are nearly the same text" for a, b in report.duplicates if a.story != b.story]
    cues = strongest_cues(items, taxonomy.keys)
    failures += [f"{c.lang}: {c.text!r} alone finds {c.theme} (F1 {c.f1:.2f})" for c in cues if c.f1 > STRONGEST_CUE]
    kinds = Counter(str(i.extra["kind"]) for i in items)
    lengths = Counter(str(i.extra["length_class"]) for i in items)
    noisy = sum(bool(i.extra["noise"]) for i in items)
    lines = [
        *report.lines(),
        "kinds: " + ", ".join(f"{kind} {n} ({n / len(items):.0%})" for kind, n in kinds.most_common()),
        "lengths: " + ", ".join(f"{name} {n} ({n / len(items):.0%})" for name, n in lengths.most_common()),
        agreement(items, corpus / "plan" / "second_labels.jsonl", taxonomy.keys),
        f"with page noise: {noisy} ({noisy / len(items):.0%})",
        "strongest single cues:",
        *(f"  {c.lang} {c.theme}: {c.text!r} F1 {c.f1:.2f} (precision {c.precision:.2f}, recall {c.recall:.2f})"
          for c in cues[:15]),
    ]  # fmt: skip
    return failures, lines


def _child_age(item: Item) -> re.Match[str] | None:
    """Plain news of other things may give one."""
    return None if item.extra["kind"] == "general" else CHILD_AGE.search(item.article.full_text)


def _wrong_length(item: Item, planned: dict[str, Any]) -> str:
    if item.extra["kind"] == "noise":
        return ""
    low, high = planned[item.extra["length_class"]]["words"]
    count = words(item)
    inside = low * _SLACK_LOW <= count <= high * _SLACK_HIGH
    return "" if inside else f"{count:.0f} words, its class wants {low}-{high}"


def main() -> None:
    taxonomy = Taxonomy.load(Path(__file__).parent.parent / "configs" / "themes.yaml")
    failures, lines = check_corpus(CORPUS, taxonomy)
    print("\n".join(lines))
    print(f"failures: {len(failures)}")
    print("\n".join(f"  {line}" for line in failures))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

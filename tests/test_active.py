"""What to label next, and which labels look wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.decisions import Decisions, ThemeDecision
from model.result import Result
from tests.conftest import WORDS, tiny_rows, write_jsonl
from tests.test_importers import run
from training.active import choose, doubt, shares
from training.data import Item, load_items
from training.suspects import find_suspects, optimism

KEYS = tuple(WORDS)


def items(tmp_path: Path, rows: list[dict[str, object]]) -> list[Item]:
    return load_items([write_jsonl(tmp_path / "rows.jsonl", rows)], KEYS)


def doubt_of(**scores: float) -> tuple[float, str]:
    rule = ThemeDecision(1, 0, threshold=0.5, lower=0.4, upper=0.7)
    decisions = {key: rule.decide(p) for key, p in scores.items()}
    result = Result("", "en", scores, decisions, {}, 1, False, {}, "1", {})
    return doubt(result, Decisions(dict.fromkeys(scores, rule)))


def test_doubt_is_greatest_in_the_review_band() -> None:
    order = [0.5, 0.45, 0.4, 0.39, 0.1]
    assert [doubt_of(x=p)[0] for p in order] == sorted((doubt_of(x=p)[0] for p in order), reverse=True)
    assert doubt_of(x=0.5)[0] == 1
    assert doubt_of(x=0.4)[0] == 0.5
    assert doubt_of(x=0.69)[0] > 0.5 > doubt_of(x=0.71)[0] > doubt_of(x=0.99)[0]
    assert doubt_of(x=0.02, y=0.55)[1] == "y 55% is in the review band (40% to 70%)"
    assert doubt_of(x=0.3)[1].startswith("x 30% is below")
    assert doubt_of(x=0.9)[1].startswith("x 90% is above")


def test_small_languages_leave_their_share_to_others() -> None:
    assert shares({"en": 90, "fr": 90, "km": 2}, 20) == {"km": 2, "en": 9, "fr": 9}
    assert shares({"en": 1, "fr": 1, "km": 1}, 2) == {"en": 1, "fr": 1, "km": 1}


def test_choices_are_unsure_unlike_and_of_all_languages(tiny: ThemeClassifier, tmp_path: Path) -> None:
    rows = tiny_rows(80, seed=31, languages=("en", "en", "en", "fr"))
    twins = [row | {"id": f"twin-{row['id']}", "text": f"{row['text']} rain."} for row in rows[:40]]
    pool, known = items(tmp_path, rows + twins), items(tmp_path, tiny_rows(4, seed=31))
    chosen = choose(tiny, pool, 16, known)
    names = [choice.item.id.removeprefix("twin-") for choice in chosen]
    assert len(set(names)) == 16  # never an article and its twin
    assert not {item.id for item in known} & set(names)
    assert sum(choice.item.lang == "fr" for choice in chosen) >= 5  # a quarter of the pool
    decisions = tiny.artifact.decisions
    mine = [doubt(choice.result, decisions)[0] for choice in chosen]
    everyone = [doubt(result, decisions)[0] for result in tiny.predict([i.article for i in pool], explain=False)]
    assert sum(mine) / len(mine) > sum(everyone) / len(everyone)
    assert all("review band" in choice.reason and " article " in choice.reason for choice in chosen)


def test_wrong_labels_are_found(tiny: ThemeClassifier, tmp_path: Path) -> None:
    """One label in thirty is turned round, each on an article the toy model is sure of and right about."""
    rows = tiny_rows(120, seed=32)
    results = tiny.predict([str(row["text"]) for row in rows], explain=False)
    wrong: dict[object, str] = {}
    for key in KEYS:
        sure = [
            (abs(result.scores[key] - (key in row["themes"])), i)
            for i, (row, result) in enumerate(zip(rows, results, strict=True))
            if row["id"] not in wrong
        ]
        row = rows[min(sure)[1]]
        wrong[row["id"]] = key
        row["themes"] = [k for k in KEYS if (k in row["themes"]) != (k == key)]
    found = find_suspects(tiny, items(tmp_path, rows))
    assert [one.quality for one in found] == sorted(one.quality for one in found)
    said = {one.item.id: one.reason for one in found}
    assert len(wrong.keys() & said.keys()) >= 3
    assert all(f"labelled {key}" in said[str(name)] for name, key in wrong.items() if name in said)
    assert found[0].row()["themes"] == list(found[0].item.themes)


def test_what_nobody_judged_is_no_label_error(tiny: ThemeClassifier, tmp_path: Path) -> None:
    """Articles judged for one theme alone: the others that the model sees in them are not suspect."""
    rows = [
        row | {"themes": [k for k in row["themes"] if k == KEYS[0]], "labelled": [KEYS[0]]}
        for row in tiny_rows(60, seed=36)
    ]
    for one in find_suspects(tiny, items(tmp_path, rows)):
        assert not any(f"not labelled {key}" in one.reason for key in KEYS[1:])


def test_scores_on_training_articles_are_called_optimistic(tiny_artifact: Artifact, tmp_path: Path) -> None:
    assert "not at hand" in optimism(tiny_artifact, items(tmp_path, tiny_rows(20, seed=33)))


def test_the_commands(tiny_artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = [{k: v for k, v in row.items() if k != "themes"} for row in tiny_rows(20, seed=34)]
    file = write_jsonl(tmp_path / "pool.jsonl", pool)
    code, told, said = run(capsys, "data", "next", file, "--n", 5, "--model", tiny_artifact.folder)
    rows = [json.loads(line) for line in told.splitlines()]
    assert (code, len(rows), "5 of 20 articles chosen" in said) == (0, 5, True)
    assert all(row["reason"] and "themes" not in row for row in rows)
    labelled = write_jsonl(tmp_path / "labelled.jsonl", tiny_rows(40, seed=35))
    code, _, said = run(
        capsys, "data", "suspects", labelled, "-o", tmp_path / "s.jsonl", "--model", tiny_artifact.folder
    )
    assert (code, "warning: " in said, "of 40 labels look wrong" in said) == (0, True, True)
    none = write_jsonl(tmp_path / "none.jsonl", [row | {"themes": []} for row in tiny_rows(5)])
    code, _, said = run(capsys, "data", "suspects", none, "--model", tiny_artifact.folder)
    assert (code, "no article carries a theme" in said) == (2, True)

"""The recorded session's data parse, carry known labels, and keep training and test apart."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
import yaml

from model.taxonomy import Taxonomy
from tests.benchmarks.session.transcript import DATA, prepare_folder, read_rows, trimmed, write_record
from training.data import load_items
from training.export_formats import Options
from training.importers import read_judgements
from training.mapping import LabelMapping
from training.merge import merge
from training.seen import overlaps

ADDED = "online_grooming"


def test_the_corrections_need_the_mapping_and_import_with_it(taxonomy: Taxonomy) -> None:
    judgements, left = read_judgements([DATA / "corrections.csv"], "auto", Options())
    labels = {label for one in judgements for label in one.labels}
    mapping = LabelMapping.load(DATA / "labels.yaml", taxonomy.keys)
    assert left == []
    assert set(LabelMapping.identity(taxonomy.keys).unmapped(labels)) == labels
    assert mapping.unmapped(labels) == []
    merged = merge(judgements, mapping, taxonomy.keys)
    assert (len(merged.rows), merged.conflicts, merged.left) == (60, [], [])
    assert {row["lang"] for row in merged.rows} == {"en", "sw", "fr", "pt"}
    assert {key for row in merged.rows for key in row["themes"]} == set(taxonomy.keys)
    assert all(20 <= len(row["text"].split()) <= 70 for row in merged.rows)


def test_three_labels_are_planted() -> None:
    planted = yaml.safe_load((DATA / "planted.yaml").read_text("utf-8"))
    labels = yaml.safe_load((DATA / "labels.yaml").read_text("utf-8"))
    with (DATA / "corrections.csv").open(encoding="utf-8", newline="") as file:
        given = {row["article_id"]: row["label"] for row in csv.DictReader(file)}
    assert len(planted) == 3
    assert set(planted.values()) <= set(labels)
    assert all(given[key] != right for key, right in planted.items())


def test_the_questions_are_not_among_the_corrections(taxonomy: Taxonomy) -> None:
    questions = load_items([DATA / "questions.jsonl"], taxonomy.keys)
    with (DATA / "corrections.csv").open(encoding="utf-8", newline="") as file:
        texts = {row["body"] for row in csv.DictReader(file)}
    assert len(questions) == 12
    assert not texts & {item.text for item in questions}


def test_the_fifth_theme_is_one_entry_more(taxonomy: Taxonomy) -> None:
    themes = Taxonomy.load(DATA / "themes_grooming.yaml").themes
    assert themes[:-1] == taxonomy.themes
    assert themes[-1].key == ADDED


@pytest.mark.parametrize("name", ["grooming_train.jsonl", "grooming_test.jsonl"])
def test_the_fifth_theme_has_40_articles_in_8_languages(name: str) -> None:
    items = load_items([DATA / name], Taxonomy.load(DATA / "themes_grooming.yaml").keys)
    assert len(items) == 40
    assert set(Counter(item.lang for item in items).values()) == {5}
    assert sum(ADDED in item.themes for item in items) == 20
    assert all({2, 3} >= {sum(ADDED in i.themes for i in items if i.lang == item.lang)} for item in items)


def test_training_and_test_articles_of_the_fifth_theme_are_apart() -> None:
    keys = Taxonomy.load(DATA / "themes_grooming.yaml").keys
    train, test = (load_items([DATA / f"grooming_{name}.jsonl"], keys) for name in ("train", "test"))
    assert overlaps(test, train) == {}


def test_output_is_trimmed_and_what_matters_kept(tmp_path: Path) -> None:
    told = "\n".join(["Loading weights: 100%", *(f"line {i} of {tmp_path}/x" for i in range(20)), ""])
    assert trimmed(told, tmp_path, 6, ["line 9 "]) == [
        "line 0 of x", "line 1 of x", "line 2 of x", "line 3 of x", "…", "line 9 of x", "…", "line 18 of x",
        "line 19 of x",
    ]  # fmt: skip


def test_a_part_that_is_not_run_stays_in_the_record(tmp_path: Path) -> None:
    path = tmp_path / "SESSION.md"
    write_record(path, "# Title\n", {"gate": ["old gate"], "session": ["old session"]})
    write_record(path, "# Title\n", {"gate": ["new gate"]})
    text = path.read_text("utf-8")
    assert text.index("old session") < text.index("new gate")
    assert "old gate" not in text
    prepare_folder(tmp_path / "work")
    assert len(read_rows(tmp_path / "work" / "grooming_test.jsonl")) == 40
    assert (tmp_path / "work" / "configs" / "head.yaml").is_file()

"""Labelled data that cannot train, or will disappoint: one line that says which rows and what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.errors import DataError
from tests.conftest import WORDS, tiny_rows, write_jsonl
from training.audit import audit
from training.data import Item, load_items
from training.labels import is_labelled, label_mask, settle
from training.partition import cross_folds
from training.seen import overlaps

KEYS = tuple(WORDS)


def items(tmp_path: Path, rows: list[dict[str, Any]], added: tuple[str, ...] = ()) -> list[Item]:
    return settle(load_items([write_jsonl(tmp_path / "d.jsonl", rows)], KEYS), KEYS, added)


def test_the_same_text_with_different_labels_is_refused(tmp_path: Path) -> None:
    rows = tiny_rows(80)
    rows.append(rows[3] | {"id": "again", "themes": [k for k in KEYS if k not in rows[3]["themes"]]})
    with pytest.raises(DataError, match="labelled differently: t0-3 and again; settle these rows"):
        audit(items(tmp_path, rows), KEYS, (), False)


def test_a_twin_with_the_same_labels_or_unjudged_themes_passes(tmp_path: Path) -> None:
    rows = tiny_rows(80)
    rows.append(rows[3] | {"id": "again"})
    rows.append(rows[4] | {"id": "half", "themes": [], "labelled": [k for k in KEYS if k not in rows[4]["themes"]]})
    audit(items(tmp_path, rows), KEYS, (), False)


def test_nearly_the_same_text_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tiny_rows(80)
    rows.append(rows[3] | {"id": "again", "text": rows[3]["text"] + " rain.", "themes": [KEYS[0], KEYS[1]]})
    rows[3]["themes"] = [KEYS[2]]
    audit(items(tmp_path, rows), KEYS, (), False)
    assert "nearly the same text is labelled differently: t0-3 and again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row | {"themes": []}, "none of the 80 articles carries a theme; add articles that do"),
        (lambda row: row | {"themes": [*row["themes"], KEYS[0]]}, "every article carries theme 'sextortion'"),
        (lambda row: row | {"story": "one"}, "on fewer than 3 stories"),
    ],
)
def test_data_that_cannot_train_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        audit(items(tmp_path, [change(row) for row in tiny_rows(80)]), KEYS, (), False)


def test_a_theme_with_too_few_articles_is_refused_unless_the_starting_model_knows_it(tmp_path: Path) -> None:
    rows = [row | {"themes": [k for k in row["themes"] if k != KEYS[1]]} for row in tiny_rows(80)]
    with pytest.raises(DataError, match="'livestreamed_abuse' has 0 articles, and training needs at least 8"):
        audit(items(tmp_path, rows), KEYS, (), False)
    audit(items(tmp_path, rows), KEYS, KEYS, True)


def test_one_language_and_no_plain_articles_are_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for row in tiny_rows(160, languages=("fr",)) if row["themes"]]
    audit(items(tmp_path, rows), KEYS, (), False)
    said = capsys.readouterr().err
    assert "articles are in 'fr'; other languages will rest on the encoder alone" in said
    assert "every article carries a theme; a model trained on this sees themes everywhere" in said
    audit(items(tmp_path, rows), KEYS, KEYS, True)
    assert capsys.readouterr().err == ""


def test_rows_are_labelled_for_what_they_say(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "themes": [KEYS[0]]}, {"text": "b", "themes": [KEYS[3]], "labelled": "all"},
        {"text": "c", "themes": [], "labelled": f"{KEYS[1]}|{KEYS[2]}"},
        {"text": "d", "themes": [KEYS[0]], "labelled": []},
    ]  # fmt: skip
    assert label_mask(items(tmp_path, rows), KEYS).tolist() == [
        [True] * 4, [True] * 4, [False, True, True, False], [True, False, False, False]
    ]  # fmt: skip
    added = items(tmp_path, rows, (KEYS[3],))
    assert label_mask(added, KEYS).tolist()[0] == [True, False, False, True]
    assert label_mask(added, KEYS).tolist()[1] == [True] * 4
    with pytest.raises(DataError, match="column 'labelled' of row 'd:1' is 'scams'; give `all`, or the keys"):
        items(tmp_path, [{"text": "a", "themes": [], "labelled": "scams"}])


def test_unsettled_items_are_labelled_for_everything() -> None:
    assert is_labelled(Item("a", "text", ()), "any")


def test_folds_keep_stories_together_and_every_theme_in_training(tmp_path: Path) -> None:
    rows = [row | {"story": f"s{i // 2}", "lang": f"l{i % 9}"} for i, row in enumerate(tiny_rows(40))]
    data = items(tmp_path, rows)
    answered: list[int] = []
    for seen, left in cross_folds(data, KEYS, 5, seed=1):
        assert not {data[i].story for i in seen} & {data[i].story for i in left}
        assert all(any(key in data[i].themes for i in seen) for key in KEYS)
        answered += left
    assert sorted(answered) == list(range(40))


def test_a_few_articles_of_a_known_theme_are_welcome(tmp_path: Path) -> None:
    rows = [row | {"themes": row["themes"] if i < 5 else []} for i, row in enumerate(tiny_rows(60))]
    audit(items(tmp_path, rows), KEYS, KEYS, True)


def test_an_empty_cell_says_nothing_of_what_was_judged(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"text,themes,labelled\na,{KEYS[0]},\nb,,{KEYS[1]}\n")
    mask = label_mask(settle(load_items([path], KEYS), KEYS), KEYS)
    assert mask.tolist() == [[True] * 4, [False, True, False, False]]


def test_a_theme_with_fewer_stories_than_folds_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import warnings

    rows = [
        row | {"themes": [KEYS[0]] if i < 9 else [KEYS[1]], "story": f"s{i % 3 if i < 9 else i}"}
        for i, row in enumerate(tiny_rows(40))
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = list(cross_folds(items(tmp_path, rows), KEYS, 5, seed=1))
    assert sum(len(left) for _, left in folds) == 40
    said = capsys.readouterr().err
    assert f"theme {KEYS[0]!r} is on 3 stories, fewer than the 5 folds" in said
    assert KEYS[1] not in said


def test_rows_without_ids_of_files_of_one_name_are_no_leak(tmp_path: Path) -> None:
    both = []
    for folder, seed in (("old", 1), ("new", 2)):
        (tmp_path / folder).mkdir()
        rows = [{"text": row["text"], "themes": row["themes"]} for row in tiny_rows(20, seed)]
        both.append(load_items([write_jsonl(tmp_path / folder / "data.jsonl", rows)], KEYS))
    assert overlaps(both[1], both[0]) == {}
    assert len(overlaps(both[0], both[0])) == 20
    named = [replace(item, id=f"n{i}", story="s") for i, item in enumerate(both[0])]
    assert overlaps([replace(both[1][0], story="s")], named) == {"data:1": "same story as n19"}
    near = replace(both[1][0], text=both[0][0].text + " rain.")
    assert overlaps([near], both[0]) == {"data:1": "nearly the same text as data:1"}

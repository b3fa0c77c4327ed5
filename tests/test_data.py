"""Labelled data: what is read, what is refused and why, and how it is split."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.errors import DataError
from tests.conftest import tiny_rows, write_jsonl
from training.check import check_files
from training.config import Split
from training.data import Item, digest, load_items, read_items
from training.partition import split_data
from training.splits import split_items

KEYS = ("sextortion", "crypto_laundering")


def _read_one(path: Path) -> Item:
    items, bad = read_items([path], KEYS)
    assert not bad
    return items[0]


def test_three_formats_give_the_same_items(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {"id": "1", "title": "T", "text": 'Some, "text"\nhere', "themes": list(KEYS), "lang": "en", "story": "s"}
    jsonl = write_jsonl(tmp_path / "a.jsonl", [row])
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row | {"themes": "|".join(KEYS)})
    first = _read_one(jsonl)
    assert first.themes == KEYS
    assert _read_one(tmp_path / "a.csv") == first
    assert _read_one(tmp_path / "a.parquet") == first


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a", "themes": [], "split": "fold-1"}', "split is 'fold-1' (one of: train, validation, test"),
        ("{broken", "not valid JSON"),
        ("[1, 2]", "not a JSON object"),
        ('{"body": "x", "themes": []}', "no column 'text' (there are: body, themes)"),
        ('{"text": "", "themes": []}', "text is empty"),
        ('{"text": "  \\n ", "themes": []}', "text is empty"),
        ('{"text": 5, "themes": []}', "text is int, not a string"),
        ('{"text": "x"}', "no themes"),
        ('{"text": "x", "themes": "sextortion"}', "must be a list"),
        ('{"text": "x", "themes": ["ransomware"]}', "unknown theme 'ransomware'"),
        ('{"text": "x", "themes": [], "title": 7}', "title is int"),
        ('{"text": "' + "y" * 5_000_000 + '", "themes": []}', "over the limit"),
        ('{"id": "ok", "text": "again", "themes": []}', "id 'ok' already stands in"),
    ],
)
def test_every_bad_row_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "ok", "text": "fine", "themes": []}\n' + line + "\n", "utf-8")
    items, bad = read_items([path], KEYS)
    assert len(items) == 1
    assert str(bad[0]).startswith(f"{path}:2: ")
    assert reason in bad[0].reason
    with pytest.raises(DataError, match="data check"):
        load_items([path], KEYS)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"text": "caf\xe9", "themes": []}'.encode("latin-1"))
    (tmp_path / "x.parquet").write_bytes(b"not parquet")
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    for name, reason in [("latin.jsonl", "UTF-8"), ("x.parquet", "not a Parquet"), ("x.xlsx", "unknown format"),
                         ("gone.jsonl", "no such file")]:  # fmt: skip
        with pytest.raises(DataError, match=reason):
            read_items([tmp_path / name], KEYS)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="no labelled articles"):
        load_items([tmp_path / "empty.jsonl"], KEYS)


def _items(count: int = 300) -> list[Item]:
    rows = tiny_rows(count, languages=("en", "fr", "km"))
    items = [
        Item(str(r["id"]), str(r["text"]), tuple(r["themes"]), lang=str(r["lang"]), story=str(r["story"])) for r in rows
    ]
    twin = Item("twin", items[0].text + " More.", items[0].themes, lang=items[0].lang, story="other")
    follow = Item("follow", "Quite another text about rain.", (), lang="fr", story=items[1].story)
    return [*items, twin, follow]


def test_stories_and_near_duplicates_stay_on_one_side() -> None:
    items = _items()
    parts = split_items(items, Split(validation=0.15, test=0.2, unseen=("km",)), seed=3)
    where = {i.id: name for name in ("train", "validation", "test", "unseen") for i in getattr(parts, name)}
    assert len(where) == len(items)
    assert where["twin"] == where[items[0].id]
    assert where["follow"] == where[items[1].id]
    assert {i.lang for i in parts.unseen} == {"km"}
    assert 0.12 < len(parts.test) / (len(items) - len(parts.unseen)) < 0.28


def test_rows_may_name_their_part() -> None:
    items = _items()
    drawn = split_items(items, Split(validation=0.15, test=0.2, unseen=("km",)), seed=3)
    part = {i.story: n for n in ("validation", "test") for i in getattr(drawn, n)}
    named = [replace(i, extra={"split": part.get(i.story, "")}) for i in items if i.id not in ("twin", "follow")]
    later = [replace(i, id=f"later-{i.id}", story=f"later-{i.id}", text=i.text[::-1]) for i in _items(90)[:90]]
    again = split_items([*named, *items[-2:], *later], Split(validation=0.15, test=0.2, unseen=("km",)), seed=4)
    for name in ("validation", "test"):  # what was held out stays so, and data that came later are trained on
        assert {i.id for i in getattr(again, name)} == {i.id for i in getattr(drawn, name)}
    assert {i.id for i in drawn.train} < {i.id for i in again.train}
    whole = [replace(i, extra={"split": "test"}) for i in named[:2]] + [replace(i, extra={}) for i in named[2:]]
    only = split_data(whole, Split(validation=0.15, test=0.2), seed=3)
    assert {i.id for i in only.test} == {i.id for i in whole[:2]}, "a part that is named is not drawn from other rows"
    crossed = split_data(whole, Split(folds=5), seed=3)
    assert {i.id for i in crossed.test} == {i.id for i in whole[:2]}


@pytest.mark.parametrize("folds", [0, 5])
def test_something_must_be_left_to_train_on(folds: int) -> None:
    half = [replace(i, extra={"split": ("test", "validation")[folds == 0 and n % 2]}) for n, i in enumerate(_items(40))]
    with pytest.raises(DataError, match="left to train on"):
        split_data([replace(i, story=i.id) for i in half], Split(folds=folds), seed=1)


def test_splits_and_digests_depend_on_content_alone() -> None:
    items, split = _items(), Split(validation=0.15, test=0.2)
    again = split_items(items, split, seed=3)
    assert [i.id for i in again.test] == [i.id for i in split_items(items, split, seed=3).test]
    assert digest(items) == digest(list(reversed(items)))
    assert digest(items) != digest(items[1:])


def test_check_reports_what_a_labeller_should_know(tmp_path: Path) -> None:
    text = "La police a arrêté cinq personnes hier soir à Lyon, selon le parquet de la ville, après une longue enquête."
    rows: list[dict[str, object]] = [
        {"id": "a", "text": text, "themes": [], "lang": "fr"},
        {"id": "b", "text": text + " Fin.", "themes": ["sextortion"], "lang": "fr"},
        {
            "id": "c",
            "text": "The minister opened a new school in the city on Monday morning.",
            "themes": [],
            "lang": "pl",
        },
    ]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    told = "\n".join(check_files([path], KEYS).lines())
    assert "labelled differently: 1" in told
    assert "c: says pl, looks like en" in told
    assert "theme crypto_laundering has 0 articles" in told
    assert json.dumps("3 usable articles, 0 bad rows")[1:-1] in told

"""The store: one record an article and user, consent, labels, the way back to training."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from model.taxonomy import Taxonomy
from serve.feedback.store import FeedbackStore
from tests.feedback_tools import said, store, url

__all__ = ["store", "url"]


def rows(store: FeedbackStore) -> list[dict[str, Any]]:
    with store._engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(text("SELECT * FROM feedback ORDER BY id"))]


def test_the_same_article_updates(store: FeedbackStore) -> None:
    assert store.put(said())
    first = rows(store)[0]
    assert not store.put(said(themes=(), note="wrong", verdicts={"sextortion": False}))
    (row,) = rows(store)
    assert (row["note"], json.loads(row["themes"]), json.loads(row["labels"])) == ("wrong", [], [])
    assert row["created"] == first["created"]
    assert row["updated"] > first["updated"]
    assert store.put(said(user="key-1"))
    assert store.put(said(title=""))
    assert store.put(said(text="Another."))
    assert store.count() == 4


def test_without_consent_no_text_is_kept(store: FeedbackStore) -> None:
    store.put(said(consent=False))
    (row,) = rows(store)
    assert (row["text"], row["title"], row["consent"]) == (None, None, 0)
    assert row["hash"] == said().digest
    assert list(store.training_rows()) == []


def test_withdrawn_consent_takes_the_text_away(store: FeedbackStore, url: str) -> None:
    store.put(said(text="unspeakable words", title=""))
    store.put(said(text="unspeakable words", title="", consent=False))
    assert rows(store)[0]["text"] is None
    store.close()
    file = Path(url.removeprefix("sqlite:///"))
    assert b"unspeakable" not in b"".join(p.read_bytes() for p in file.parent.iterdir())


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({"themes": ()}, []),
        ({"themes": ("sextortion", "sextortion")}, ["sextortion"]),
        ({"themes": None}, None),
        ({"themes": None, "note": "hm"}, None),
        ({"themes": None, "verdicts": {"sextortion": True}}, ["sextortion"]),
        ({"themes": None, "verdicts": {"sextortion": False}}, []),
        ({"themes": None, "verdicts": {"sextortion": True}, "decisions": {"crypto_laundering": "match"}},
         ["crypto_laundering", "sextortion"]),
        ({"themes": None, "verdicts": {"crypto_laundering": False}, "decisions": {"crypto_laundering": "match"}}, []),
        ({"themes": None, "verdicts": {"sextortion": True}, "decisions": {"crypto_laundering": "review"}}, None),
        ({"themes": None, "verdicts": {"crypto_laundering": True}, "decisions": {"crypto_laundering": "review"}},
         ["crypto_laundering"]),
        ({"themes": (), "verdicts": {"sextortion": True}}, []),
    ],
)  # fmt: skip
def test_labels(changes: dict[str, Any], labels: list[str] | None) -> None:
    assert said(**changes).labels == labels


def test_the_export_is_training_data(store: FeedbackStore, tmp_path: Path, taxonomy: Taxonomy) -> None:
    from training.data import read_items

    odd = 'Zeile\r\n\u2028\u2029\x1c\x85 "quoted" \\ =1+1 \U0001f600 \u202e \0 end'
    store.put(said(article_id="a-1"))
    store.put(said(text=odd, title="T\0itle\n", themes=("sextortion", "crypto_laundering"), language="de"))
    store.put(said(text="kept secret", consent=False))
    store.put(said(text="only a note", themes=None, note="hm"))
    file = tmp_path / "feedback.jsonl"
    file.write_text("".join(store.training_lines()), "utf-8")
    assert [set(json.loads(line)) for line in file.read_text("utf-8").split("\n")[:-1]] == [
        {"id", "text", "title", "themes", "lang", "story"}
    ] * 2
    items, bad = read_items([file], taxonomy.keys)
    assert bad == []
    assert [(i.text, i.title, i.themes, i.lang) for i in items] == [
        ("The mixer laundered coins.", "Court", ("crypto_laundering",), "en"),
        (odd.replace("\0", " "), "T itle\n", ("sextortion", "crypto_laundering"), "de"),
    ]
    assert len({i.id for i in items} | {i.story for i in items}) == 2


def test_one_line_an_article_and_the_last_word_counts(store: FeedbackStore) -> None:
    store.put(said(user="a", themes=("sextortion",)))
    store.put(said(user="b", themes=("crypto_laundering",)))
    assert [row["themes"] for row in store.training_rows()] == [["crypto_laundering"]]
    store.put(said(user="a", themes=()))
    assert [row["themes"] for row in store.training_rows()] == [[]]
    store.put(said(user="c", themes=("sextortion",), consent=False))
    store.put(said(user="d", themes=None, note="no opinion"))
    assert [row["themes"] for row in store.training_rows()] == [[]]


def test_many_writers_at_once(store: FeedbackStore, url: str) -> None:
    def write(number: int) -> None:
        own = FeedbackStore.open(url)
        for i in range(10):
            own.put(said(text=f"article {i}", user=f"u{number % 2}"))
        own.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert store.count() == 20

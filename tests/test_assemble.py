"""Written texts join their assignments, and what was assembled before stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.assemble import SOURCE, assemble
from training.plan import draw_all


def _row(number: int, lang: str = "en") -> dict[str, Any]:
    return {
        "id": f"{lang}-{number}", "story": f"{lang}-{number}", "lang": lang, "unit": 1, "kind": "theme",
        "themes": ["t"], "genre": "", "stage": "", "length_class": "short", "noise": "",
    }  # fmt: skip


def _corpus(folder: Path) -> Path:
    (folder / "plan").mkdir(parents=True)
    plan = [_row(1), _row(2), _row(3), _row(1, "fr")]
    (folder / "plan" / "plan.jsonl").write_text("".join(json.dumps(row) + "\n" for row in plan), "utf-8")
    (folder / "plan" / "held_out.json").write_text(json.dumps({"test": ["en-2"]}), "utf-8")
    return folder


def test_a_new_wave_is_added_to_what_is_there(tmp_path: Path) -> None:
    corpus, raw = _corpus(tmp_path / "corpus"), tmp_path / "raw"
    raw.mkdir()
    (raw / "a.txt").write_text("### en-1\nTITLE: One\nTEXT:\nfirst\n\n### fr-1\nTITLE:\nTEXT:\npremier\n", "utf-8")
    assert assemble(raw, corpus) == {"en": 1, "fr": 1}
    before = (corpus / "fr.jsonl").read_bytes()
    (raw / "a.txt").write_text("### en-2\nTITLE: Two\nTEXT:\nsecond\n\nmore\n", "utf-8")
    assert assemble(raw, corpus) == {"en": 2, "fr": 1}
    one, two = (json.loads(line) for line in (corpus / "en.jsonl").open("rb"))
    assert (one["title"], one["text"], one["split"]) == ("One", "first", "")
    assert (two["text"], two["split"], two["source"]) == ("second\n\nmore", "test", SOURCE)
    assert (corpus / "fr.jsonl").read_bytes() == before


def test_an_item_written_again_replaces_the_old_one(tmp_path: Path) -> None:
    corpus, raw = _corpus(tmp_path / "corpus"), tmp_path / "raw"
    raw.mkdir()
    for text in ("first", "better"):
        (raw / "a.txt").write_text(f"### en-1\nTITLE: One\nTEXT:\n{text}\n", "utf-8")
        assemble(raw, corpus)
    assert json.loads((corpus / "en.jsonl").read_text("utf-8"))["text"] == "better"


def test_waves_are_drawn_by_number() -> None:
    plan, _ = draw_all()
    ids = [row["id"] for row in plan if row["lang"] == "en"]
    assert ids == [f"en-{number:04d}" for number in range(1, len(ids) + 1)]
    assert [row["unit"] for row in plan if row["lang"] == "sn"] == sorted(r["unit"] for r in plan if r["lang"] == "sn")

"""`themewatch feedback export`, and feedback over the API into it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.classifier import ThemeClassifier
from model.taxonomy import Taxonomy
from serve.feedback.store import FeedbackStore
from tests.api_tools import PLAIN, THEMED, client_on
from tests.feedback_tools import said


def export(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("themewatch")
    return subprocess.run(
        [str(command), "feedback", "export", *map(str, args)], capture_output=True, text=True, timeout=120,
        env=os.environ | environment, check=False,
    )  # fmt: skip


def test_export_writes_what_training_reads(tmp_path: Path, taxonomy: Taxonomy) -> None:
    from training.data import read_items

    url, output = f"sqlite:///{tmp_path / 'f.sqlite3'}", tmp_path / "out.jsonl"
    store = FeedbackStore.open(url)
    store.put(said())
    store.close()
    done = export("-o", output, THEMEWATCH_DATABASE=url)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == f"themewatch: 1 articles written to {output}\n"
    items, bad = read_items([output], taxonomy.keys)
    assert (len(items), bad) == (1, [])
    assert export("-o", "-", "--database", url).stdout == output.read_text("utf-8")


def test_an_export_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("old")
    done = export("-o", output, "--database", f"sqlite:///{tmp_path / 'none.sqlite3'}")
    assert done.returncode == 2
    assert done.stderr.startswith("themewatch: ")
    assert "no feedback yet" in done.stderr
    assert output.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl"]


def test_feedback_over_the_api(tiny: ThemeClassifier, tmp_path: Path, taxonomy: Taxonomy) -> None:
    from training.data import read_items

    with client_on(tiny, tmp_path) as client:
        result = client.post("/v1/classify", json={"text": THEMED}).json()
        body = {"article": {"text": THEMED}, "themes": ["crypto_laundering"], "consent": True, "result": result}
        answer = client.post("/v1/feedback", json=body)
        assert answer.status_code == 201
        assert answer.json() | {"id": ""} == {"id": "", "stored": "created", "text_kept": True, "trainable": True}
        again = client.post("/v1/feedback", json=body | {"themes": [], "note": "none after all"})
        assert (again.status_code, again.json()["stored"]) == (200, "updated")
        secret = client.post("/v1/feedback", json={"article": {"text": PLAIN}, "verdicts": {"sextortion": False}})
        assert secret.json() | {"id": ""} == {"id": "", "stored": "created", "text_kept": False, "trainable": False}
        exported = client.get("/v1/feedback/export")
    assert exported.headers["content-type"] == "application/x-ndjson"
    (tmp_path / "api.jsonl").write_bytes(exported.content)
    items, bad = read_items([tmp_path / "api.jsonl"], taxonomy.keys)
    assert bad == []
    assert [(item.text, item.themes, item.lang) for item in items] == [(THEMED, (), "en")]


@pytest.mark.parametrize("given", [True, False])
def test_scores_come_from_the_answer_or_from_the_model(tiny: ThemeClassifier, tmp_path: Path, given: bool) -> None:
    with client_on(tiny, tmp_path) as client:
        result = client.post("/v1/classify", json={"text": THEMED}).json()
        told = result | {"scores": {"crypto_laundering": 0.25}, "model": {"name": "older", "version": "0.0.9"}}
        body = {"article": {"text": THEMED, "id": "a-1"}, "verdicts": {"crypto_laundering": True}}
        client.post("/v1/feedback", json=body | ({"result": told} if given else {}))
    store = FeedbackStore.open(f"sqlite:///{tmp_path / 'feedback.sqlite3'}")
    with store._engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT scores, model_name, model_version, article_id FROM feedback").one()
    store.close()
    scores = json.loads(row[0])
    if given:
        assert (scores, row[1], row[2]) == ({"crypto_laundering": 0.25}, "older", "0.0.9")
    else:
        assert scores == pytest.approx(result["scores"], abs=1e-3)
        assert row[1] == "tiny"
    assert row[3] == "a-1"

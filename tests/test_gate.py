"""The quality gate holds, and cannot be loosened by accident."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training import gate


@pytest.mark.slow
def test_the_released_model_holds_its_floors() -> None:
    from model.classifier import ThemeClassifier

    figures = gate.gate_figures(ThemeClassifier.load())
    assert gate.below(figures, json.loads(gate.FLOORS.read_text("utf-8"))) == []


@pytest.mark.slow
def test_the_released_model_is_quiet_on_real_general_news() -> None:
    shared = Path(__file__).parents[2] / "shared" / "data" / "general_news_dev.jsonl"
    if not shared.is_file():
        pytest.skip("../shared/data is not here: real general news to measure on")
    from model.classifier import ThemeClassifier
    from training.data import read_items
    from training.table import predict_items

    classifier = ThemeClassifier.load()
    items, _ = read_items([shared], classifier.artifact.taxonomy.keys, labelled=False)
    results = predict_items(classifier, items[::6])
    quiet = 1 - sum(bool(r.themes) for r in results) / len(results)
    floors = json.loads(gate.FLOORS.read_text("utf-8"))
    assert gate.below({"quiet_on_general_news": quiet}, floors) == []


def test_a_shortfall_is_named() -> None:
    assert gate.below({"macro_f1": 0.8}, {"macro_f1": 0.9}) == ["macro_f1 0.800 is below its floor 0.900"]


def test_a_floor_is_not_lowered_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "FLOORS", tmp_path / "floors.json")

    def floors() -> dict[str, float]:
        return dict(json.loads(gate.FLOORS.read_text()))

    assert gate.write_floors({"macro_f1": 0.9, "calibration": 0.9}) == []
    assert floors() == {"macro_f1": 0.88, "calibration": 0.88}
    assert gate.write_floors({"macro_f1": 0.89}) == []  # within the margin: stays
    assert gate.write_floors({"macro_f1": 0.8}) == ["macro_f1 0.800 is below its floor 0.880"]
    assert gate.write_floors({"macro_f1": 0.8}, ["calibration"]) != []
    assert floors() == {"macro_f1": 0.88, "calibration": 0.88}
    assert gate.write_floors({"macro_f1": 0.8, "calibration": 0.95}, ["macro_f1"]) == []
    assert floors() == {"macro_f1": 0.78, "calibration": 0.93}


@pytest.mark.parametrize(
    ("given", "said"),
    [(["--write", "--allow-lower", "macrof1"], "macrof1: no such figure"), (["--allow-lower", "macro_f1"], "--write")],
)
def test_a_mistyped_permission_is_refused(
    given: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "FLOORS", tmp_path / "floors.json")
    monkeypatch.setattr("training.gate.ThemeClassifier.load", lambda _folder: None)
    monkeypatch.setattr(gate, "gate_figures", lambda _classifier: {"macro_f1": 0.8})
    monkeypatch.setattr("sys.argv", ["gate", *given])
    with pytest.raises(SystemExit) as stop:
        gate.main()
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
    assert not gate.FLOORS.exists()

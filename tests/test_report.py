"""The evaluation report: the same numbers three times, nothing fetched, no text that acts, leaks told first."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.decisions import ThemeDecision
from model.errors import DataError
from model.main import build_app
from tests.conftest import tiny_rows, write_jsonl
from training.data import load_items
from training.report.build import Settings, build
from training.report.curves import reliability, wilson
from training.report.drift import LENGTHS, compare_counts, length_band, profile
from training.report.markdown import cell
from training.report.summary import interval
from training.report.thresholds import Aims, choices
from training.report.write import write
from training.table import evaluate_items

HOSTILE = (
    '<script>alert(1)</script><img src=x onerror="alert(2)"> {{ 7 * 7 }} https://example.org/a.png | [x](javascript:x)'
)
VOID = {"meta", "rect", "path", "polyline", "circle", "br", "img", "link"}


class Page(HTMLParser):
    """Notes tags, attributes and visible text, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Held-out toy articles with hostile texts and a third, unseen language; some labels are wrong."""
    rows = tiny_rows(90, seed=7, languages=("en", "fr", "sw"))
    for i, row in enumerate(rows):
        row["kind"] = "theme" if row["themes"] else ("neighbour", "general")[i % 2]
        if i % 10 == 0:
            row["themes"] = [] if row["themes"] else ["sextortion"]
        row["title"] = HOSTILE
        row["text"] += f" {HOSTILE}"
        row["id"] = f"{row['id']}<b>"
    return write_jsonl(tmp_path_factory.mktemp("report") / "held<i>out.jsonl", rows)


@pytest.fixture(scope="module")
def folder(tiny: ThemeClassifier, tiny_data: Path, files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    items = load_items([files], tiny.artifact.taxonomy.keys)
    settings = Settings(baselines=False, trained_on=(tiny_data,), noise_sample=20, mistakes=8)
    out = tmp_path_factory.mktemp("out")
    write(build(tiny, items, [files], settings), out)
    return out


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "index.html").read_text("utf-8")


def test_the_page_is_well_formed_and_fetches_nothing(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "src"
        assert name != "href" or value.startswith("#"), value
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(style) == 1
    assert not re.search(r"url\(|@import|https?:", style[0])
    assert {"svg", "details", "table"} <= set(page.tags)


def test_hostile_texts_are_only_text(text: str, folder: Path, told: dict[str, Any]) -> None:
    assert told["mistakes"]
    assert HOSTILE in "".join(Page(text).text)
    assert "<script>" not in text
    assert "held<i>out" not in text
    assert "<b>" not in (folder / "report.md").read_text("utf-8")


def test_page_and_markdown_tell_the_numbers_of_the_json(text: str, folder: Path, told: dict[str, Any]) -> None:
    shown, plain = "".join(Page(text).text), (folder / "report.md").read_text("utf-8")
    model = told["systems"]["model"]
    figures = [interval(model["macro_f1"])]
    figures += [interval(row[m]) for row in model["themes"].values() for m in ("precision", "recall", "f1")]
    figures += [interval(row["interval"]) for row in model["languages"].values()]
    figures += [interval(row["macro_f1"]) for part in told["slices"].values() for row in part.values()]
    figures += [told["model"]["sha256"], told["data"]["sha256"]]
    for figure in figures:
        assert figure in shown
        assert cell(figure) in plain or figure in plain
    for line in told["summary"]:
        assert line in shown
        assert cell(line) in plain


def test_the_json_is_what_evaluate_says(tiny: ThemeClassifier, files: Path, told: dict[str, Any]) -> None:
    items = load_items([files], tiny.artifact.taxonomy.keys)
    assert told["systems"]["model"] == json.loads(json.dumps(evaluate_items(tiny, items)))
    assert set(told["slices"]["Language"]) == {"in a language trained on", "in another language"}
    assert set(told["kinds"]) == {"theme", "neighbour", "general"}
    assert sum(row["items"] for row in told["slices"]["Length"].values()) == 90
    assert len(told["noise"]["kinds"]) == 5
    assert told["drift"]["languages"]["shares"]["sw"]["before"] == 0
    assert "different" in told["drift"]["languages"]["verdict"]
    assert told["leaks"] == {
        "checked": True, "missing": "", "items": 0, "ids": [], "examples": {}, "warning": "", "without": None,
    }  # fmt: skip


def test_training_articles_are_told_first(tiny: ThemeClassifier, tiny_data: Path, files: Path, tmp_path: Path) -> None:
    both = write_jsonl(
        tmp_path / "both.jsonl",
        [json.loads(line) for file in (tiny_data, files) for line in file.read_text("utf-8").splitlines()],
    )
    items = load_items([both], tiny.artifact.taxonomy.keys)
    settings = Settings(baselines=False, trained_on=(tiny_data,), noise_sample=0, mistakes=2, texts=False)
    report = build(tiny, items, [both], settings)
    record = tiny.artifact.training["data"]
    assert report["leaks"]["items"] == record["train"]["items"] + record["validation"]["items"]
    assert report["leaks"]["without"]["items"] == 410 - report["leaks"]["items"]
    write(report, tmp_path / "out")
    page, plain = ((tmp_path / "out" / name).read_text("utf-8") for name in ("index.html", "report.md"))
    assert plain.startswith("**Warning: ")
    body = Page(page[page.index("<body>") : page.index("</html>")]).text
    assert next(t for t in body if t.strip()).startswith("Warning: ")
    assert all("text" not in row and "title" not in row for row in report["mistakes"])


def test_data_without_any_theme_and_without_languages(tiny: ThemeClassifier, tmp_path: Path) -> None:
    rows = [{"id": r["id"], "text": r["text"], "themes": []} for r in tiny_rows(12, seed=9)]
    file = write_jsonl(tmp_path / "plain.jsonl", rows)
    report = build(
        tiny, load_items([file], tiny.artifact.taxonomy.keys), [file], Settings(baselines=False, noise_sample=5)
    )
    assert "false alarms only" in report["summary"][0]
    assert any("could not be checked in full" in line for line in report["summary"])
    assert write(report, tmp_path / "out").is_file()


def test_the_command_writes_the_report(tiny: ThemeClassifier, tiny_data: Path, files: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "--data", str(files), "--model", str(tiny.artifact.folder), "--trained-on", str(tiny_data)]
    arguments += ["--report", str(tmp_path / "r"), "--noise-sample", "0", "--reads", "10", "--prevalence", "0.01"]
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "r" / "report.json").read_text("utf-8"))
    assert told["thresholds"]["aims"]["prevalence"] == 0.01
    assert len(told["systems"]) == 4
    assert set(told["against"]) == set(told["systems"]) - {"model"}
    assert told["noise"] is None


def test_a_file_in_the_way_is_named(told: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(DataError, match="not a folder"):
        write(told, tmp_path / "taken")


def test_threshold_choices_do_what_they_say() -> None:
    scores = np.asarray([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
    truth = np.asarray([1, 1, 0, 1, 0, 0, 1, 0, 0, 0], dtype=bool)
    rule = ThemeDecision(1.0, 0.0, 0.5, 0.25, 0.75)
    aims = Aims(per_day=100, reads=20, recall=0.75, precision=0.9, prevalence=None)
    rows = {row["choice"]: row for row in choices(truth, scores, rule, aims)}
    assert rows["match, as it comes"]["recall"] == 0.5
    assert rows["match or review, as it comes"]["recall"] == 1.0
    assert rows["match or review, as it comes"]["flagged_per_day"] == 70
    assert rows["at least 75% found"]["threshold"] == 0.6
    assert rows["at least 90% right"]["threshold"] == 0.8
    assert rows["at most 20 to read a day"]["threshold"] == 0.8
    assert rows["F1 as high as it goes"]["f1"] == pytest.approx(0.75, abs=1e-4)
    rare = choices(truth, scores, rule, Aims(per_day=100, reads=20, prevalence=0.0))
    assert rare[0]["wrong_per_day"] == rare[0]["flagged_per_day"] == 0
    assert choices(np.zeros(10, dtype=bool), scores, rule, aims) == []
    assert {"choice": "at most 1 to read a day", "threshold": None} in choices(truth, scores, rule, Aims(100, 1))


def test_drift_tells_chance_from_change() -> None:
    old = {"en": 700, "fr": 300}
    assert compare_counts(old, {"en": 13, "fr": 7})["verdict"].startswith("alike")
    assert compare_counts(old, {"en": 450, "fr": 550})["verdict"] == "clearly different"
    far = compare_counts(old, {"sw": 100})
    assert far["verdict"] == "very different"
    assert far["distance"] == 1.0
    assert [length_band("x" * n) for n in (0, 500, 1499, 9999, 10_000)] == [LENGTHS[i] for i in (0, 1, 1, 3, 4)]
    assert profile(["en"], ["x"])["lengths"][LENGTHS[0]] == 1


def test_reliability_of_true_probabilities() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((4000, 1))
    bins = reliability(rng.random((4000, 1)) < scores, scores)
    assert len(bins) == 10
    assert sum(b["low"] <= b["score"] <= b["high"] for b in bins) >= 8
    assert wilson(0.0, 10)[1] == pytest.approx(0.278, abs=0.001)


def test_the_card_is_made_from_the_same_tables(tiny: ThemeClassifier) -> None:
    card = tiny.artifact.card()
    for table in tiny.artifact.training["metrics"].values():
        assert cell(interval(table["macro_f1"])) in card or interval(table["macro_f1"]) in card
        for row in table["themes"].values():
            assert cell(interval(row["f1"])) in card
        for language in table["languages"].values():
            assert cell(interval(language["interval"])) in card
    assert set(tiny.artifact.training["data"]["train"]["profile"]) == {"languages", "lengths"}


def test_articles_not_judged_for_every_theme_are_told(tiny: ThemeClassifier, tiny_data: Path, tmp_path: Path) -> None:
    rows = tiny_rows(24, seed=17)
    rows[3] |= {"labelled": ["sextortion"]}
    file = write_jsonl(tmp_path / "half.jsonl", rows)
    items = load_items([file], tiny.artifact.taxonomy.keys)
    report = build(tiny, items, [file], Settings(baselines=False, trained_on=(tiny_data,), noise_sample=0))
    assert report["summary"][1].startswith("Beware: 1 of 24 articles were not judged for every theme")
    assert "t17-3" in report["summary"][1]


def test_a_retrained_models_languages_are_those_of_its_whole_line(tiny_artifact: Artifact) -> None:
    from training.seen import trained_languages

    record = {"data": {"train": {"languages": ["km", ""]}}, "replay": {"train": {"languages": ["en"]}}, "start": None}
    assert trained_languages(replace(tiny_artifact, training=record)) == ["en", "km"]
    released = Artifact.load()
    start = {"name": released.name, "version": released.version, "digest": released.digest}
    whole = trained_languages(replace(tiny_artifact, training=record | {"start": start}))
    assert set(released.training["data"]["train"]["languages"]) | {"km"} <= set(whole)

"""The demo's parts in this process: what is shown, corrected and scored. Its browser tests stand next door."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from model.classifier import ThemeClassifier
from model.decisions import Decision
from model.errors import InputError, ThemewatchError
from model.result import Evidence, Result
from model.text import Article
from serve.demo import LaterError, build_demo, scoring
from serve.demo.batch import _Batch, _look
from serve.demo.card import card_text, weaknesses
from serve.demo.context import Context, Reading
from serve.demo.correct import _Corrector
from serve.demo.files import forget, new_folder, private_folder, upload_box
from serve.demo.languages import language_name, reader_languages, theme_names
from serve.demo.model_tab import _Shown, model_html
from serve.demo.read import _Reader
from serve.demo.render import apart, marked, render
from serve.demo.rows import Filter, TableRow, date_columns, plot_html, table_html
from serve.feedback.record import Feedback
from serve.feedback.store import FeedbackStore
from tests.conftest import write_jsonl

THEMED = "the mixer laundered coins and proceeds through a wallet broker."
PLAIN = "the city council said rain match school market."
HOSTILE = [
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}", "`alert(1)`", "'\"><svg onload=alert(1)>", "\u202e\u2066 reversed", "lone \ud83d surrogate",
    "null \0 byte", "&lt;b&gt;",
]  # fmt: skip


def request(language: str = "en") -> Any:
    """What Gradio hands to an event of a browser in this language."""
    return SimpleNamespace(headers={"accept-language": language}, request=None)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_everything_from_the_text_is_escaped(tiny: ThemeClassifier, hostile: str) -> None:
    text = f"{hostile} {THEMED} {hostile}"
    page = render(tiny.artifact, tiny.predict([Article(text)])[0], text)
    page.encode("utf-8")
    assert not re.search(r"<(?!/?(div|p|span|b|bdi|ul|li|small|h3|blockquote|details|summary|mark)\b)", page)
    assert not re.search(r"[{}$`\\\0]", page)
    assert " onerror=alert" not in re.sub(r">[^<]*<", "><", page)


def test_the_answer_shows_decisions_evidence_and_then_the_text(tiny: ThemeClassifier) -> None:
    result = tiny.predict([THEMED])[0]
    page = render(tiny.artifact, result, THEMED, ["fr"], "Only the first page was read.")
    assert "data-theme='crypto_laundering' data-decision='match'" in page
    assert "Blanchiment en cryptomonnaie" in page
    assert "match from" in page
    assert "Only the first page" in page
    assert page.index("tw-quote") < page.index("<details>") < page.index("<mark")


def test_marks_stand_where_the_evidence_is(tiny: ThemeClassifier) -> None:
    text = f"{PLAIN} {THEMED} {PLAIN}"
    result = tiny.predict([text])[0]
    page = marked(result, text, {key: key for key in result.scores})
    assert re.sub(r"<[^>]*>", "", page) == text
    strongest = max((item for found in result.evidence.values() for item in found), key=lambda item: item.share)
    assert f"--share:{strongest.share:.2f}" in page


def test_evidence_in_a_title_marks_nothing_in_the_text(tiny: ThemeClassifier) -> None:
    result = replace(tiny.predict([THEMED])[0], evidence={"sextortion": (Evidence(0, 9, "the title", 1.0, True),)})
    assert marked(result, THEMED, {"sextortion": "x"}) == THEMED


def test_marks_hold_with_characters_of_several_units(tiny: ThemeClassifier) -> None:
    text = f"\U0001f600\U0001f468\u200d\U0001f469 e\u0301 {PLAIN} {THEMED} \U0001f600"
    result = tiny.predict([text])[0]
    page = marked(result, text, {key: key for key in result.scores})
    for item in (item for found in result.evidence.values() for item in found):
        assert f">{item.text}</mark>" in page


def test_an_answer_says_how_far_to_trust_it(tiny: ThemeClassifier) -> None:
    found = tiny.predict([Article(THEMED)], language="en")[0]
    page = render(tiny.artifact, found, THEMED)
    assert "An estimate, not a finding" in page
    assert "not how sure the model is" in page
    assert "Answered by tiny 0.1.0" in page
    assert "rely less" not in page
    assert "not trained on this language" in render(tiny.artifact, replace(found, language="sv"), THEMED)
    assert "not recognised: rely less" in render(tiny.artifact, replace(found, language="und"), THEMED)
    none = replace(found, decisions=dict.fromkeys(found.decisions, Decision.NONE), evidence={})
    assert "can miss a theme" in render(tiny.artifact, none, THEMED)
    unsure = replace(found, decisions=dict.fromkeys(found.decisions, Decision.REVIEW))
    assert "a person decides" in render(tiny.artifact, unsure, THEMED)


class Replaced(ThemeClassifier):
    """While it answers, a model of another version, with fewer and other themes, takes over."""

    def __init__(self, inner: ThemeClassifier) -> None:
        super().__init__(inner.artifact, inner.engine, inner.windower)

    def predict(self, articles: Iterable[Article | str], *, explain: bool = True, language: str = "") -> list[Result]:
        results = super().predict(articles, explain=explain, language=language)
        themes = tuple(replace(theme, key=f"new_{theme.key}") for theme in self.artifact.taxonomy.themes[:2])
        taxonomy = replace(self.artifact.taxonomy, themes=themes)
        self.artifact = replace(self.artifact, version="9.9.9", taxonomy=taxonomy)
        return results


class Renamed(Replaced):
    """Answers under a name that neither the model before nor the one after has."""

    def predict(self, articles: Iterable[Article | str], *, explain: bool = True, language: str = "") -> list[Result]:
        results = super().predict(articles, explain=explain, language=language)
        return [replace(result, model={"name": "x", "version": "y", "digest": "z"}) for result in results]


def test_the_page_follows_a_model_that_takes_over(tiny: ThemeClassifier) -> None:
    context = Context(Replaced(tiny), lambda _: True)
    page, reading, _ = _Reader(context).read(THEMED, request())
    assert "Answered by tiny 0.1.0" in page  # by the model that did
    assert "9.9.9" in _Reader(context).about()[0].label
    assert "tiny 9.9.9" in _Shown(context).load(request())[0]
    _, body, *_ = _Corrector(context, tiny.artifact.taxonomy.keys).fill(request(), reading)
    assert body.visible  # what that model said can still be corrected
    assert "replaced meanwhile" in _Reader(Context(Renamed(tiny), lambda _: True)).read(THEMED, request())[0]


def test_the_page_asks_for_the_models_facts_again(tiny: ThemeClassifier) -> None:
    functions = build_demo(tiny).fns.values()
    asked = [target[1] for f in functions if getattr(f.fn, "__name__", "") == "load" for target in f.targets]
    assert {"load", "select"} <= set(asked)
    again = [f for f in functions if getattr(f.fn, "__name__", "") == "about" and f.trigger_after is not None]
    assert len(again) == 8  # after the button, a file and six examples


def test_names_in_the_readers_language(tiny: ThemeClassifier) -> None:
    assert reader_languages("de-CH,de;q=0.9, fr;q=0.95,*;q=0.1,en;q=0,;;,x") == ["de", "fr", "de"]
    assert reader_languages("a" * 10_000) == []
    names = theme_names(tiny.artifact.taxonomy, ["sv", "ar"])
    assert names["sextortion"] == "الابتزاز الجنسي"
    assert theme_names(tiny.artifact.taxonomy, ["sv"])["sextortion"] == "Sextortion"
    assert language_name("ar", ["fr"]) == "arabe (ar)"
    assert language_name("und", []) == "not recognised"
    assert language_name("xyz", ["qq"]) == "xyz"


def test_the_models_measurements_are_shown_as_far_as_they_go(tiny: ThemeClassifier) -> None:
    page = model_html(tiny.artifact, ["de"])
    assert "Held-out articles" in page
    assert "macro-F1" in page
    assert "Geldwäsche mit Kryptowährung" in page
    records: list[dict[str, Any]] = [{}, {"metrics": {}}, {"metrics": {"test": {"items": 3}}}, {"data": {"train": {}}}]
    for record in records:
        bare = SimpleNamespace(**{**vars(tiny.artifact), "training": record})
        assert "tiny 0.1.0" in model_html(bare, [])  # type: ignore[arg-type]
    assert "Where to be careful" in card_text(tiny.artifact)
    assert weaknesses(tiny.artifact) in card_text(tiny.artifact)
    assert "## Measured" not in weaknesses(tiny.artifact)


def test_the_card_may_be_gone(tiny: ThemeClassifier, tmp_path: Path) -> None:
    gone = SimpleNamespace(card=lambda: (tmp_path / "none").read_text())
    assert "no longer there" in card_text(gone)  # type: ignore[arg-type]


def corrector(tiny: ThemeClassifier, store: FeedbackStore) -> _Corrector:
    return _Corrector(Context(tiny, store.put, lambda _: "ana"), tiny.artifact.taxonomy.keys)


def test_corrections_reach_the_store(tiny: ThemeClassifier, tmp_path: Path) -> None:
    store = FeedbackStore.open(f"sqlite:///{tmp_path / 'feedback.sqlite3'}")
    form = corrector(tiny, store)
    reading = Reading(THEMED, tiny.predict([THEMED])[0])
    unsaid = [""] * len(form.keys)
    told = form.save(request(), reading, False, [], "a note", False, *unsaid)
    assert "Saved." in told
    assert "not kept" in told
    assert list(store.training_rows()) == []
    told = form.save(request(), reading, True, ["crypto_laundering", "sextortion"], "", True, *unsaid)
    assert "in place of" in told
    assert store.count() == 1
    (row,) = store.training_rows()
    assert row["text"] == THEMED
    assert row["themes"] == ["crypto_laundering", "sextortion"]
    assert "in place of" in form.save(request(), reading, False, [], "", True, *["yes", "no", "no", "no"])
    (row,) = store.training_rows()
    assert row["themes"] == ["sextortion"]
    store.close()


def test_corrections_that_say_nothing_or_two_things(tiny: ThemeClassifier, tmp_path: Path) -> None:
    store = FeedbackStore.open(f"sqlite:///{tmp_path / 'feedback.sqlite3'}")
    form = corrector(tiny, store)
    reading = Reading(THEMED, tiny.predict([THEMED])[0])
    assert "First read" in form.save(request(), None, False, [], "", True, *["yes"] * 4)
    assert "Nothing to save" in form.save(request(), reading, False, [], " ", True, *[""] * 4)
    assert "do not agree" in form.save(request(), reading, True, [], "", True, *["yes", "", "", ""])
    assert "longer than" in form.save(request(), reading, False, [], "x" * 2_001, True, *[""] * 4)
    assert store.count() == 0
    store.close()


def test_the_form_follows_the_article(tiny: ThemeClassifier) -> None:
    form = _Corrector(Context(tiny, lambda _: True), tiny.artifact.taxonomy.keys)
    reading = Reading("<b>bold</b> " + THEMED, tiny.predict([THEMED])[0])
    about, body, *radios = form.fill(request("es"), reading)
    assert "&lt;b&gt;" in about
    assert body.visible
    assert "Sextorsión" in radios[0].label
    assert len(form.fill(request(), None)) == len(form.fill(request(), reading))
    other = _Corrector(form.context, ("another",))
    assert "other themes" in other.fill(request(), reading)[0]


def score(classifier: ThemeClassifier, path: Path, *, form: str = "csv", text: str = "text") -> list[list[Any]]:
    """All that the Batch tab shows, one after the other."""
    batch = _Batch(Context(classifier, lambda _: True))
    return list(batch.run(str(path), text, "", form, True, None, request()))


def upload(name: str, rows: list[dict[str, Any]]) -> Path:
    return write_jsonl(new_folder() / name, rows)


ROWS: list[dict[str, Any]] = [
    {"text": THEMED, "day": "2024-01-05", "n": 1}, {"text": PLAIN, "day": "2024-02-06"}, {"text": THEMED, "day": "x"},
    {"text": " "}, {"text": "=1+1 <script>alert(1)</script> ${x}", "day": "2024-02-07"},
]  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_table_is_scored_and_offered(tiny: ThemeClassifier, form: str) -> None:
    path = upload("mine.jsonl", ROWS)
    shown = score(tiny, path, form=form)
    assert any("<progress max='5'" in step[0] for step in shown)
    told, table, download, rejects, *_ = shown[-1]
    assert "4 articles scored" in told
    assert "Rows left out: 1 (1 × the text is empty)" in told
    assert Path(download.value["path"] if isinstance(download.value, dict) else download.value).name == (
        f"mine-scored.{form}"
    )
    assert rejects.visible
    assert "the text is empty" in table.rejects.read_text("utf-8")
    if form == "csv":
        with table.output.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert ["crypto_laundering" in row["tw_themes"] for row in rows][:3] == [True, False, True]
        assert rows[3]["text"].startswith("'=1+1")
    if form == "jsonl":
        first = json.loads(table.output.read_text("utf-8").splitlines()[0])
        assert first["n"] == 1
        assert first["tw_decision_crypto_laundering"] == "match"
        assert "laundered coins" in first["tw_evidence"]
    page = "".join(part for part in shown[-1] if isinstance(part, str))
    assert "<script" not in page
    assert "${" not in page
    forget(table.folder)
    assert not table.folder.exists()


def test_filters_and_plots(tiny: ThemeClassifier) -> None:
    batch = _Batch(Context(tiny, lambda _: True))
    table = score(tiny, upload("mine.jsonl", ROWS))[-1][1]
    crypto = list(tiny.artifact.taxonomy.keys).index("crypto_laundering")
    page, rows, plot = batch.first_page(table, crypto, "match", "", "day", request())
    assert page == 1
    assert rows.count("laundered coins") == 2
    assert "2024-01-05" in plot
    assert "no date" in plot
    assert "laundered" not in batch.first_page(table, -1, "", "xx", "", request())[1]
    assert "page 1 of 1" in batch.turn(table, 99, "", "", "", 7, request())
    assert batch.first_page(None, -1, "", "", "", request())


def test_a_scored_table_keeps_the_themes_of_its_model(tiny: ThemeClassifier) -> None:
    classifier = Replaced(tiny)
    table = score(tiny, upload("mine.jsonl", ROWS))[-1][1]
    classifier.predict([PLAIN])
    batch = _Batch(Context(classifier, lambda _: True))
    assert "Crypto laundering" in batch.first_page(table, -1, "", "", "", request())[1]
    assert "Crypto laundering" in batch.turn(table, -1, "", "", "", 1, request())
    assert "after an hour" in batch.first_page(None, -1, "", "", "", request())[1]
    assert "after an hour" in batch.turn(None, -1, "", "", "", 1, request())


def test_the_outcome_before_is_not_offered_any_more(tiny: ThemeClassifier) -> None:
    table = score(tiny, upload("mine.jsonl", ROWS))[-1][1]
    path = str(upload("x.jsonl", ROWS))
    run: Any = _Batch(Context(tiny, lambda _: True)).run(path, "text", "", "csv", False, table, request())
    first = next(run)
    assert first[1] is None
    assert first[4].visible is False
    next(run)
    run.close()
    assert not table.folder.exists()


class Broken(ThemeClassifier):
    """Fails in a way that nobody thought of."""

    def __init__(self, inner: ThemeClassifier) -> None:
        super().__init__(inner.artifact, inner.engine, inner.windower)

    def predict(self, articles: Iterable[Article | str], *, explain: bool = True, language: str = "") -> list[Result]:
        raise ZeroDivisionError("laundered")


def test_unforeseen_errors_end_in_words(tiny: ThemeClassifier, caplog: pytest.LogCaptureFixture) -> None:
    path = upload("mine.jsonl", ROWS)
    before = set(private_folder().iterdir())
    last = score(Broken(tiny), path)[-1]
    assert "an error of the service (ZeroDivisionError)" in last[0]
    assert "laundered" not in last[0] + caplog.text
    assert set(private_folder().iterdir()) == before


def test_odd_names_of_columns(tiny: ThemeClassifier) -> None:
    path = new_folder() / "odd.jsonl"
    path.write_text('{"text": "a \\ud800 b", "\\ud800": 1, "<b>": "2024-01-01"}\n', "ascii")
    text, *_ = _look(str(path))
    assert [name for name, _ in text.choices] == ["text", "<b>"]
    "".join(part for part in score(tiny, path)[-1] if isinstance(part, str)).encode("utf-8")


@pytest.mark.slow
def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Uploads may be confidential; those of living processes stay."""
    make = "from serve.demo.files import private_folder as f; print(f(), flush=True); "

    def start(more: str) -> subprocess.Popen[str]:
        environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin"}
        return subprocess.Popen([sys.executable, "-c", make + more], env=environment, stdout=subprocess.PIPE, text=True)

    with start("import time; time.sleep(300)") as first:
        assert first.stdout is not None
        left = Path(first.stdout.readline().strip())
        with start("") as second:
            assert second.wait(120) == 0
        assert left.is_dir()
        first.kill()
    (tmp_path / "themewatch-foreign").mkdir()
    with start("") as third:
        assert third.wait(120) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["themewatch-foreign"]


def row(decision: str = "none", language: str = "en", day: str = "") -> TableRow:
    return TableRow("text", language, (decision, "none"), (0.5, 0.1), {"day": day} if day else {})


def test_what_filters_let_through() -> None:
    match, review, none = row("match"), row("review", "fr"), row()
    rows = (match, review, none)
    assert [Filter(0).passes(r) for r in rows] == [True, True, False]
    assert [Filter(0, "none").passes(r) for r in rows] == [False, False, True]
    assert [Filter(None, "none").passes(r) for r in rows] == [False, False, True]
    assert [Filter(None, "review", "fr").passes(r) for r in rows] == [False, True, False]


def test_pages_and_dates() -> None:
    rows = [row("match", day=f"20{y:02}-{m:02}-11") for y in range(10, 24) for m in range(1, 13)]
    assert date_columns(rows) == ["day"]
    assert ">2015<" in plot_html(rows, "day", ["A", "B"], [])  # 168 days and months are too many: years
    assert ">2010-03<" in plot_html(rows[:30], "day", ["A", "B"], []) or "2010-03-11" in plot_html(
        rows[:30], "day", ["A", "B"], []
    )
    assert "page 4 of 4" in table_html(rows, 99, ["A", "B"], [])
    assert table_html([], 0, ["A"], []).count("<tr>") == 1


@pytest.mark.parametrize(
    ("name", "content", "text", "told"),
    [
        ("x.csv", "a,b\n1,2\n", "text", "no column"),
        ("x.parquet", "no parquet", "text", "cannot be read"),
        ("x.csv", "", "text", "no rows"),
        ("x.jsonl", '{"tw_score_sextortion": 1, "text": "a"}\n', "text", "a name that the output needs"),
    ],
)
def test_tables_that_cannot_be_scored(tiny: ThemeClassifier, name: str, content: str, text: str, told: str) -> None:
    path = new_folder() / name
    path.write_text(content, "utf-8")
    before = set(private_folder().iterdir())
    last = score(tiny, path, text=text)[-1]
    assert "role='alert'" in last[0]
    assert told in last[0]
    assert set(private_folder().iterdir()) == before  # nothing is left behind


def test_columns_are_offered() -> None:
    text, title, form, told = _look(str(upload("x.jsonl", [{"headline": "h", "body": "b"}])))
    assert (text.value, title.value, form, told) == ("body", "headline", "jsonl", "")
    assert "role='alert'" in _look(str(upload("x.zip", ROWS)))[3]


class Busy(ThemeClassifier):
    """Busy a number of times, and unable to read one article."""

    def __init__(self, inner: ThemeClassifier, times: int) -> None:
        super().__init__(inner.artifact, inner.engine, inner.windower)
        self.times = times

    def predict(self, articles: Iterable[Article | str], *, explain: bool = True, language: str = "") -> list[Result]:
        given = list(articles)
        if self.times:
            self.times -= 1
            raise LaterError("busy")
        if any("unreadable" in str(article) for article in given):
            raise InputError("cannot be read")
        return super().predict(given, explain=explain, language=language)


def test_a_busy_service_is_waited_for(tiny: ThemeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_PAUSE", 0.01)
    rows = [{"text": THEMED}, {"text": "unreadable"}, {"text": PLAIN}]
    last = score(Busy(tiny, 3), upload("x.jsonl", rows))[-1]
    assert "2 articles scored" in last[0]
    assert "1 × cannot be read" in last[0]
    monkeypatch.setattr(scoring, "_PATIENCE", 0.05)
    assert "busy" in score(Busy(tiny, 10_000), upload("x.jsonl", rows))[-1][0]


def test_a_model_replaced_meanwhile_is_told(tiny: ThemeClassifier) -> None:
    with pytest.raises(ThemewatchError, match="replaced"):
        scoring._outcomes(tiny, [Article(THEMED)], False, {"name": "tiny", "version": "0.0.9"})


def test_stopping_leaves_nothing_behind(tiny: ThemeClassifier) -> None:
    path = upload("x.jsonl", [{"text": f"{PLAIN} {i}"} for i in range(30)])
    before = set(private_folder().iterdir())
    run: Any = _Batch(Context(tiny, lambda _: True)).run(str(path), "text", "", "csv", False, None, request())
    while "<progress" not in next(run)[0]:
        pass
    run.close()
    assert set(private_folder().iterdir()) == before


@pytest.mark.parametrize("given", ["http://evil.example/x", "/etc/passwd", "../../etc/passwd", "file:///etc/passwd"])
def test_only_uploaded_files_are_read(given: str) -> None:
    with gr.Blocks():
        box: Any = upload_box("x", (".txt",), "x")
    for take in (box.move_resource_to_block_cache, lambda path: box.preprocess(SimpleNamespace(path=path))):
        with pytest.raises(gr.Error, match="not there"):
            take(given)
    forget(given)
    assert Path("/etc/passwd").exists()


def test_the_own_store_is_opened_late(tiny: ThemeClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMEWATCH_DATABASE", f"sqlite:///{tmp_path / 'own.sqlite3'}")
    build_demo(tiny)
    assert not (tmp_path / "own.sqlite3").exists()
    from serve.demo.context import default_save

    result = tiny.predict([THEMED])[0]
    feedback = Feedback(
        text=THEMED, title="", consent=True, language="en", model_name="tiny", model_version="0.1.0", taxonomy="1.0",
        scores=result.scores, decisions={k: d.value for k, d in result.decisions.items()},
        verdicts={"sextortion": True},
    )  # fmt: skip
    assert default_save()(feedback)
    assert not default_save()(feedback)


def test_events_ask_for_no_texts_in_warnings(tiny: ThemeClassifier, recwarn: pytest.WarningsRecorder) -> None:
    page = build_demo(tiny)
    assert not [str(w.message)[:200] for w in recwarn if "arguments for function" in str(w.message)]
    assert {tab.label for tab in page.blocks.values() if isinstance(tab, gr.Tab)} == {
        "Read", "Correct", "Batch", "Model",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("score", "shown"),
    [(0.5, ("50%", "82%")), (0.8158, ("81.6%", "82.4%")), (0.8236, ("82.36%", "82.42%")), (0.83, ("83%", "82%"))],
)
def test_a_score_under_its_limit_is_shown_under_it(score: float, shown: tuple[str, str]) -> None:
    assert apart(score, 0.8242) == shown

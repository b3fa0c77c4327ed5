"""The tab *Batch*: a table of articles in, the scored table out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from model.errors import InputError, ThemewatchError
from serve.api.logs import told
from serve.demo.context import Context
from serve.demo.files import forget, new_folder, upload_box
from serve.demo.html import alert, box, escaped, status
from serve.demo.languages import asked_languages, language_name, theme_names
from serve.demo.rows import ANY, Filter, date_columns, plot_html, table_html
from serve.demo.scoring import Order, ScoredTable, score_table
from serve.score.formats import Format
from serve.uploads.confined import column_names, count_rows
from serve.uploads.tables import MAX_BYTES, MAX_ROWS, SUFFIXES, table_input

LOG = logging.getLogger("themewatch.serve")
_HOUR = 3600
_FORMATS = ("csv", "jsonl", "parquet")
_TEXTS, _TITLES = ("text", "body", "content", "article"), ("title", "headline")
_GONE = "The scores were removed after an hour. Upload the table again to score it."
_DECISIONS = [("Any decision", ANY), ("Match", "match"), ("To review", "review"), ("None", "none")]


@dataclass(frozen=True)
class _Outputs:
    """Where the outcome is shown."""

    told: gr.HTML
    table: gr.State
    download: gr.DownloadButton
    rejects: gr.DownloadButton
    results: gr.Column
    theme: gr.Dropdown
    decision: gr.Dropdown
    language: gr.Dropdown
    by: gr.Dropdown
    page: gr.Number
    rows: gr.HTML
    plot: gr.HTML

    @property
    def all(self) -> list[Any]:
        return [
            self.told, self.table, self.download, self.rejects, self.results, self.theme, self.decision,
            self.language, self.by, self.page, self.rows, self.plot,
        ]  # fmt: skip

    @property
    def filters(self) -> list[Any]:
        return [self.theme, self.decision, self.language, self.by]


def batch_tab(context: Context) -> None:
    """The tab's components and their events."""
    gr.Markdown(
        f"Score up to {MAX_ROWS:,} articles ({MAX_BYTES // 1_000_000} MB) from CSV, JSON lines or Parquet. "
        "For more, use `themewatch score`. The file and its scores are removed from this machine after an hour."
    )
    file = upload_box("CSV, JSON lines or Parquet", SUFFIXES, "table-file")
    with gr.Row():
        text = gr.Dropdown(label="Column with the text", choices=[], interactive=True, elem_id="text-column")
        title = gr.Dropdown(label="Column with the title", choices=[], interactive=True, elem_id="title-column")
        form = gr.Dropdown(label="Download as", choices=list(_FORMATS), value="csv", elem_id="format")
    explain = gr.Checkbox(label="Add the evidence sentences", value=False, elem_id="explain")
    with gr.Row():
        start = gr.Button("Score", variant="primary", elem_id="score")
        stop = gr.Button("Stop", elem_id="stop")
    out = _outputs()
    file.upload(_look, [file], [text, title, form, out.told], api_visibility="private")
    waits = start.click(
        lambda: status("Waiting for its turn …"), None, [out.told], api_visibility="private", show_progress="hidden"
    )
    run = waits.then(
        _Batch(context).run, [file, text, title, form, explain, out.table], out.all,
        api_visibility="private", concurrency_limit=1, show_progress="hidden",
    )  # fmt: skip
    stop.click(lambda: status("Stopped."), None, [out.told], cancels=[waits, run], api_visibility="private")
    for control in out.filters:
        control.input(
            _Batch(context).first_page, [out.table, *out.filters], [out.page, out.rows, out.plot],
            api_visibility="private",
        )  # fmt: skip
    out.page.input(_Batch(context).turn, [out.table, *out.filters, out.page], [out.rows], api_visibility="private")


def _outputs() -> _Outputs:
    told = gr.HTML(elem_id="batch-told")
    table = gr.State(None, time_to_live=_HOUR, delete_callback=_forget_table)
    with gr.Column(visible=False) as results:
        with gr.Row():
            download = gr.DownloadButton("Download the scored table", variant="primary", elem_id="download")
            rejects = gr.DownloadButton("Download the rows left out", visible=False, elem_id="rejects")
        with gr.Row():
            theme = gr.Dropdown(label="Theme", choices=[("Any theme", -1)], value=-1, elem_id="by-theme")
            decision = gr.Dropdown(label="Decision", choices=_DECISIONS, value=ANY, elem_id="by-decision")
            language = gr.Dropdown(label="Language", choices=[("Any", ANY)], value=ANY, elem_id="by-language")
        by = gr.Dropdown(label="Plot by", choices=[("Language", ANY)], value=ANY, elem_id="plot-by")
        plot = gr.HTML(elem_id="plot")
        rows = gr.HTML(elem_id="rows")
        page = gr.Number(label="Page", value=1, minimum=1, precision=0, elem_id="page")
    return _Outputs(told, table, download, rejects, results, theme, decision, language, by, page, rows, plot)


def _look(path: str | None) -> list[Any]:
    """Offer the columns of an uploaded table."""
    if path is None:
        return [gr.skip()] * 4
    name = Path(path).name
    try:
        item = table_input(Path(path), name)
        names = column_names(Path(path), name)
    except ThemewatchError as error:
        forget(path)
        return [gr.Dropdown(choices=[]), gr.Dropdown(choices=[]), gr.skip(), alert(error)]
    text = next((n for n in _TEXTS if n in names), names[0] if names else None)
    title = next((n for n in _TITLES if n in names and n != text), ANY)
    form = item.format.kind if item.format.kind in _FORMATS else "csv"
    return [
        gr.Dropdown(choices=names, value=text), gr.Dropdown(choices=[("No title", ANY), *names], value=title), form, "",
    ]  # fmt: skip


@dataclass(frozen=True)
class _Batch:
    """What happens on the page's events."""

    context: Context

    def run(
        self, path: str | None, text: str, title: str, form: str, explain: bool, old: ScoredTable | None,
        request: gr.Request,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Score, telling how far it is; at the end show the outcome."""
        still = [gr.skip()] * 11
        if path is None:
            yield [alert("Upload a table first."), *still]
            return
        hidden = [None, *[gr.skip()] * 2, gr.Column(visible=False), *[gr.skip()] * 7]
        yield [status("Looking at the file …"), *hidden]  # the outcome before goes, so nothing of it is offered
        _forget_table(old)
        table = ScoredTable(folder := new_folder(), folder / f"{Path(path).stem[:80]}-scored.{form}")
        finished = False
        try:
            name = Path(path).name
            item = table_input(Path(path), name)
            if form not in _FORMATS:
                raise InputError(f"cannot write {form!r}", remedy=f"choose {', '.join(_FORMATS)}")
            counted = count_rows(Path(path), name, text or "", title or None)
            order = Order(item, text, title or None, Format(form), explain, counted.total)
            begun = time.monotonic()
            for done in score_table(self.context.classifier, order, table):
                yield [_progress(done, counted.total, time.monotonic() - begun), *still]
            finished = True
        except ThemewatchError as error:
            yield [alert(error), *hidden]
        except Exception as error:  # Gradio would leave the page as it is
            LOG.error("a table could not be scored: %s", told(error))
            yield [alert(f"an error of the service ({type(error).__name__}); its log says where"), *hidden]
        finally:
            if not finished:  # stopped, or the reader has left
                forget(table.folder)
        if finished:
            yield self._outcome(table, request)

    def _outcome(self, table: ScoredTable, request: gr.Request) -> list[Any]:
        languages = asked_languages(request)
        names = _names(table, languages)
        reasons = "; ".join(f"{count:,} × {escaped(reason)}" for reason, count in table.rejected.most_common(5))
        left = f" Rows left out: {table.rejected.total():,} ({reasons})." if table.rejected else ""
        codes = sorted({row.language for row in table.rows})
        return [
            box(f"<p role='status'>{len(table.rows):,} articles scored.{left}</p>"),
            table,
            gr.DownloadButton(value=str(table.output)),
            gr.DownloadButton(value=str(table.rejects) if table.rejects else None, visible=table.rejects is not None),
            gr.Column(visible=True),
            gr.Dropdown(choices=[("Any theme", -1), *((name, i) for i, name in enumerate(names))], value=-1),
            gr.Dropdown(value=ANY),
            gr.Dropdown(choices=[("Any", ANY), *((language_name(c, languages), c) for c in codes)], value=ANY),
            gr.Dropdown(choices=[("Language", ANY), *((f"Date: {n}", n) for n in date_columns(table.rows))], value=ANY),
            1,
            table_html(table.rows, 1, names, languages),
            plot_html(table.rows, ANY, names, languages),
        ]  # fmt: skip

    def first_page(
        self, table: ScoredTable | None, theme: int, decision: str, language: str, by: str,
        request: gr.Request,
    ) -> list[Any]:  # fmt: skip
        if table is None:
            return [1, alert(_GONE), ""]
        languages = asked_languages(request)
        names = _names(table, languages)
        wanted = Filter(theme if 0 <= theme < len(names) else None, decision, language)
        rows = [row for row in table.rows if wanted.passes(row)]
        return [1, table_html(rows, 1, names, languages), plot_html(rows, by, names, languages)]

    def turn(
        self, table: ScoredTable | None, theme: int, decision: str, language: str, by: str, page: float,
        request: gr.Request,
    ) -> Any:  # fmt: skip
        if table is None:
            return alert(_GONE)
        languages = asked_languages(request)
        names = _names(table, languages)
        wanted = Filter(theme if 0 <= theme < len(names) else None, decision, language)
        return table_html([r for r in table.rows if wanted.passes(r)], int(page or 1), names, languages)


def _names(table: ScoredTable, languages: list[str]) -> list[str]:
    """The names of the themes that the table was scored for."""
    return list(theme_names(table.taxonomy, languages).values()) if table.taxonomy else []


def _progress(done: int, total: int, seconds: float) -> str:
    left = (total - done) * seconds / done if done else 0.0
    when = f", about {left / 60:.0f} min left" if left > 90 else f", about {left:.0f} s left" if done else ""
    return box(
        f"<progress max='{total}' value='{done}' aria-label='Rows scored'></progress>"
        f"<p>{done:,} of {total:,} rows{when}</p>"
    )


def _forget_table(table: ScoredTable | None) -> None:
    """Remove the files of an outcome that nobody looks at any more."""
    if table is not None:
        forget(table.folder)

"""The tab *Read*: an article in, themes and evidence out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from model.errors import ThemewatchError
from serve.demo.card import weaknesses
from serve.demo.context import Context, Reading
from serve.demo.files import forget, upload_box
from serve.demo.html import alert
from serve.demo.languages import asked_languages
from serve.demo.render import render
from serve.uploads.confined import read_document
from serve.uploads.documents import MAX_CHARACTERS, SUFFIXES

EXAMPLES = Path(__file__).parent.parent / "examples"
_LANGUAGES = {"en": "English", "fr": "Français", "es": "Español", "ar": "العربية", "hi": "हिन्दी", "de": "Deutsch"}
_HOUR = 3600


@dataclass(frozen=True)
class ReadTab:
    """What other tabs build on: the last reading, and the events after which it is a new one."""

    reading: gr.State
    events: list[Any]
    correct: gr.Button


def read_tab(context: Context, page: gr.Blocks) -> ReadTab:
    """The tab's components and their events."""
    reading = gr.State(None, time_to_live=_HOUR)
    gr.Markdown(
        "Paste a news article or a release, in any language: which themes of online exploitation does it report on? "
        "The text stays on the machine that runs this page, and is not kept unless you ask for it."
    )
    text = gr.Textbox(label="Article", lines=8, max_lines=18, elem_id="article", max_length=MAX_CHARACTERS)
    button = gr.Button("Read", variant="primary", elem_id="read")
    file = upload_box("Or a file: text, HTML, Markdown, PDF, Word", SUFFIXES, "file")
    gr.Markdown("Or one of these examples (fictional):")
    with gr.Row(elem_id="examples"):
        examples = {
            path: gr.Button(_LANGUAGES.get(_code(path), _code(path)), size="sm", min_width=60)
            for path in sorted(EXAMPLES.glob("*.txt"))
        }
    answer = gr.HTML(elem_id="answer")
    correct = gr.Button("Wrong? Correct it", visible=False, elem_id="to-correct")
    with gr.Accordion("The model, and what it is not good at", open=False, elem_id="about") as about:
        careful = gr.Markdown()
    shown = [answer, reading, correct]
    events = [
        button.click(_Reader(context).read, [text], shown, api_visibility="private"),
        file.upload(_Reader(context).file, [file], [text, file, *shown], api_visibility="private"),
    ]
    for path, example in examples.items():
        events.append(example.click(_Reader(context, path).example, None, [text, *shown], api_visibility="private"))
    occasions: list[Any] = [page.load, *(event.then for event in events)]
    for event in occasions:  # each reading may be another model's
        event(_Reader(context).about, None, [about, careful], api_visibility="private", show_progress="hidden")
    return ReadTab(reading, events, correct)


@dataclass(frozen=True)
class _Reader:
    """What happens on the page's events; ``path`` is the example's behind a button."""

    context: Context
    path: Path = EXAMPLES

    def about(self) -> list[Any]:
        artifact = self.context.classifier.artifact
        title = f"Model {artifact.name} {artifact.version}: what it is not good at"
        return [gr.Accordion(label=title), weaknesses(artifact)]

    def read(self, text: str, request: gr.Request) -> list[Any]:
        return self._answer(text or "", request, "")

    def file(self, path: str | None, request: gr.Request) -> list[Any]:
        """The file's text goes into the box; the file itself is removed at once."""
        if path is None:
            return [gr.skip()] * 5
        try:
            document = read_document(Path(path), Path(path).name)
        except ThemewatchError as error:
            return [gr.skip(), None, alert(error), None, gr.Button(visible=False)]
        finally:
            forget(path)
        return [document.text, None, *self._answer(document.text, request, document.note)]

    def example(self, request: gr.Request) -> list[Any]:
        text = self.path.read_text("utf-8")
        return [text, *self._answer(text, request, "")]

    def _answer(self, text: str, request: gr.Request, note: str) -> list[Any]:
        try:
            result, artifact = self.context.answer(text)
        except ThemewatchError as error:
            return [alert(error), None, gr.Button(visible=False)]
        page = render(artifact, result, text, asked_languages(request), note)
        return [page, Reading(text, result), gr.Button(visible=True)]


def _code(path: Path) -> str:
    return path.stem.split("-")[1]

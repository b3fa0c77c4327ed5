"""The tab *Correct*: what a reader says about the last answer becomes training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from model.errors import ThemewatchError
from serve.demo.context import Context, Reading
from serve.demo.html import alert, box, escaped, status
from serve.demo.languages import asked_languages, theme_names
from serve.demo.read import ReadTab
from serve.demo.render import WORDS
from serve.feedback.record import Feedback

MAX_NOTE = 2_000  # characters
_BEGINNING = 220  # characters of the article shown
_OTHERS = "The model has other themes than when this page was made: to correct it here, the service must be restarted."
_NOTHING = "First read an article, then come back here to correct the answer."
_YES, _NO, _UNSAID = "yes", "no", ""
# For each decision, what it means to call it right or wrong.
_CHOICES = {
    "match": [("Right, it does report on this", _YES), ("Wrong, it does not", _NO)],
    "none": [("Right, it does not report on this", _NO), ("Wrong, it does", _YES)],
    "review": [("It does report on this", _YES), ("It does not", _NO)],
}


@dataclass(frozen=True)
class _Form:
    about: gr.HTML
    body: gr.Column
    verdicts: list[gr.Radio]
    full: gr.Checkbox
    themes: gr.CheckboxGroup
    note: gr.Textbox
    consent: gr.Checkbox
    told: gr.HTML

    @property
    def all(self) -> list[Any]:
        return [
            self.about, self.body, *self.verdicts, self.full, self.themes, self.note, self.consent, self.told,
        ]  # fmt: skip


def correct_tab(context: Context, read: ReadTab) -> None:
    """The tab's components and their events."""
    taxonomy = context.classifier.artifact.taxonomy
    about = gr.HTML(box(f"<p>{_NOTHING}</p>"), elem_id="corrected")
    with gr.Column(visible=False) as body:
        verdicts = [
            gr.Radio([("Not checked", _UNSAID)], value=_UNSAID, label=theme.name(), elem_id=f"verdict-{theme.key}")
            for theme in taxonomy.themes
        ]  # fmt: skip
        full = gr.Checkbox(label="I know all its themes, and set them here", elem_id="full")
        themes = gr.CheckboxGroup(label="The article reports on (none ticked: on none of them)", visible=False,
                                  elem_id="themes")  # fmt: skip
        note = gr.Textbox(label="Note (optional)", lines=2, max_length=MAX_NOTE, elem_id="note")
        consent = gr.Checkbox(
            label="Keep the article's text, so that a model can learn from it",
            info="Otherwise only its fingerprint is kept, and no model can learn from the correction.",
            elem_id="consent",
        )
        save = gr.Button("Save", variant="primary", elem_id="save")
    told = gr.HTML(elem_id="saved")
    form = _Form(about, body, verdicts, full, themes, note, consent, told)
    full.change(lambda ticked: gr.CheckboxGroup(visible=ticked), [full], [themes], api_visibility="private")
    save.click(
        _Corrector(context, taxonomy.keys).save, [read.reading, full, themes, note, consent, *verdicts], [told],
        api_visibility="private",
    )  # fmt: skip
    for event in read.events:
        event.then(_Corrector(context, taxonomy.keys).fill, [read.reading], form.all, api_visibility="private")


@dataclass(frozen=True)
class _Corrector:
    """What happens on the page's events; ``keys`` are the themes that the page was made for."""

    context: Context
    keys: tuple[str, ...]

    def fill(self, request: gr.Request, reading: Reading | None) -> list[Any]:
        """The form for a new reading; what was said about the one before is gone."""
        if reading is None or tuple(reading.result.decisions) != self.keys:
            updates = [gr.skip()] * (len(self.keys) + 4)
            return [box(f"<p>{_OTHERS if reading else _NOTHING}</p>"), gr.Column(visible=False), *updates, ""]
        names = theme_names(self.context.classifier.artifact.taxonomy, asked_languages(request))
        result = reading.result
        radios = [
            gr.Radio(
                label=f"{names.get(key, key)} (said: {WORDS[decision.value]}, {result.scores[key]:.0%})",
                choices=[*_CHOICES[decision.value], ("Not checked", _UNSAID)], value=_UNSAID,
            )
            for key, decision in result.decisions.items()
        ]  # fmt: skip
        beginning = reading.text.strip()[:_BEGINNING] + ("…" if len(reading.text.strip()) > _BEGINNING else "")
        about = box(f"<p>On this article:</p><blockquote class='tw-full' dir='auto'>{escaped(beginning)}</blockquote>")
        themes = gr.CheckboxGroup(
            choices=[(names.get(key, key), key) for key in self.keys], value=list(result.themes), visible=False
        )
        return [
            about, gr.Column(visible=True), *radios, gr.Checkbox(value=False), themes, "", gr.Checkbox(value=False), "",
        ]  # fmt: skip

    def save(
        self, request: gr.Request, reading: Reading | None, full: bool, themes: list[str], note: str, consent: bool,
        *said: str,
    ) -> str:  # fmt: skip
        if reading is None:
            return alert(_NOTHING)
        verdicts = {key: word == _YES for key, word in zip(self.keys, said, strict=True) if word in (_YES, _NO)}
        listed = tuple(key for key in self.keys if key in themes) if full else None
        problem = _problem(verdicts, listed, note)
        if problem:
            return alert(problem)
        try:
            new = self.context.save(_record(reading, verdicts, listed, note, consent, self.context.user(request)))
        except ThemewatchError as error:
            return alert(error)
        kept = "Its text is kept and can be learnt from." if consent else "Its text is not kept."
        return status(f"{'Saved.' if new else 'Saved, in place of what you said before on this article.'} {kept}")


def _problem(verdicts: dict[str, bool], listed: tuple[str, ...] | None, note: str) -> str:
    if not verdicts and listed is None and not (note or "").strip():
        return "Nothing to save yet: judge a theme, set the themes, or write a note."
    if len(note or "") > MAX_NOTE:
        return f"The note is longer than {MAX_NOTE:,} characters."
    if listed is not None and any(carried != (key in listed) for key, carried in verdicts.items()):
        return "Your judgement of a theme above and the themes you set do not agree."
    return ""


def _record(
    reading: Reading, verdicts: dict[str, bool], listed: tuple[str, ...] | None, note: str, consent: bool, user: str
) -> Feedback:
    result = reading.result
    return Feedback(
        text=reading.text, title="", consent=bool(consent), language=result.language,
        model_name=result.model["name"], model_version=result.model["version"], taxonomy=result.taxonomy,
        scores={key: round(score, 4) for key, score in result.scores.items()},
        decisions={key: decision.value for key, decision in result.decisions.items()},
        verdicts=verdicts, themes=listed, note=(note or "").strip(), user=user,
    )  # fmt: skip

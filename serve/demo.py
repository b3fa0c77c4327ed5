"""The Gradio page: evidence first, the full text folded away."""

from __future__ import annotations

from html import escape
from pathlib import Path

import gradio as gr

from model.classifier import ThemeClassifier
from model.errors import InputError
from model.result import Evidence, Result
from model.text import Article

EXAMPLES = Path(__file__).parent / "examples"
_RIGHT_TO_LEFT = {"ar", "fa", "he", "ur"}
_WORDS = {"match": "match", "review": "to review", "none": "no"}
_STYLE = """
.tw-theme {margin: .4em 0; display: grid; grid-template-columns: minmax(9em, 1fr) 2fr auto; gap: .8em;
  align-items: center}
.tw-bar {background: var(--border-color-primary); border-radius: 4px; position: relative; height: .8em}
.tw-fill {border-radius: 4px; height: 100%; background: var(--body-text-color-subdued)}
.tw-match .tw-fill {background: #b42318} .tw-review .tw-fill {background: #b7791f}
.tw-limit {position: absolute; top: -.2em; bottom: -.2em; width: 2px; background: var(--body-text-color)}
.tw-quote {margin: .3em 0; padding: .3em .6em; border-inline-start: 4px solid #b42318; unicode-bidi: plaintext}
.tw-full {white-space: pre-wrap; unicode-bidi: plaintext; overflow-wrap: anywhere}
mark.tw {color: inherit; border-radius: 3px}
"""


def build_demo(classifier: ThemeClassifier) -> gr.Blocks:
    """The page around a loaded model."""

    def answer(text: str) -> str:
        try:
            return render(classifier, classifier.predict([Article(text or "")])[0], text)
        except InputError as error:
            return f"<p role='alert'>{escape(str(error))}</p>"

    artifact = classifier.artifact
    page: gr.Blocks
    with gr.Blocks(title="themewatch", analytics_enabled=False) as page:
        gr.HTML(f"<style>{_STYLE}</style>")
        gr.Markdown(
            "# themewatch\nPaste a news article or a release, in any language: which themes of online exploitation "
            "does it report on? Nothing you paste leaves this machine or is stored."
        )
        text = gr.Textbox(label="Article", lines=10, max_lines=20, elem_id="article", rtl=False)
        button = gr.Button("Read", variant="primary", elem_id="read")
        out = gr.HTML(elem_id="answer")
        gr.Examples(_examples(), [text], label="Examples (fictional)")
        with gr.Accordion(f"Model {artifact.name} {artifact.version}", open=False):
            gr.Markdown(artifact.card())
        button.click(answer, [text], [out])
    return page


def render(classifier: ThemeClassifier, result: Result, text: str) -> str:
    """The answer as HTML; everything that came from the text is escaped."""
    artifact = classifier.artifact
    names = {theme.key: theme.name(result.language) for theme in artifact.taxonomy.themes}
    rows, quotes = [], []
    for key, score in result.scores.items():
        decision = result.decisions[key].value
        limit = artifact.decisions.themes[key].upper
        rows.append(
            f"<div class='tw-theme tw-{decision}' data-theme='{escape(key)}' data-decision='{decision}'>"
            f"<b dir='auto'>{escape(names[key])}</b><div class='tw-bar'>"
            f"<div class='tw-fill' style='width:{score:.1%}'></div>"
            f"<div class='tw-limit' title='match from here' style='inset-inline-start:{limit:.1%}'></div></div>"
            f"<span>{score:.0%} · {_WORDS[decision]}</span></div>"
        )
    for key, found in result.evidence.items():
        shown = "".join(_quote(item) for item in found)
        quotes.append(f"<h4 dir='auto'>Why {escape(names[key])}</h4>{shown}")
    body = marked(result, text)
    direction = "rtl" if result.language in _RIGHT_TO_LEFT else "ltr"
    note = (
        "<p>Only the first part was read: the article is longer than the model's limit.</p>" if result.truncated else ""
    )
    full = f"<div class='tw-full' dir='{direction}'>{body}</div>"
    return (
        f"<p>Language: {escape(result.language)}</p>{note}{''.join(rows)}"
        f"<div dir='{direction}'>{''.join(quotes)}</div>"
        f"<details><summary>Full text, evidence marked</summary>{full}</details>"
    )


def _quote(item: Evidence) -> str:
    shade = f"opacity:{0.6 + 0.4 * item.share:.2f}"
    return (
        f"<blockquote class='tw-quote' style='{shade}'>{escape(item.text)} <small>{item.share:.0%}</small></blockquote>"
    )


def marked(result: Result, text: str) -> str:
    """The text with its evidence marked: the darker, the larger the share."""
    spans = sorted({(e.start, e.end): e.share for found in result.evidence.values() for e in found}.items())
    out, at = [], 0
    for (start, end), share in spans:
        if start < at:
            continue
        strength = f"rgba(180,35,24,{0.15 + 0.45 * share:.2f})"
        out.append(
            escape(text[at:start]) + f"<mark class='tw' style='background:{strength}'>{escape(text[start:end])}</mark>"
        )
        at = end
    return "".join(out) + escape(text[at:])


def _examples() -> list[list[str]]:
    return [[path.read_text("utf-8")] for path in sorted(EXAMPLES.glob("*.txt"))]

"""The page around a loaded model."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from model.classifier import ThemeClassifier
from serve.demo.batch import batch_tab
from serve.demo.context import Context, Save, default_save
from serve.demo.correct import correct_tab
from serve.demo.files import private_folder
from serve.demo.model_tab import model_tab
from serve.demo.read import read_tab

_HELP = (
    "This page only reads reports; nothing is reported through it. A child in danger: call the police. Illegal images "
    "or videos: do not copy them, report them to your country's hotline ([inhope.org](https://www.inhope.org)). "
    "Such reading wears on people: evidence comes first so that you need not read it all."
)
_SWEEP = (600, 3600)  # seconds between two looks for old files, and how old they may get


def build_demo(
    classifier: ThemeClassifier, save: Save | None = None, user: Callable[[gr.Request], str] = lambda _request: ""
) -> gr.Blocks:
    """The page. Give ``look()`` to whatever serves it.

    Args:
        save: stores a correction and says whether it is new; default: into the user's own store.
        user: who is behind a request; "" for anybody.
    """
    private_folder()
    context = Context(classifier, save or default_save(), user)
    page: gr.Blocks
    with gr.Blocks(title="themewatch", analytics_enabled=False, delete_cache=_SWEEP) as page:
        gr.Markdown("# themewatch")
        with gr.Tabs() as tabs:
            with gr.Tab("Read", id="read"):
                read = read_tab(context, page)
            with gr.Tab("Correct", id="correct"):
                correct_tab(context, read)
            with gr.Tab("Batch", id="batch"):
                batch_tab(context)
            with gr.Tab("Model", id="model") as model:
                model_tab(context, page, model)
        gr.Markdown(_HELP, elem_id="help")
        read.correct.click(lambda: gr.Tabs(selected="correct"), None, [tabs], api_visibility="private")
    return page

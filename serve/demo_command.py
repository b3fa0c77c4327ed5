"""``themewatch demo``: a page to paste an article into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.errors import ConfigError, MissingExtraError


def demo(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 7860,
    model: Annotated[Path | None, typer.Option(help="A model folder; default: the released model.")] = None,
) -> None:
    """Open a page on this machine: read articles, correct answers, score tables, see how good the model is."""
    try:
        import gradio.queueing
        import gradio.route_utils
        import gradio.routes

        from serve.demo import build_demo, look
    except ImportError as error:
        raise MissingExtraError(error.name or "gradio", "serve") from error
    from model.classifier import ThemeClassifier
    from serve.api.credentials import is_loopback
    from serve.api.logs import quiet
    from serve.uploads.tables import MAX_BYTES

    if not is_loopback(host):
        raise ConfigError(
            "this page has no log-in and is for this machine alone", where=f"--host {host}",
            remedy="use `themewatch serve --host …`, which asks for keys",
        )  # fmt: skip
    quiet(gradio.queueing, gradio.route_utils, gradio.routes)  # their tracebacks could quote a text
    page = build_demo(ThemeClassifier.load(model))
    page.launch(
        server_name=host, server_port=port, show_error=False, quiet=False, share=False, footer_links=[],
        run_history=False, max_file_size=MAX_BYTES, **look(),
    )  # fmt: skip

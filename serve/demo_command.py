"""``themewatch demo``: a page to paste an article into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.errors import MissingExtraError


def demo(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 7860,
    model: Annotated[Path | None, typer.Option(help="A model folder; default: the released model.")] = None,
) -> None:
    """Open a page on this machine: paste an article, see themes, confidence and evidence."""
    try:
        from serve.demo import build_demo
    except ImportError as error:
        raise MissingExtraError(error.name or "gradio", "serve") from error
    from model.classifier import ThemeClassifier

    page = build_demo(ThemeClassifier.load(model))
    page.launch(server_name=host, server_port=port, show_error=False, quiet=False, share=False)

"""The demo: a Gradio page with the tabs Read, Correct, Batch and Model."""

from __future__ import annotations

from serve.demo.context import LaterError
from serve.demo.page import build_demo
from serve.demo.theme import look

__all__ = ["build_demo", "look", "LaterError"]

"""What the model's card says, for the page."""

from __future__ import annotations

import re

from model.artifact import Artifact

_CAREFUL = re.compile(r"^## [^\n]*careful[^\n]*\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL | re.IGNORECASE)


def card_text(artifact: Artifact) -> str:
    """The card, Markdown."""
    try:
        return artifact.card()
    except OSError:  # a model in service may outlive its folder
        return "The model's card is no longer there."


def weaknesses(artifact: Artifact) -> str:
    """The card's part on what to be careful about, or all of it; Markdown."""
    card = card_text(artifact)
    found = _CAREFUL.search(card)
    return found[1].strip() if found else card

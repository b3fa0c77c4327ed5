"""themewatch's model layer: from an article to themes.

    from model import ThemeClassifier
    ThemeClassifier.load().predict(["…"])

Importing this stays light: names are loaded when first used, and the Transformers Auto classes
learn of our network only if and when Transformers itself is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from model.artifact import Artifact
    from model.classifier import ThemeClassifier
    from model.errors import ThemewatchError
    from model.result import Evidence, Result
    from model.taxonomy import Taxonomy
    from model.text import Article

_HOMES = {
    "Article": "model.text", "Artifact": "model.artifact", "Evidence": "model.result",
    "Result": "model.result", "Taxonomy": "model.taxonomy",
    "ThemeClassifier": "model.classifier", "ThemewatchError": "model.errors",
}  # fmt: skip
__all__ = [
    "Article", "Artifact", "Evidence", "Result", "Taxonomy", "ThemeClassifier", "ThemewatchError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'model' has no attribute {name!r}")


@wrapt.when_imported("transformers.models.auto.modeling_auto")
def _register_network(_module: Any) -> None:
    """`AutoModelForSequenceClassification.from_pretrained(artifact)` works after `import model`."""
    import_module("model.network")

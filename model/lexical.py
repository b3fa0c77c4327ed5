"""A linear part over word pieces beside the network: what single words say, in a language the encoder hardly knows.

The encoder was taught about a hundred languages. In one it was not taught, a few hundred labelled articles say more by
their words than by what it makes of them, so a model of one language may add both up. A piece's part in a theme's logit
is exact, as the network's is (see ``model.pooling``), so evidence is found in the same way.

``ThemeNetwork.from_pretrained`` gives the network's logits alone.

Pieces are weighed by sublinear TF-IDF of unit length (Salton & Buckley 1988).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import ArtifactError
from model.layout import LAYOUT
from model.windows import Encoded


def piece_counts(encoded: Encoded, lead: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The pieces of an article.

    Args:
        lead: tokens before the content of each window.

    Returns:
        The article's distinct token ids, sorted; for each entry the place of its id among them; for each id how often
        it occurs (a token that two windows share counts once).
    """
    windows = zip(encoded.windows, encoded.spans, strict=True)
    tokens = np.concatenate([np.asarray(ids[lead : lead + b - a], dtype=np.int64) for ids, (a, b) in windows])
    pieces, places = np.unique(tokens, return_inverse=True)
    return pieces, places.astype(np.int64), np.bincount(places, weights=encoded.weights).astype(np.float64)


@dataclass(frozen=True)
class Lexical:
    """Weights of the pieces seen in training; others say nothing.

    Attributes:
        pieces: int64 ``[pieces]``, token ids, sorted.
        rarity: float32 ``[pieces]``, inverse document frequency in training.
        weights: float32 ``[pieces, themes]``, of a unit vector of pieces; in logits.
        bias: float32 ``[themes]``, in logits.
    """

    pieces: NDArray[np.int64]
    rarity: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    @classmethod
    def load(cls, folder: Path) -> Lexical | None:
        """The linear part of the artifact in ``folder``; None where it has none.

        Raises:
            ArtifactError: the file does not hold what it should.
        """
        file = folder / LAYOUT.lexical
        if not file.is_file():
            return None
        from safetensors.numpy import load_file

        try:
            saved = load_file(file)
            return cls(saved["pieces"], *(saved[name].astype(np.float32) for name in ("rarity", "weights", "bias")))
        except (KeyError, ValueError) as error:
            raise ArtifactError(f"its file {LAYOUT.lexical} cannot be read ({error})", where=folder) from error

    def save(self, folder: Path) -> None:
        """Write the artifact's file (weights as fp16: a few megabytes at most)."""
        from safetensors.numpy import save_file

        weights = self.weights.astype(np.float16)
        tensors: dict[str, NDArray[Any]] = {
            "pieces": self.pieces,
            "rarity": self.rarity,
            "weights": weights,
            "bias": self.bias,
        }
        save_file(tensors, folder / LAYOUT.lexical)

    def scaled(self, by: float) -> Lexical:
        """The same with logits ``by`` times as large."""
        return Lexical(self.pieces, self.rarity, self.weights * np.float32(by), self.bias * np.float32(by))

    def contributions(self, encoded: Encoded, lead: int) -> NDArray[np.float32]:
        """float32 ``[entries, themes]``: its sum over entries, plus ``bias``, is this part's logit."""
        found, places, times = piece_counts(encoded, lead)
        at = np.minimum(np.searchsorted(self.pieces, found), len(self.pieces) - 1)
        known = self.pieces[at] == found
        values = np.where(known, (1.0 + np.log(np.maximum(times, 1.0))) * self.rarity[at], 0.0)
        length = float(np.sqrt(values @ values)) or 1.0
        share = values / (length * times)  # of one occurrence
        return np.asarray((share[:, None] * self.weights[at])[places] * encoded.weights[:, None], dtype=np.float32)

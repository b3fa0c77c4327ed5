"""From the labels of a labelling project to theme keys: a YAML of ``label: theme`` or ``label: none``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from model.errors import DataError

NONE = "none"  # a label that stands for no theme
_SHOWN = 10


@dataclass(frozen=True)
class LabelMapping:
    """Labels and their theme keys (None: the label stands for no theme)."""

    themes: Mapping[str, str | None]

    @classmethod
    def identity(cls, keys: Sequence[str]) -> LabelMapping:
        """Theme keys and ``none`` stand for themselves."""
        return cls({**{key: key for key in keys}, NONE: None})

    @classmethod
    def load(cls, path: Path, keys: Sequence[str]) -> LabelMapping:
        """Read a mapping; theme keys that it does not name stand for themselves.

        Raises:
            DataError: the file cannot be read, or a label has no known theme.
        """
        themes = dict(cls.identity(keys).themes)
        for label, theme in _entries(path).items():
            if theme not in (*keys, NONE):
                problem = f"label {label!r} maps to {theme!r}" if theme else f"label {label!r} is not filled in"
                raise DataError(problem, where=path, remedy=f"use {NONE} or one of {', '.join(keys)}")
            themes[label] = None if theme == NONE else theme
        return cls(themes)

    def unmapped(self, labels: Iterable[str]) -> list[str]:
        """The labels this mapping says nothing about, each once, in order."""
        return [label for label in dict.fromkeys(labels) if label not in self.themes]

    def apply(self, labels: Iterable[str]) -> frozenset[str]:
        """The themes of labels that are all mapped."""
        return frozenset(theme for label in labels if (theme := self.themes[label]) is not None)


def require_mapped(
    mapping: LabelMapping, counts: Mapping[str, int], keys: Sequence[str], template: Path | None
) -> None:
    """Insist that every label is mapped.

    Args:
        counts: every label found, and how often.
        template: where to write a mapping to fill in, if labels are missing.

    Raises:
        DataError: listing the labels that are not mapped.
    """
    missing = mapping.unmapped(counts)
    if not missing:
        return
    listed = ", ".join(f"{label!r} ({counts[label]})" for label in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    remedy = "give --mapping FILE with a line `label: theme` or `label: none` for each; --write-mapping starts one"
    if template is not None:
        write_template(template, mapping, counts, keys)
        remedy = f"fill in {template} and give it as --mapping"
    raise DataError(f"{len(missing)} labels without a theme: {listed}{more}", remedy=remedy)


def write_template(path: Path, mapping: LabelMapping, counts: Mapping[str, int], keys: Sequence[str]) -> None:
    """Write a mapping to fill in: known labels as they are, others empty, or guessed where they look like a key.

    Raises:
        DataError: a file stands there already, or cannot be written.
    """
    lines = ["# One line a label: its theme, or none.", f"# Themes: {', '.join(keys)}"]
    for label, count in counts.items():
        known = label in mapping.themes
        theme = (mapping.themes[label] or NONE) if known else _guess(label, keys)
        quoted = yaml.safe_dump(label, allow_unicode=True, default_style='"', width=10_000).strip()
        note = "" if known or not theme else ", guessed"
        lines.append(f"{quoted}: {theme}  # {count} times{note}".replace(":   #", ":  #"))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except FileExistsError as error:
        raise DataError("there is such a file already", where=path, remedy="give another name, or remove it") from error
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", where=path) from error


def _guess(label: str, keys: Sequence[str]) -> str:
    plain = label.strip().casefold().replace(" ", "_").replace("-", "_")
    return plain if plain in (*keys, NONE) else ""


def _entries(path: Path) -> dict[str, str]:
    try:
        # BaseLoader: a label `yes` or `1` is a word here, not a truth value or number
        entries = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"cannot read the mapping: {reason}", where=path) from error
    if not isinstance(entries, dict) or not all(isinstance(theme, str) for theme in entries.values()):
        raise DataError("not a mapping", where=path, remedy="write one line `label: theme` for each label")
    return {str(label): theme.strip() for label, theme in entries.items()}

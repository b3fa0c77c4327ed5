"""The taxonomy: which themes there are, in the order of the network's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model.errors import ConfigError


@dataclass(frozen=True)
class Theme:
    """One theme as an analyst reads it; ``names`` maps language codes to display names."""

    key: str
    names: dict[str, str]
    definition: str
    includes: tuple[str, ...]
    excludes: tuple[str, ...]
    source: str

    def name(self, language: str = "en") -> str:
        """The display name in ``language``, else in English, else the key."""
        return self.names.get(language) or self.names.get("en") or self.key


@dataclass(frozen=True)
class Taxonomy:
    """A version and its themes; output ``i`` of the network belongs to ``themes[i]``."""

    version: str
    themes: tuple[Theme, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(theme.key for theme in self.themes)

    @classmethod
    def load(cls, path: Path) -> Taxonomy:
        """Read a taxonomy YAML.

        Raises:
            ConfigError: the file is missing, is not a taxonomy, or names a theme twice.
        """
        try:
            return cls.from_dict(yaml.safe_load(path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(f"cannot read the taxonomy: {reason}", where=path) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"not a taxonomy ({error!r})", where=path,
                remedy="every theme needs key, names, definition, includes, excludes, source",
            ) from error  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Taxonomy:
        themes = tuple(
            Theme(
                key=item["key"],
                names=dict(item["names"]),
                definition=item["definition"],
                includes=tuple(item["includes"]),
                excludes=tuple(item["excludes"]),
                source=item["source"],
            )
            for item in data["themes"]
        )
        keys = [theme.key for theme in themes]
        if not keys or len(set(keys)) != len(keys):
            raise ConfigError("the taxonomy names no theme, or one theme twice")
        return cls(version=str(data["version"]), themes=themes)

    def to_dict(self) -> dict[str, Any]:
        """The YAML's content again; ``from_dict`` inverts it."""
        themes = [
            {"key": t.key, "names": t.names, "definition": t.definition, "includes": list(t.includes),
             "excludes": list(t.excludes), "source": t.source}
            for t in self.themes
        ]  # fmt: skip
        return {"version": self.version, "themes": themes}

    def save(self, path: Path) -> None:
        text = yaml.safe_dump(self.to_dict(), allow_unicode=True, sort_keys=False, width=110)
        path.write_text(text, "utf-8")

"""The one error tree. Every message says what was wrong, where, and what to do, on one line."""

from __future__ import annotations


class ThemewatchError(Exception):
    """Base of every error a user can meet; the command line prints it and exits with 2.

    Args:
        what: what was wrong.
        where: the file, row or option it was found in, if any.
        remedy: what the user can do about it, if anything.
    """

    def __init__(self, what: str, *, where: object = None, remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        prefix = f"{where}: " if where is not None else ""
        suffix = f"; {remedy}" if remedy else ""
        super().__init__(" ".join(f"{prefix}{what}{suffix}".split()))


class InputError(ThemewatchError):
    """A text, page or file that cannot be classified."""


class DataError(ThemewatchError):
    """Labelled data that cannot be used."""


class ConfigError(ThemewatchError):
    """A configuration or taxonomy that does not hold together."""


class ArtifactError(ThemewatchError):
    """A model folder that is damaged, foreign or too new."""


class BackboneError(ThemewatchError):
    """An encoder that cannot be found, read or trusted."""


class CacheError(ThemewatchError):
    """The cache folder cannot be written."""


class EngineError(ThemewatchError):
    """A scoring engine that cannot be built or gives wrong answers."""


class MissingExtraError(ThemewatchError):
    """A command needs an optional part of the installation."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"this needs {module}, which is not installed",
            remedy=f"install it with: pip install 'themewatch[{extra}]'",
        )

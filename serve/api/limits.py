"""How much work the service takes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from model.errors import ConfigError

PREFIX = "THEMEWATCH_LIMIT_"
MAX_ARTICLES = 64  # in one request; in the API's description, so no setting
MAX_TEXT = 500_000  # characters of one text; the model reads less of it
MAX_TITLE = 2_000  # characters
_MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Settings, each by the environment variable ``THEMEWATCH_LIMIT_<NAME>``.

    Attributes:
        body: bytes of one request's body.
        file: bytes of what is uploaded to the page at once.
        upload: seconds that a client has to send it.
        buffered: bytes of all bodies held at once.
        requests: requests in work at once.
        client: requests in work at once of one API key, or of one address.
        queue: articles waiting to be scored.
        wait: seconds that a request may wait for its scores.
    """

    body: int = 4 * _MIB
    file: int = 32 * _MIB
    upload: int = 30
    buffered: int = 256 * _MIB
    requests: int = 1024
    client: int = 256
    queue: int = 512
    wait: int = 60

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Limits:
        """The limits as the environment sets them.

        Raises:
            ConfigError: a value is no positive whole number, or the queue is shorter than one request.
        """
        given: dict[str, int] = {}
        for name in (field.name for field in fields(cls)):
            variable = PREFIX + name.upper()
            text = environment.get(variable, "").strip()
            if text:
                if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**40):
                    raise ConfigError("not a positive whole number", where=variable)
                given[name] = int(text)
        limits = cls(**given)
        if limits.queue < MAX_ARTICLES:
            raise ConfigError(f"must be at least {MAX_ARTICLES}, one full request", where=f"{PREFIX}QUEUE")
        return limits

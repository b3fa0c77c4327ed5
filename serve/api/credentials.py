"""Who may use the service: API keys and the demo's login, known only by their SHA-256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from model.errors import ConfigError

KEYS_VARIABLE = "THEMEWATCH_API_KEYS"
LOGIN_VARIABLE = "THEMEWATCH_DEMO_LOGIN"
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_MAKE_HASH = "make one with: printf %s SECRET | sha256sum"


@dataclass(frozen=True)
class Credentials:
    """SHA-256 digests of the API keys, and user and password digest of the demo; empty: open to all."""

    keys: tuple[bytes, ...] = ()
    login: tuple[str, bytes] | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Credentials:
        """Read ``THEMEWATCH_API_KEYS`` (hashes, comma separated) and ``THEMEWATCH_DEMO_LOGIN`` (user:hash).

        Raises:
            ConfigError: a value is not of that form.
        """
        hashes = [part.strip() for part in environment.get(KEYS_VARIABLE, "").split(",") if part.strip()]
        if not all(_HASH.fullmatch(part) for part in hashes):
            raise ConfigError(
                "not SHA-256 hashes (64 hex digits each), comma separated", where=KEYS_VARIABLE, remedy=_MAKE_HASH
            )
        user, _, digest = environment.get(LOGIN_VARIABLE, "").strip().rpartition(":")
        if (user or digest) and not (user and _HASH.fullmatch(digest)):
            raise ConfigError("not of the form user:SHA-256", where=LOGIN_VARIABLE, remedy=_MAKE_HASH)
        return cls(tuple(map(bytes.fromhex, hashes)), (user, bytes.fromhex(digest)) if user else None)

    def key_user(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The name under which a request's API key acts; None if it has no good one."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"").strip()
        digest = hashlib.sha256(given).digest()
        found = [key for key in self.keys if hmac.compare_digest(key, digest)]  # all, whatever matches
        return f"key-{found[0].hex()[:12]}" if given and found else None

    def logged_in(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request carries the demo's user and password (HTTP Basic)."""
        if self.login is None:
            return True
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        try:
            user, _, password = base64.b64decode(token.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        name, digest = self.login
        right_name = hmac.compare_digest(user, name.encode("utf-8"))
        right_password = hmac.compare_digest(hashlib.sha256(password).digest(), digest)
        return scheme.lower() == b"basic" and right_name and right_password

    def require_for(self, host: str, demo: bool) -> None:
        """Let only the own machine in without credentials.

        Raises:
            ConfigError: other machines can reach ``host``, and a part of the service is open to all.
        """
        wanted = {KEYS_VARIABLE: not self.keys, LOGIN_VARIABLE: demo and self.login is None}
        missing = [variable for variable, lacks in wanted.items() if lacks]
        if missing and not is_loopback(host):
            raise ConfigError(
                "other machines can reach this address, so credentials are needed", where=f"--host {host}",
                remedy=f"set {' and '.join(missing)}, or serve on 127.0.0.1",
            )  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``, all that its name stands for included."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host or None, None, flags=socket.AI_PASSIVE)}
        return bool(found) and all(ipaddress.ip_address(str(address)).is_loopback for address in found)
    except (OSError, UnicodeError, ValueError):
        return False


class Throttle:
    """Slows down the guessing of the login's password; API keys are too long to guess.

    Args:
        failures: how many an address may have in ``seconds``.
        addresses: how many are remembered at most.

    Used from the event loop only.
    """

    def __init__(self, failures: int = 10, seconds: float = 60.0, addresses: int = 10_000) -> None:
        self._most, self._seconds, self._addresses = failures, seconds, addresses
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, address: str) -> None:
        """Note a wrong password."""
        count, until = self._current(address)
        self._failed[address] = (count + 1, until)
        self._failed.move_to_end(address)
        while len(self._failed) > self._addresses:
            self._failed.popitem(last=False)

    def blocked(self, address: str) -> int:
        """Whole seconds until ``address`` may try again; 0 for at once."""
        count, until = self._current(address)
        return max(1, round(until - time.monotonic())) if count >= self._most else 0

    def _current(self, address: str) -> tuple[int, float]:
        now = time.monotonic()
        count, until = self._failed.get(address, (0, 0.0))
        return (count, until) if until > now else (0, now + self._seconds)

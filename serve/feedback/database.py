"""Where feedback is kept: SQLite in the user's data folder, or PostgreSQL by URL; migrated on opening."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from filelock import FileLock, Timeout
from platformdirs import user_data_path
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from serve.feedback.errors import StoreError

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY = 10  # seconds to wait for another writer or a server
_LOCK_NUMBER = 0x7468656D65  # any constant; PostgreSQL's advisory locks have numbers, not names
_KINDS = "sqlite:///FILE or postgresql://USER@HOST/NAME"


def default_url() -> str:
    """SQLite in the user's data folder."""
    return f"sqlite:///{user_data_path('themewatch') / 'feedback.sqlite3'}"


def open_database(given: str | None = None, *, create: bool = True) -> Engine:
    """An engine over a database whose schema is the newest.

    Args:
        given: a URL; the default is ``default_url()``.
        create: whether a SQLite file that is not there may be made.

    Raises:
        StoreError: the URL is no database's, or the database cannot be reached, made or migrated.
    """
    url = _parse(given or default_url())
    shown = url.render_as_string(hide_password=True)
    try:
        if url.get_backend_name() == "sqlite":
            _prepare_file(_sqlite_file(url), create)
        engine = _engine(url)
        with _migration_lock(url), engine.begin() as connection:
            _migrate(connection)
    except ImportError as error:
        raise StoreError(
            f"PostgreSQL needs {error.name or 'psycopg'}, which is not installed",
            remedy="install it with: pip install 'psycopg[binary]'",
        ) from error
    except CommandError as error:
        raise StoreError(
            "the feedback store was written by a newer version", where=shown, remedy="upgrade themewatch"
        ) from error
    except (SQLAlchemyError, OSError, Timeout) as error:
        reason = getattr(error, "orig", None) or error
        raise StoreError(f"cannot open the feedback store: {_first_line(reason)}", where=shown) from error
    return engine


def _parse(given: str) -> URL:
    try:
        url = make_url(given)
    except (ArgumentError, ValueError) as error:  # the message may hold a password: not passed on
        raise StoreError("not a database URL", where="--database", remedy=f"use {_KINDS}") from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise StoreError(f"unknown database {url.drivername!r}", where="--database", remedy=f"use {_KINDS}")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise StoreError("SQLite needs a file: memory is lost on leaving", where="--database", remedy=f"use {_KINDS}")
    return url


def _sqlite_file(url: URL) -> Path:
    return Path(url.database or "")


def _prepare_file(path: Path, create: bool) -> None:
    """Only the owner may read it: articles can be confidential."""
    if not create and not path.exists():
        raise StoreError("there is no feedback yet", where=path, remedy="`themewatch serve` collects it")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _engine(url: URL) -> Engine:
    # Errors must not show what was stored: they end in logs.
    if url.get_backend_name() == "postgresql":
        arguments = {"connect_timeout": _BUSY}
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY})

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # sqlite3's own BEGIN comes too late for schema changes
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


@contextmanager
def _migration_lock(url: URL) -> Iterator[None]:
    """Two servers that start at once must not migrate at once (PostgreSQL: see ``_migrate``)."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    path = _sqlite_file(url)
    with FileLock(path.with_name(f"{path.name}.lock"), timeout=_BUSY):
        yield


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__

"""The database under the store: durable, private, migrated, and clear about what it cannot open."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from serve.feedback.database import default_url, open_database
from serve.feedback.errors import StoreError
from serve.feedback.store import FeedbackStore
from serve.feedback.tables import Base
from tests.feedback_tools import said, store, url

__all__ = ["store", "url"]


def test_it_is_durable_and_private(store: FeedbackStore, url: str) -> None:
    store.put(said())
    file = Path(url.removeprefix("sqlite:///"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.with_name(file.name + "-wal").stat().st_mode) == 0o600
    with store._engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2}


def test_migrations_make_the_tables_that_the_code_has(store: FeedbackStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert set(inspect(connection).get_table_names()) == {"feedback", "alembic_version"}


def test_opening_again_keeps_everything(store: FeedbackStore, url: str) -> None:
    store.put(said())
    again = FeedbackStore.open(url)
    assert again.count() == 1
    again.close()


def test_a_newer_store_is_left_alone(store: FeedbackStore, url: str) -> None:
    with store._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        FeedbackStore.open(url)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("nonsense", "not a database URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://u:secret@h/x", "unknown database"),
        ("postgresql+asyncpg://u:secret@h/x", "unknown database"),
        ("postgresql://u:secret@127.0.0.1:1/x", "cannot open the feedback store"),
        ("postgres://u:secret@127.0.0.1:1/x", "cannot open the feedback store"),
        ("sqlite:////proc/none/feedback.sqlite3", "cannot open the feedback store"),
    ],
)
def test_bad_databases_are_one_line_without_a_password(given: str, expected: str) -> None:
    with pytest.raises(StoreError, match=expected) as raised:
        FeedbackStore.open(given)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database, but long enough to look at. " * 100)
    with pytest.raises(StoreError, match="not a database"):
        FeedbackStore.open(f"sqlite:///{file}")
    assert file.read_text().startswith("no database")


def test_errors_do_not_show_what_was_stored(store: FeedbackStore) -> None:
    with store._engine.begin() as connection:
        connection.execute(text("DROP TABLE feedback"))
    with pytest.raises(StoreError) as raised:
        store.put(said(text="unspeakable"))
    assert "unspeakable" not in f"{raised.value} {raised.value.__cause__}"


def test_the_default_is_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_url().endswith("themewatch/feedback.sqlite3")
    with pytest.raises(StoreError, match="no feedback yet"):
        open_database(create=False)

"""The feedback store: one record an article and user, committed to disk before anyone is told so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, ScalarResult, and_, exists, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, aliased

from serve.feedback.database import open_database
from serve.feedback.errors import StoreError
from serve.feedback.record import Feedback, storable
from serve.feedback.tables import Row

_KEY = ("hash", "user_name")
_ROWS = 20  # read at once: texts can be long
_ID_DIGITS = 16  # of the hash in an exported id


class FeedbackStore:
    """Thread-safe; every method blocks while the database works."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str | None = None, *, create: bool = True) -> FeedbackStore:
        """Open, and where needed make or migrate, a database (see ``open_database``).

        Raises:
            StoreError: it cannot be had.
        """
        return cls(open_database(url, create=create))

    def put(self, feedback: Feedback) -> bool:
        """Store a record in place of an earlier one on the same article by the same user.

        Returns:
            Whether the record is new. When this returns, it is on disk.

        Raises:
            StoreError: the database does not take it.
        """
        values = _values(feedback)
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        statement = insert(Row).values(values)
        changes = {name: statement.excluded[name] for name in values if name not in (*_KEY, "created")}
        upsert = statement.on_conflict_do_update(index_elements=list(_KEY), set_=changes)
        with _store_errors(), self._engine.begin() as connection:
            created, updated = connection.execute(upsert.returning(Row.created, Row.updated)).one()
        return bool(created == updated)

    def count(self) -> int:
        """Number of records."""
        with _store_errors(), self._engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM feedback")).scalar_one())

    def check(self) -> None:
        """Ask the database something.

        Raises:
            StoreError: it does not answer.
        """
        with _store_errors(), self._engine.connect() as connection:
            connection.execute(text("SELECT 1")).scalar_one()

    def training_rows(self) -> Iterator[dict[str, Any]]:
        """What ``themewatch train --data`` takes: one row an article with text and settled themes.

        Where several users spoke about an article, the last word counts.

        Raises:
            StoreError: the database does not answer.
        """
        with _store_errors(), Session(self._engine) as session:
            for row in _last_words(session):
                name = f"feedback-{row.hash[:_ID_DIGITS]}"
                yield {
                    "id": name, "text": row.text, "title": row.title or "", "themes": row.labels,
                    "lang": row.language, "story": name,
                }  # fmt: skip

    def training_lines(self) -> Iterator[str]:
        """``training_rows`` as JSON lines."""
        for row in self.training_rows():
            yield json.dumps(row, ensure_ascii=False) + "\n"

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()


def _last_words(session: Session) -> ScalarResult[Row]:
    """Usable rows, only the latest of each article: one statement, so one state of the store."""
    other = aliased(Row)
    later = or_(other.updated > Row.updated, and_(other.updated == Row.updated, other.id > Row.id))
    superseded = exists().where(other.hash == Row.hash, other.text.is_not(None), other.labels.is_not(None), later)
    query = select(Row).where(Row.text.is_not(None), Row.labels.is_not(None), ~superseded).order_by(Row.id)
    return session.scalars(query.execution_options(yield_per=_ROWS))


def _values(feedback: Feedback) -> dict[str, Any]:
    now = datetime.now(UTC).replace(tzinfo=None)
    return {
        "hash": feedback.digest,
        "user_name": feedback.user,
        "created": now,
        "updated": now,
        "consent": feedback.consent,
        "article_id": storable(feedback.article_id),
        "title": storable(feedback.title) if feedback.consent else None,
        "text": storable(feedback.text) if feedback.consent else None,
        "language": feedback.language,
        "model_name": feedback.model_name,
        "model_version": feedback.model_version,
        "taxonomy": feedback.taxonomy,
        "scores": feedback.scores,
        "decisions": feedback.decisions,
        "verdicts": feedback.verdicts,
        "themes": None if feedback.themes is None else list(feedback.themes),
        "labels": feedback.labels,
        "note": storable(feedback.note),
    }


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = type(getattr(error, "orig", None) or error).__name__
        raise StoreError(f"the feedback store does not answer ({reason})", remedy="try again") from error

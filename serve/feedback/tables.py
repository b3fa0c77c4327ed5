"""The store's one table. A change here needs a migration in ``migrations/versions``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ROW_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only INTEGER keys
OBJECT = JSON(none_as_null=True)


class Base(DeclarativeBase):
    """Carries the metadata that migrations are compared with."""


class Row(Base):
    """One article's feedback from one user; ``text`` and ``title`` only with consent. Times are UTC."""

    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("hash", "user_name", name="uq_feedback_hash_user"),)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=True)
    hash: Mapped[str] = mapped_column(String(64))
    user_name: Mapped[str] = mapped_column(String(100))
    created: Mapped[datetime] = mapped_column(DateTime)
    updated: Mapped[datetime] = mapped_column(DateTime)
    consent: Mapped[bool]
    article_id: Mapped[str] = mapped_column(Text)
    title: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(20))
    model_name: Mapped[str] = mapped_column(String(200))
    model_version: Mapped[str] = mapped_column(String(200))
    taxonomy: Mapped[str] = mapped_column(String(200))
    scores: Mapped[dict[str, Any]] = mapped_column(OBJECT)
    decisions: Mapped[dict[str, Any]] = mapped_column(OBJECT)
    verdicts: Mapped[dict[str, Any]] = mapped_column(OBJECT)
    themes: Mapped[list[Any] | None] = mapped_column(OBJECT)
    labels: Mapped[list[Any] | None] = mapped_column(OBJECT)
    note: Mapped[str] = mapped_column(Text)

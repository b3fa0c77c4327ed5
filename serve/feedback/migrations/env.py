"""Run by alembic: applies the migrations over the connection that ``serve.feedback.database`` hands in."""

from __future__ import annotations

from alembic import context

from serve.feedback.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()

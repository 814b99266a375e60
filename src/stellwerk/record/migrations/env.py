"""Alembic's entry: applies the migrations within the transaction that it is given."""

from __future__ import annotations

from alembic import context

from stellwerk.record.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()

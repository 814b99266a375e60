"""Alembic's entry: applies the migrations to the engine that the record has opened."""

from __future__ import annotations

from alembic import context

from stellwerk.record.tables import metadata

with context.config.attributes["engine"].execution_options(writes=True).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()

"""What alembic runs around the migrations: on the store's own connection, inside its transaction."""

from __future__ import annotations

from alembic import context

from reconciler.store import tables

context.configure(
    connection=context.config.attributes["connection"], target_metadata=tables.metadata, render_as_batch=True
)
context.run_migrations()

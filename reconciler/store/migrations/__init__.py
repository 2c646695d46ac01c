"""Alembic's scripts: one for each version, never changed once released."""

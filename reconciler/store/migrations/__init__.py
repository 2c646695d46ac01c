"""Alembic's scripts: one a version, never changed once released."""

"""The state of an instance in one SQLite file; ``base`` has what it promises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.store.base import Store


def open_store(path: Path) -> Store:
    """Opens the database at ``path``, or makes one, and holds it exclusively until ``close``.

    Raises ``errors.Permanent`` when the file is damaged, of a newer version, incomplete, no database, or in use by
    another process; nothing is changed then. Raises ``errors.Temporary`` when the disk is full or fails.
    """
    from reconciler.store import opening  # SQLAlchemy takes a third of a second to import

    return opening.open_store(path)

"""Who uses which image, since when, and what the graph's parts take on disk.

Nothing that is there is rewritten: columns are computed from the bodies, and sizes are read from the graph when they
are first asked for. Running containers are not concerned.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_IMAGE_OF_SPEC = "coalesce(json_extract(body, '$.spec.image'), json_extract(body, '$.spec.reference'))"
_IMAGE_OF_INCARNATION = "json_extract(body, '$.incarnation.image_id')"


def upgrade() -> None:
    """Adds columns, tables and indexes."""
    op.execute(f"ALTER TABLE objects ADD COLUMN image TEXT GENERATED ALWAYS AS ({_IMAGE_OF_SPEC}) VIRTUAL")
    op.create_index("objects_image", "objects", ["live", "image", "kind", "namespace", "name"])
    op.execute(f"ALTER TABLE observed ADD COLUMN image_id TEXT GENERATED ALWAYS AS ({_IMAGE_OF_INCARNATION}) VIRTUAL")
    op.create_index("observed_image", "observed", ["image_id", "uid"], sqlite_where=sa.text("image_id IS NOT NULL"))
    op.execute("ALTER TABLE images ADD COLUMN used_at REAL DEFAULT 0 NOT NULL")
    op.create_table(
        "graph_sizes",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("what", "name"),
    )


def downgrade() -> None:
    """An older pydockd refuses a newer database; its way back is a backup."""
    raise NotImplementedError("the second version of the state cannot be taken back")

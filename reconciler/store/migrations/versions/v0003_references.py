"""Who refers to whom, in a table of its own. It is filled when the database is opened: nothing that is there is
rewritten, and running containers are not concerned.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Adds the table and its index."""
    op.create_table(
        "refs",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("unless", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["uid"], ["objects.uid"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("uid", "layer", "role", "target"),
    )
    op.create_index("refs_target", "refs", ["target", "role", "uid"])


def downgrade() -> None:
    """An older pydockd refuses a newer database; its way back is a backup."""
    raise NotImplementedError("the third version of the state cannot be taken back")

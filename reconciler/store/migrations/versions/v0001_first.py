"""The first version of the tables."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

revision = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

#: "pydk"
_APPLICATION_ID = 0x7079646B


def upgrade() -> None:
    """Makes all tables."""
    op.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    _objects()
    _of_objects()
    _records()
    _leases()
    _images()
    _memory()


def downgrade() -> None:
    """There is nothing before the first version."""
    raise NotImplementedError("the first version of the state cannot be taken back")


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _integer(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _objects() -> None:
    names = ("uid", "kind", "namespace", "name")
    op.create_table(
        "objects",
        *(_text(name) for name in names),
        _integer("live"),
        _text("source"),
        _text("item"),
        _integer("generation"),
        _integer("revision"),
        _text("body"),
        _integer("sum"),
        sa.PrimaryKeyConstraint("uid"),
    )
    key = ["kind", "namespace", "name"]
    op.create_index("objects_live", "objects", key, unique=True, sqlite_where=sa.text("live = 1"))
    op.create_index("objects_key", "objects", [*key, "uid"])
    op.create_index("objects_owner", "objects", ["source", "item"])


def _of_objects() -> None:
    def table(name: str, *middle: SchemaItem, key: tuple[str, ...] = ("uid",)) -> None:
        reference = sa.ForeignKeyConstraint(["uid"], ["objects.uid"], ondelete="CASCADE")
        parts = (_text("uid"), *middle, _text("body"), _integer("sum"))
        op.create_table(name, *parts, sa.PrimaryKeyConstraint(*key), reference)

    table("overrides")
    table("managers", _text("manager"), key=("uid", "manager"))
    table("observed", _text("kind"))


def _records() -> None:
    changes = (_integer("revision"), _text("type"), _text("key"), _text("uid"), _text("body"))
    op.create_table("changes", *changes, sa.PrimaryKeyConstraint("revision"), sqlite_autoincrement=True)
    jobs = (_integer("id"), _text("key"), _text("status"), _text("body"))
    op.create_table("jobs", *jobs, sa.PrimaryKeyConstraint("id"), sqlite_autoincrement=True)
    op.create_index("jobs_key", "jobs", ["key", "id"])
    op.create_index("jobs_running", "jobs", ["id"], sqlite_where=sa.text("status = 'running'"))
    last_at: sa.Column[float] = sa.Column("last_at", sa.REAL(), nullable=False)
    events = (_integer("id"), _text("key"), _text("uid"), _integer("mark"), last_at, _text("body"))
    op.create_table("events", *events, sa.PrimaryKeyConstraint("id"), sqlite_autoincrement=True)
    op.create_index("events_mark", "events", ["uid", "mark"])
    op.create_index("events_key", "events", ["key", "last_at"])
    op.create_index("events_last", "events", ["last_at"])


def _leases() -> None:
    columns = (_text("network_uid"), _integer("address"), _text("owner_uid", nullable=True), _integer("released"))
    op.create_table("leases", *columns, sa.PrimaryKeyConstraint("network_uid", "address"))
    taken, free = sa.text("owner_uid IS NOT NULL"), sa.text("owner_uid IS NULL")
    op.create_index("leases_owner", "leases", ["owner_uid", "network_uid"], unique=True, sqlite_where=taken)
    op.create_index("leases_free", "leases", ["network_uid", "released"], sqlite_where=free)
    op.create_table(
        "subnets",
        _text("network_uid"),
        _text("subnet"),
        sa.PrimaryKeyConstraint("network_uid"),
        sa.UniqueConstraint("subnet"),
    )


def _images() -> None:
    images = (_text("digest"), _text("image_id"), _text("body"))
    op.create_table("images", *images, sa.PrimaryKeyConstraint("digest"))
    op.create_index("images_id", "images", ["image_id"])
    image = sa.ForeignKeyConstraint(["digest"], ["images.digest"])
    op.create_table(
        "image_references", _text("reference"), _text("digest"), sa.PrimaryKeyConstraint("reference"), image
    )
    op.create_index("image_references_digest", "image_references", ["digest"])
    image = sa.ForeignKeyConstraint(["digest"], ["images.digest"], ondelete="CASCADE")
    blobs = (_text("digest"), _text("blob"), sa.PrimaryKeyConstraint("digest", "blob"))
    op.create_table("image_blobs", *blobs, image)
    op.create_index("image_blobs_blob", "image_blobs", ["blob"])
    image = sa.ForeignKeyConstraint(["digest"], ["images.digest"], ondelete="CASCADE")
    layers = (_text("digest"), _integer("position"), _text("chain_id"))
    op.create_table("image_layers", *layers, sa.PrimaryKeyConstraint("digest", "position"), image)
    op.create_index("image_layers_chain", "image_layers", ["chain_id"])


def _memory() -> None:
    files = (_text("source"), _text("path"), _text("digest"), _text("body"))
    op.create_table("source_files", *files, sa.PrimaryKeyConstraint("source", "path"))
    op.create_table("source_memory", _text("source"), _text("body"), sa.PrimaryKeyConstraint("source"))
    op.create_table("facts", _text("name"), _text("body"), sa.PrimaryKeyConstraint("name"))

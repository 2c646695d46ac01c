"""The tables. Each row has its columns for looking up, and its content as one JSON text in ``body``.

``sum`` is the CRC-32 of ``body``: SQLite's own integrity check does not look inside a value.
``changes.revision`` is the global revision: AUTOINCREMENT remembers it even when all changes were compacted.
"""

from __future__ import annotations

from sqlalchemy import Column, Computed, ForeignKey, Index, Integer, MetaData, Table, Text, exists, literal_column, text
from sqlalchemy.types import REAL

metadata = MetaData()

#: what SQLite computes from a body and keeps in indexes, so that users of images are found without reading bodies
IMAGE_OF_SPEC = "coalesce(json_extract(body, '$.spec.image'), json_extract(body, '$.spec.reference'))"
IMAGE_OF_INCARNATION = "json_extract(body, '$.incarnation.image_id')"


def _uid() -> Column[str]:
    """The primary key of a table that goes with an object."""
    return Column("uid", Text, ForeignKey("objects.uid", ondelete="CASCADE"), primary_key=True, nullable=False)


objects = Table(
    "objects",
    metadata,
    Column("uid", Text, primary_key=True, nullable=False),
    Column("kind", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("live", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("sum", Integer, nullable=False),
    # the image that its spec names, as it is written there
    Column("image", Text, Computed(IMAGE_OF_SPEC, persisted=False)),
)
Index("objects_live", objects.c.kind, objects.c.namespace, objects.c.name, unique=True, sqlite_where=text("live = 1"))
Index("objects_key", objects.c.kind, objects.c.namespace, objects.c.name, objects.c.uid)
Index("objects_owner", objects.c.source, objects.c.item)
Index("objects_image", objects.c.live, objects.c.image, objects.c.kind, objects.c.namespace, objects.c.name)

overrides = Table(
    "overrides", metadata, _uid(), Column("body", Text, nullable=False), Column("sum", Integer, nullable=False)
)

managers = Table(
    "managers",
    metadata,
    _uid(),
    Column("manager", Text, primary_key=True, nullable=False),
    Column("body", Text, nullable=False),
    Column("sum", Integer, nullable=False),
)

observed = Table(
    "observed",
    metadata,
    _uid(),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("sum", Integer, nullable=False),
    # the id of the image that the container was made from
    Column("image_id", Text, Computed(IMAGE_OF_INCARNATION, persisted=False)),
)
Index("observed_image", observed.c.image_id, observed.c.uid, sqlite_where=text("image_id IS NOT NULL"))

#: who refers to whom; ``layer`` says whether by its spec or by its present state
refs = Table(
    "refs",
    metadata,
    Column("uid", Text, ForeignKey("objects.uid", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("layer", Text, primary_key=True, nullable=False),
    Column("role", Text, primary_key=True, nullable=False),
    Column("target", Text, primary_key=True, nullable=False),
    # the key of an object in whose presence the reference does not count
    Column("unless", Text, nullable=False),
)
Index("refs_target", refs.c.target, refs.c.role, refs.c.uid)

changes = Table(
    "changes",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("jobs_key", jobs.c.key, jobs.c.id)
Index("jobs_running", jobs.c.id, sqlite_where=text("status = 'running'"))

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("uid", Text, nullable=False),
    Column("mark", Integer, nullable=False),
    Column("last_at", REAL, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("events_mark", events.c.uid, events.c.mark)
Index("events_key", events.c.key, events.c.last_at)
Index("events_last", events.c.last_at)

#: ``owner_uid`` NULL: given back; then ``released`` orders the addresses, and the one unused for longest is taken first
leases = Table(
    "leases",
    metadata,
    Column("network_uid", Text, primary_key=True, nullable=False),
    Column("address", Integer, primary_key=True, nullable=False),
    Column("owner_uid", Text),
    Column("released", Integer, nullable=False),
)
Index("leases_owner", leases.c.owner_uid, leases.c.network_uid, unique=True, sqlite_where=text("owner_uid IS NOT NULL"))
Index("leases_free", leases.c.network_uid, leases.c.released, sqlite_where=text("owner_uid IS NULL"))

subnets = Table(
    "subnets",
    metadata,
    Column("network_uid", Text, primary_key=True, nullable=False),
    Column("subnet", Text, nullable=False, unique=True),
)

#: ``body`` is the image's facts without a reference; ``used_at`` Unix seconds of the last known use, 0 for none
images = Table(
    "images",
    metadata,
    Column("digest", Text, primary_key=True, nullable=False),
    Column("image_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("used_at", REAL, nullable=False, server_default=text("0")),
)
Index("images_id", images.c.image_id)

image_references = Table(
    "image_references",
    metadata,
    Column("reference", Text, primary_key=True, nullable=False),
    Column("digest", Text, ForeignKey("images.digest"), nullable=False),
)
Index("image_references_digest", image_references.c.digest)

image_blobs = Table(
    "image_blobs",
    metadata,
    Column("digest", Text, ForeignKey("images.digest", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("blob", Text, primary_key=True, nullable=False),
)
Index("image_blobs_blob", image_blobs.c.blob)

#: ``position`` counts from the bottom
image_layers = Table(
    "image_layers",
    metadata,
    Column("digest", Text, ForeignKey("images.digest", ondelete="CASCADE"), primary_key=True, nullable=False),
    Column("position", Integer, primary_key=True, nullable=False),
    Column("chain_id", Text, nullable=False),
)
Index("image_layers_chain", image_layers.c.chain_id)

#: bytes on disk of what the graph holds: ``what`` is ``layer`` (``name`` is a chain id, unpacked) or ``blob``
graph_sizes = Table(
    "graph_sizes",
    metadata,
    Column("what", Text, primary_key=True, nullable=False),
    Column("name", Text, primary_key=True, nullable=False),
    Column("bytes", Integer, nullable=False),
)

source_files = Table(
    "source_files",
    metadata,
    Column("source", Text, primary_key=True, nullable=False),
    Column("path", Text, primary_key=True, nullable=False),
    Column("digest", Text, nullable=False),
    Column("body", Text, nullable=False),
)

source_memory = Table(
    "source_memory",
    metadata,
    Column("source", Text, primary_key=True, nullable=False),
    Column("body", Text, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True, nullable=False),
    Column("body", Text, nullable=False),
)

#: whether the object is of a kind that refers to images: a field of another kind may be called ``image`` as well
NAMES_AN_IMAGE = exists().where(
    refs.c.uid == objects.c.uid,
    refs.c.layer == literal_column("'spec'", Text),
    refs.c.target >= literal_column("'image:'", Text),
    refs.c.target < literal_column("'image;'", Text),
)

"""Images that come in archives, or go into them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from reconciler.requests.declaration import BASE, Access, Ask, MaybeReference, Reference, Request, Words


class ImageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """How an image that is made runs."""

    cmd: list[str] = []
    entrypoint: list[str] = []
    env: list[str] = []
    labels: dict[str, str] = {}
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""


class ImageSave(Request, frozen=True):
    """Writes an archive of images to the passed descriptor → ``{}``. ``references`` are as in ``ImageInspect``;
    ``docker``: it is one that ``docker load`` takes too."""

    references: Annotated[list[Reference], msgspec.Meta(min_length=1, max_length=256)]
    docker: bool = False


class ImageLoad(Request, frozen=True):
    """Reads an archive from the passed descriptor, to its end; streams as ``Pull`` does, items with ``digest`` have
    ``reference`` too. ``name`` is given to the archive's only image (empty: the archive names its images)."""

    name: MaybeReference = ""


class ImageImport(Request, frozen=True):
    """Reads the archive of a root file system from the passed descriptor, plain or packed with gzip or zstd, and makes
    an image of it. Streams as ``ImageLoad`` does."""

    reference: Reference
    message: Words = ""
    config: ImageConfig = ImageConfig()


_GRAPH = f"{BASE}/graph/images"
_CREATE = Access("create", "graph/images")
ASKS = (
    Ask("image_save", ImageSave, "GET", f"{_GRAPH}/save", Access("get", "graph/images"), "archives.save",
        reply="bytes", descriptor="out", journal=True),
    Ask("image_load", ImageLoad, "POST", f"{_GRAPH}/load", _CREATE, "archives.load",
        reply="lines", descriptor="in", journal=True),
    Ask("image_import", ImageImport, "POST", f"{_GRAPH}/import", _CREATE, "archives.import_",
        reply="lines", descriptor="in", journal=True),
)  # fmt: skip

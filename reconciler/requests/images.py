"""The images that are in the graph, whether or not an object asks for them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from reconciler.requests.declaration import BASE, Access, Ask, MaybeReference, Reference, Request


class Images(Request, frozen=True):
    """The images in the graph → ``{"items": [{"reference", "digest", "imageId", "size": int, "shared": int, "own": int,
    "usedBy": [key, …], "keptBy": [key, …]}, …]}``, one item a reference, sorted by it; ``reference`` is empty for an
    image that has lost its last one. ``usedBy`` are containers, ``keptBy`` Image objects; ``size`` is in bytes, of all
    layers unpacked; ``shared`` is the part that other images have too, ``own`` the part that no other has."""


class ImagesUnused(Request, frozen=True):
    """The images that are not used → as ``Images``, with ``"freed": int``: the bytes of layers and blobs that go with
    all of them. Without ``all`` only images that have no reference."""

    all: bool = False


class ImageInspect(Request, frozen=True):
    """One image; ``reference`` may be an image's id or digest too, or the beginning of one. → an item of ``Images``
    with ``references`` (all of the image), ``created``, ``os``, ``architecture``, ``config`` and ``layers`` (bottom
    first, ``size`` as compressed)."""

    reference: Reference


class ImageHistory(Request, frozen=True):
    """How an image was made → ``{"digest": str, "items": [{"created", "createdBy", "comment", "emptyLayer": bool},
    …]}``, newest first."""

    reference: Reference


class ImageTree(Request, frozen=True):
    """How images stand on layers: that of ``reference`` (as in ``ImageInspect``) with what is below and above it, or
    all. → ``{"items": [{"chainId", "parent", "size": int, "images": [item of ``Images``, …]}, …]}``, sorted by chain
    id; ``parent`` is empty at the bottom, ``chainId`` for images without layers."""

    reference: MaybeReference = ""


class ImageRemove(Request, frozen=True):
    """Forgets references, all or none; ``Conflict`` names who uses one, or says that it is being pulled. ``exact``:
    they are as ``Images`` lists them (the digest where there is none), no ids. → as ``ImagesUnused``: what was
    forgotten, or would be with ``dry_run``."""

    references: Annotated[list[Reference], msgspec.Meta(min_length=1, max_length=1000)]
    exact: bool = False
    dry_run: bool = False


class ImageTag(Request, frozen=True):
    """Gives the image that ``source`` means (as in ``ImageInspect``) one more reference, which may have meant another
    image. ``Conflict`` while ``target`` is being pulled. → an item of ``Images``"""

    source: Reference
    target: Reference


_GRAPH = f"{BASE}/graph/images"
ASKS = (
    Ask("images", Images, "GET", _GRAPH, Access("list", "graph/images"), "images.images"),
    Ask("images_unused", ImagesUnused, "GET", f"{_GRAPH}/unused", Access("list", "graph/images"), "images.unused"),
    Ask("image_inspect", ImageInspect, "GET", f"{_GRAPH}/inspect", Access("get", "graph/images"), "images.inspect"),
    Ask("image_history", ImageHistory, "GET", f"{_GRAPH}/history", Access("get", "graph/images"), "images.history"),
    Ask("image_tree", ImageTree, "GET", f"{_GRAPH}/tree", Access("get", "graph/images"), "system.tree"),
    Ask("image_remove", ImageRemove, "POST", f"{_GRAPH}/remove", Access("delete", "graph/images"), "images.remove",
        journal=True),
    Ask("image_tag", ImageTag, "POST", f"{_GRAPH}/tag", Access("create", "graph/images"), "tagging.tag", journal=True),
)  # fmt: skip

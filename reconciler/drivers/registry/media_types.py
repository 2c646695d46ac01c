"""What media types tell of a configuration or a layer: whether it is an image's. Pure.

What is out there is served as ``application/octet-stream``, ``text/html`` or nothing at all, and runs everywhere else
(docker takes such configurations for images: moby, "distribution/pull_v2.go"). So a type only decides where it is a
true word for something else; else the content does.
"""

from __future__ import annotations

from collections.abc import Iterable

CONFIGS = frozenset(("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"))
#: how the types of images' configurations begin, with those that were written before the specification was done
_CONFIG_STARTS = ("application/vnd.oci.image.", "application/vnd.docker.container.image.")
#: what servers call anything
_ANYTHING = frozenset(("", "application/octet-stream", "binary/octet-stream", "application/json", "text/html"))
#: how the types of what cannot be unpacked begin or end
_NO_LAYER_STARTS = ("text/", "image/", "audio/", "video/", "application/wasm", "application/pdf")
_NO_LAYER_ENDS = ("json", "xml", "yaml", "toml", "wasm", "spdx", "cyclonedx", ".sif")


def plain(media_type: str) -> str:
    """A media type without parameters, in small letters."""
    return media_type.partition(";")[0].strip().lower()


def no_image(config: str, layers: Iterable[str], artifact: str) -> str:
    """What a manifest is of, if not of an image; empty for one that may be. ``artifact`` is its artifactType."""
    kind, found = plain(config), list(layers)
    if artifact and kind not in CONFIGS:
        return f"an artifact of the type {artifact[:100]!r}"
    if "/vnd." in kind and not kind.startswith(_CONFIG_STARTS):
        return f"something else: its configuration is {config[:100]!r}"
    if found and not any(may_be_layer(each) for each in found):
        return f"an artifact: its layers have the unknown type {found[0][:100]!r}"
    return ""


def may_be_layer(media_type: str) -> bool:
    """Whether what is called so may be the archive of a layer. Its first bytes and its diff id prove it."""
    kind = plain(media_type)
    return kind in _ANYTHING or not (kind.startswith(_NO_LAYER_STARTS) or kind.endswith(_NO_LAYER_ENDS))


def is_encrypted(media_type: str) -> bool:
    """Whether a layer must be decrypted with a key first (https://github.com/containers/ocicrypt)."""
    return plain(media_type).endswith("+encrypted")


def says_nothing(media_type: str) -> bool:
    """Whether a type is one that servers give to anything."""
    return plain(media_type) in _ANYTHING

"""The names of layers. Pure."""

from __future__ import annotations

import base64
import hashlib


def chain_id(parent: str, diff_id: str) -> str:
    """The name of a layer by all that it stands on (OCI image spec, "Layer ChainID"). ``parent`` is empty for the
    lowest."""
    if not parent:
        return diff_id
    return "sha256:" + hashlib.sha256(f"{parent} {diff_id}".encode()).hexdigest()


def chain(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """The chain ids of an image, bottom first."""
    found: list[str] = []
    for diff_id in diff_ids:
        found.append(chain_id(found[-1] if found else "", diff_id))
    return tuple(found)


def short_name(chain_id: str) -> str:
    """80 bits of the chain id's digest in 16 lower-case letters and digits: many fit into one mount call."""
    digest = hashlib.sha256(chain_id.encode()).digest()[:10]
    return base64.b32encode(digest).decode().lower()

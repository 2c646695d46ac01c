"""What ``pydock get`` shows of an Image object."""

from __future__ import annotations

from typing import Any

from reconciler.kinds.base.columns import Column, of_spec, of_status, size


def _size(obj: dict[str, Any]) -> str:
    return size((obj.get("status") or {}).get("size"))


COLUMNS = (
    Column("REFERENCE", of_spec("reference")),
    Column("SIZE", _size),
    Column("DIGEST", of_status("digest"), wide=True),
)

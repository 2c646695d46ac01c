"""What ``pydock get`` shows of a network."""

from __future__ import annotations

from reconciler.kinds.base.columns import Column, of_status

COLUMNS = (
    Column("SUBNET", of_status("subnet")),
    Column("GATEWAY", of_status("gateway"), wide=True),
    Column("BRIDGE", of_status("bridge"), wide=True),
)

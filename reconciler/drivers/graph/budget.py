"""What a layer may use of its quota."""

from __future__ import annotations

from reconciler.drivers.graph.layer_tree import Refused


class Budget:
    """What a layer may still use: bytes of files (holes count), and members."""

    def __init__(self, size: int, entries: int) -> None:
        self._size, self._entries = size, entries
        self.used = 0

    def spend(self, size: int) -> None:
        """Counts one member. Raises ``Refused`` when that is more than is left."""
        self.used += size
        self._entries -= 1
        if self.used > self._size:
            raise Refused(f"its files have more than the {self._size} bytes that are allowed or that fit")
        if self._entries < 0:
            raise Refused("it has more files than are allowed or than fit")

"""What a layer may use of its quota."""

from __future__ import annotations

from reconciler.drivers.graph.layer_tree import Refused


class Budget:
    """What a layer may still use: bytes of files (holes count), and members with the
    directories that they imply."""

    def __init__(self, size: int, entries: int) -> None:
        self._size, self._entries = size, entries
        self.used = 0

    def count(self, made: int) -> None:
        """Counts directories that no member names. Raises as ``spend``."""
        self._entries -= made
        if self._entries < 0:
            raise Refused("it has more files than are allowed or than fit")

    def spend(self, size: int) -> None:
        """Counts one member. Raises ``Refused`` when that is more than is left."""
        self.used += size
        if self.used > self._size:
            raise Refused(f"its files have more than the {self._size} bytes that are allowed or that fit")
        self.count(1)

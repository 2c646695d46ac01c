"""The records of layers: ``chains/ALGORITHM-HEX``, one a chain id. Writing it is what makes a layer be there."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from reconciler import errors
from reconciler.drivers.graph import files
from reconciler.model import references


class Record(NamedTuple):
    """``parent`` is a chain id or empty; ``size`` the bytes its own files take."""

    parent: str
    diff_id: str
    size: int


class Records:
    """The directory of records. ``temporaries`` is in the same file system."""

    def __init__(self, directory: str, temporaries: str) -> None:
        self._directory, self._temporaries = directory, temporaries
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def has(self, chain: str) -> bool:
        return os.path.exists(self._path(chain))

    def all(self) -> tuple[str, ...]:
        """The chain ids, sorted."""
        return tuple(sorted(name.replace("-", ":", 1) for name in os.listdir(self._directory)))

    def read(self, chain: str) -> Record:
        """Raises ``NotFound``, or ``Permanent`` for a damaged record."""
        try:
            with open(self._path(chain), "rb") as file:
                found = json.load(file)
            return Record(found["parent"], found["diff_id"], found["size"])
        except FileNotFoundError:
            raise errors.NotFound(f"layer {chain} is not in the store") from None
        except (ValueError, KeyError, TypeError) as error:
            raise errors.Permanent(
                f"the record of layer {chain} is damaged: remove and pull the image again"
            ) from error

    def write(self, chain: str, record: Record) -> None:
        """Durable when it returns. Raises ``OSError``."""
        files.write(self._path(chain), json.dumps(record._asdict()).encode(), self._temporaries)

    def remove(self, chain: str) -> None:
        """Durable once ``sync`` returns. Gone already: no effect."""
        files.discard(self._path(chain))

    def sync(self) -> None:
        files.sync_directory(self._directory)

    def _path(self, chain: str) -> str:
        return os.path.join(self._directory, references.check_digest(chain).replace(":", "-", 1))

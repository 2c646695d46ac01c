"""The interface of a source, and the manual for whoever writes another one.

A *source* is a place that manifests come from: a directory, later a Git repository or an artifact in a registry. A
source only looks and reads. ``ledger``, which all sources share, decides what its files mean, and ``loop`` carries that
out. To add a source, write a folder with a class that has the methods below, and add a row to ``table``.

*Name.* ``SCHEME:PLACE``, such as ``dir:/etc/pydock.d``. The name owns objects in the store, across restarts, so a place
must have exactly one name.

*Life.* ``open`` is called once, before the first ``wait``; ``close`` ends everything that ``open`` began. ``scan`` and
``read`` work before ``open`` as well, because the daemon looks once before it makes its first plan. Two threads never
call ``scan`` and ``read`` at once, but one thread may look while another waits.

*A look* is ``drain``, ``scan``, then ``read`` for each file that the ledger wants. Any change after ``drain`` must end
the next ``wait``, even a change in the middle of the look. A look that finds nothing new must be cheap.

*Signatures* tell whether a file has changed. ``read`` returns the content that belongs to a signature, or nothing; it
must never return a mixture of two versions. ``busy`` means that somebody is still writing; the source then has to end
``wait`` when the writer has finished.

*Do not block, and do not raise for what the place holds.* A problem with one file goes into ``Seen.trouble``, or is an
``OSError`` from ``read``; a problem with the whole place goes into ``Scan.trouble``. It is shown, and what is in force
stays in force.

*Example: a Git repository.* ``scan`` returns the tree of the commit that was fetched last, with blob ids as signatures
and one constant ``Root``; ``read`` returns a blob; ``patience`` is ``Patience(0, 0, 0, 0)``; ``wait`` ends when another
commit has been fetched. ``reconciler.testing.sources.CommitSource`` is such a source in thirty lines.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from reconciler.control.sources.ledger import facts


class Source(Protocol):
    """A place that manifests come from."""

    @property
    def name(self) -> str:
        """``SCHEME:PLACE``"""

    @property
    def place(self) -> str:
        """The part of the name after the scheme: a path or a URL."""

    @property
    def patience(self) -> facts.Patience:
        """How long a change has to stay before it counts."""

    def scan(self) -> facts.Scan:
        """Returns what is there now. Never raises for what the place holds."""

    def read(self, path: str, expected: facts.Signature) -> facts.Content:
        """Returns the content of a file with that signature. Raises ``OSError`` if it cannot be read."""

    def writers(self, paths: Collection[str]) -> Mapping[str, str]:
        """Names the programs that have these files open for writing: path → ``cp (pid 4711)``. Files whose writer is
        unknown are left out."""

    def open(self) -> None:
        """Begins to watch: from now on ``wait`` ends when something changes."""

    def drain(self) -> None:
        """Forgets everything that happened until now."""

    def wait(self, seconds: float) -> bool:
        """Waits until something has happened since ``drain`` or ``wake`` is called (True), at most so many seconds
        (False)."""

    def wake(self) -> None:
        """Ends ``wait``; from any thread."""

    def close(self) -> None:
        """Ends what ``open`` began."""


class Scheme(NamedTuple):
    """A row of ``table``: ``open`` makes the source of a place. It raises ``errors.Invalid`` for what cannot be one."""

    name: str
    open: Callable[[str], Source]

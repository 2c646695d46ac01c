"""What a source is: the manual for whoever writes another one.

A *source* is a place that manifests come from: a directory, later a Git repository or an artifact of a registry. It
knows only how to look and to read; what its files mean is decided by ``ledger``, which all sources share, and carried
out by ``loop``. To add one: a folder with a class that has the methods below, and a row in ``table``.

*Name.* ``SCHEME:PLACE``, such as ``dir:/etc/pydock.d``. It owns objects in the store and keeps them over restarts, so a
place has one name only.

*Life.* ``open`` comes once, before the first ``wait``; ``close`` ends all that ``open`` began. ``scan`` and ``read``
work before ``open`` too: the daemon looks once before it makes its first plan. ``scan`` and ``read`` are never called
by two threads at once, but while one thread waits another may look.

*A look* is ``drain``, ``scan``, then ``read`` for each file that ``ledger`` wants. Whatever changes after ``drain``
must end the next ``wait``, also if it happens in the middle of the look. A look that finds nothing new must be cheap.

*Signatures* tell whether a file changed. ``read`` gives the content that belongs to one, or none: a version that was
mixed from two moments must never come out. ``busy`` says that somebody is still writing; the source itself then ends
``wait`` when that is over.

*Never block, never raise for what the place holds.* Trouble of one file goes into ``Seen.trouble`` or ``OSError`` from
``read``, trouble of the whole place into ``Scan.trouble``: it is shown, and what is in force stays.

Worked example, a commit of a Git repository: ``scan`` returns the tree of the commit that was fetched last, with the
ids of blobs as signatures and one constant ``Root``; ``read`` returns a blob; ``patience`` is ``Patience(0, 0, 0, 0)``;
``wait`` ends when another commit has been fetched.
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
        """The part of the name after the scheme, as people know it: a path or a URL."""

    @property
    def patience(self) -> facts.Patience:
        """How long it waits before it believes what it sees."""

    def scan(self) -> facts.Scan:
        """What is there now. Never raises for what the place holds."""

    def read(self, path: str, expected: facts.Signature) -> facts.Content:
        """The content of a file as it was when it had that signature. Raises ``OSError`` if it cannot be read."""

    def writers(self, paths: Collection[str]) -> Mapping[str, str]:
        """Who has these files open for writing, for people to read: path → ``cp (pid 4711)``. Those it cannot name are
        not in it."""

    def open(self) -> None:
        """From now on ``wait`` ends when something changes."""

    def drain(self) -> None:
        """Forgets all that happened until now."""

    def wait(self, seconds: float) -> bool:
        """Until something happened since ``drain``, or ``wake`` (True), or for so many seconds (False)."""

    def wake(self) -> None:
        """Ends ``wait``; from any thread."""

    def close(self) -> None:
        """Ends what ``open`` began."""


class Scheme(NamedTuple):
    """A row of ``table``: ``open`` makes the source of a place. It raises ``errors.Invalid`` for what cannot be one."""

    name: str
    open: Callable[[str], Source]

"""The instance's table in the kernel: read once, changed by element, brought back when somebody altered it.

The kernel numbers every change of its ruleset. While that number is the one of our last look (or of it and our own
changes since), what we know of the table is exact, and looking costs one short message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from reconciler import errors, failpoints
from reconciler.drivers.network import codec, netlink, nft, ruleset, system
from reconciler.drivers.network.pyroute import nfgen_msg, nfnetlink
from reconciler.drivers.network.ruleset import Element, Listing
from reconciler.model import names

T = TypeVar("T")

_OWN_SETS = ruleset.NETWORK_SETS + ruleset.PORT_SETS
#: NFT_MSG_GETGEN, NFTA_GEN_ID (linux/netfilter/nf_tables.h)
_GET_GENERATION = netlink.Message((nfnetlink.NFNL_SUBSYS_NFTABLES << 8) | 16, 0, codec.encode(nfgen_msg, {}))
_GENERATION_ID = 1
#: begins the table of every instance
_FAMILY = names.nft_table("")
_MISSING = "No such file or directory"


class Change(NamedTuple):
    """What one call changed in the table."""

    added: tuple[Element, ...] = ()
    removed: tuple[Element, ...] = ()


class Firewall:
    """One table; safe for use from many threads."""

    def __init__(self, table: str, tool: Callable[[], nft.Nft] = nft.open_nft) -> None:
        self._table = table
        self._tool = tool
        self._nft = tool()
        self._generations = netlink.Socket(netlink.NETFILTER)
        self._lock = threading.Lock()
        self._expected: Listing | None = None
        self._known: Listing | None = None
        self._generation = -1

    @property
    def tool(self) -> str:
        return self._nft.name

    def close(self) -> None:
        with self._lock:
            self._nft.close()
            self._generations.close()

    def expected(self) -> Listing:
        """The sound table without elements, as this version of nft writes it: made in a namespace of its own and
        read back."""
        if self._expected is None:
            self._expected = system.in_thread(self._make_expected)
        return self._expected

    def _make_expected(self) -> Listing:
        system.unshare_network()
        tool = self._tool()
        try:
            tool.run(ruleset.table_text(self._table))
            return ruleset.parse(tool.read(f"list table ip {self._table}"))
        finally:
            tool.close()

    def version(self) -> str:
        """The version of nftables; asking for it shows that this kernel takes the whole table."""
        return self.expected().version

    def sound(self) -> bool:
        """Whether chains, rules, sets and maps are as they should be, and every element has an owner."""
        with self._lock:
            listing = self._look()
            return listing is not None and self._repair_text(listing) == "" and not _strays(listing)

    def elements(self) -> tuple[Element, ...]:
        """All elements of the table."""
        with self._lock:
            listing = self._look()
            return tuple(listing.elements.values()) if listing else ()

    def put(self, owner: str, sets: Sequence[str], elements: Sequence[Element]) -> Change:
        """Makes ``sets`` hold exactly ``elements`` for this owner, bringing the table back first if it is altered.
        Raises ``Conflict`` when another owner has one of the keys."""

        def work() -> Change:
            listing = self._restore()
            _refuse_taken(listing, owner, elements)
            change = _difference(listing, owner, sets, elements)
            self._carry_out(listing, change)
            return change

        with self._lock:
            return self._settled(work)

    def restore(self) -> None:
        """Brings chains, rules, sets and maps back, and drops elements without an owner."""
        with self._lock:
            self._settled(self._restore)

    def withdraw(self, owner: str, sets: Sequence[str]) -> Change:
        """Removes all elements of this owner from ``sets``."""

        def work() -> Change:
            listing = self._look()
            if listing is None:
                return Change()
            change = _difference(listing, owner, sets, ())
            self._carry_out(listing, change)
            return change

        with self._lock:
            return self._settled(work)

    def drop(self) -> None:
        """Removes the table."""

        def work() -> None:
            if self._look() is not None:
                self._run(f"delete table ip {self._table}\n", None)

        with self._lock:
            self._settled(work)

    def foreign_elements(self) -> tuple[tuple[str, Element], ...]:
        """The elements of other instances' tables, with the table's name."""
        with self._lock:
            tables = [name for name in self._tables() if name.startswith(_FAMILY) and name != self._table]
            listings = [(name, self._read(name)) for name in tables]
        return tuple((name, element) for name, found in listings if found for element in found.elements.values())

    def _settled(self, work: Callable[[], T]) -> T:
        """Does ``work``, and once more from a fresh look when it failed because the table changed under it."""
        try:
            return work()
        except nft.NftError:
            self._generation = -1
            return work()

    def _tables(self) -> list[str]:
        listing = ruleset.parse(self._nft.read("list tables ip"))
        return [name for kind, name in listing.definitions if kind == "table"]

    def _look(self) -> Listing | None:
        """The table as it is now, None when there is none. (Under the lock, as all that follow.)"""
        generation = self._current_generation()
        if generation != self._generation:
            self._known = self._read(self._table)
            self._generation = generation
        return self._known

    def _read(self, table: str) -> Listing | None:
        try:
            return ruleset.parse(self._nft.read(f"list table ip {table}"))
        except nft.NftError as error:
            if _MISSING in str(error):
                return None
            raise

    def _restore(self) -> Listing:
        listing = self._look()
        if listing is None:
            fresh = self.expected()._replace(elements={})
            self._run(ruleset.table_text(self._table), fresh)
            return fresh
        text = self._repair_text(listing)
        strays = _strays(listing)
        if not text and not strays:
            return listing
        kept = {pair: element for pair, element in listing.elements.items() if element not in strays}
        if text.startswith("add table"):
            text += ruleset.add_text(self._table, kept.values())
        else:
            text += ruleset.delete_text(self._table, strays)
        after = self.expected()._replace(elements=kept)
        self._run(text, after)
        return after

    def _repair_text(self, listing: Listing) -> str:
        """Commands that make the table's fixed parts sound; empty when they are."""
        expected = self.expected()
        if listing.definitions != expected.definitions:
            return ruleset.replace_text(self._table)
        altered = [name for kind, name in expected.definitions if kind == "chain" and _altered(name, listing, expected)]
        return "".join(ruleset.chain_text(self._table, name) for name in altered)

    def _carry_out(self, listing: Listing, change: Change) -> None:
        if change == Change():
            return
        elements = dict(listing.elements)
        for element in change.removed:
            del elements[element.set, element.key]
        for element in change.added:
            elements[element.set, element.key] = element
        text = ruleset.delete_text(self._table, change.removed) + ruleset.add_text(self._table, change.added)
        self._run(text, listing._replace(elements=elements))

    def _run(self, text: str, after: Listing | None) -> None:
        """Runs one transaction; ``after`` is what the table holds then, believed only if nobody else changed anything
        meanwhile."""
        failpoints.hit("network.rules.run.before")
        self._nft.run(text)
        failpoints.hit("network.rules.run.after")
        generation = self._current_generation()
        if generation == self._generation + 1:
            self._known, self._generation = after, generation
        else:
            self._generation = -1

    def _current_generation(self) -> int:
        (reply,) = self._generations.get([_GET_GENERATION])
        if reply is None:
            return -1
        return int.from_bytes(codec.attributes(reply.body, nfgen_msg.get_size())[_GENERATION_ID], "big")


def _altered(chain: str, listing: Listing, expected: Listing) -> bool:
    return listing.rules.get(chain, []) != expected.rules.get(chain, [])


def _strays(listing: Listing) -> tuple[Element, ...]:
    """Elements that nobody answers for: without an owner, or in a set that is not ours."""
    return tuple(element for element in listing.elements.values() if not element.owner or element.set not in _OWN_SETS)


def _difference(listing: Listing | None, owner: str, sets: Sequence[str], elements: Iterable[Element]) -> Change:
    wanted = {(element.set, element.key): element for element in elements}
    found = {
        pair: element
        for pair, element in (listing.elements if listing else {}).items()
        if element.owner == owner and element.set in sets
    }
    return Change(
        added=tuple(element for pair, element in wanted.items() if found.get(pair) != element),
        removed=tuple(element for pair, element in found.items() if wanted.get(pair) != element),
    )


def _refuse_taken(listing: Listing, owner: str, elements: Iterable[Element]) -> None:
    others = [item for item in listing.elements.values() if item.owner != owner]
    for element in elements:
        other = next((item for item in others if ruleset.clash(element, item)), None)
        if other is not None:
            raise errors.Conflict(f"{element.set} {element.key} belongs to {other.owner}")

"""Files with holes in tar archives: which parts of them the archive holds.

Sources: the manual of GNU tar ("Storing Sparse Files"). A map is a list of (offset, length). Damaged input raises
``Malformed``.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.drivers.graph import tar_fields
from reconciler.drivers.graph.entries import shown
from reconciler.drivers.graph.tar_fields import Malformed

BLOCK = 512
MAX_SPARSE = 1 << 18
Map = list[tuple[int, int]]


def old_map(name: bytes, header: bytes, take: Callable[[int], bytes]) -> Map:
    """The old form: pairs in the header and in blocks that follow it, which ``take`` gives."""
    segments = _pairs(header, 386, 4)
    more = header[482]
    while more:
        block = take(BLOCK)
        if len(block) < BLOCK or len(segments) > MAX_SPARSE:
            raise Malformed(f"the map of the sparse file {shown(name)} is damaged")
        segments += _pairs(block, 0, 21)
        more = block[504]
    return segments


def map_in_header(name: bytes, listed: list[bytes]) -> Map:
    """The PAX forms 0.0 and 0.1: numbers in records."""
    if len(listed) > 2 * MAX_SPARSE:
        raise Malformed(f"the map of the sparse file {shown(name)} is too long")
    return _paired(name, [tar_fields.decimal(number) for number in listed])


def map_in_data(name: bytes, stored: int, take: Callable[[int], bytes]) -> tuple[Map, int]:
    """The PAX form 1.0: lines in front of the data. Returns how many of the ``stored`` bytes are left, too."""
    numbers: list[int] = []
    text = b""
    while not numbers or len(numbers) < 1 + 2 * numbers[0]:
        block = take(min(BLOCK, stored)) if stored else b""
        if not block or (numbers and numbers[0] > MAX_SPARSE):
            raise Malformed(f"the map of the sparse file {shown(name)} is damaged")
        stored -= len(block)
        *lines, text = (text + block).split(b"\n")
        numbers += [tar_fields.decimal(line) for line in lines[: 1 + 2 * MAX_SPARSE]]
        if numbers and len(numbers) > 1 + 2 * numbers[0]:
            numbers = numbers[: 1 + 2 * numbers[0]]
    return _paired(name, numbers[1:]), stored


def check(name: bytes, segments: Map, size: int, stored: int) -> None:
    """In order, apart from each other, inside the file of ``size`` bytes, and as long together as the data."""
    end = total = 0
    for offset, length in segments:
        if offset < end or length < 0:
            raise Malformed(f"the map of the sparse file {shown(name)} is not in order")
        end = offset + length
        total += length
    if end > size or total != stored:
        raise Malformed(f"the map of the sparse file {shown(name)} does not fit its data")


def _pairs(block: bytes, start: int, count: int) -> Map:
    found = []
    for at in range(start, start + 24 * count, 24):
        if block[at] == 0:
            break
        found.append((tar_fields.number(block, at, at + 12), tar_fields.number(block, at + 12, at + 24)))
    return found


def _paired(name: bytes, numbers: list[int]) -> Map:
    if len(numbers) % 2:
        raise Malformed(f"the map of the sparse file {shown(name)} is damaged")
    return list(zip(numbers[::2], numbers[1::2], strict=True))

"""What registries list: the tags of a repository (distribution spec, "Listing Tags"), and what they find for a word.

A search is Docker Hub's (``GET /v1/search``), or where a registry has none the names in its catalogue
(``GET /v2/_catalog``). Names that no reference could have are left out: nothing could be done with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlencode, urljoin

import msgspec

from reconciler import errors
from reconciler.drivers.registry import addresses, base, transport
from reconciler.model import foreign, references

T = TypeVar("T")

#: asked for at once
_PAGE = 1000
_PAGE_BYTES = 4 << 20
#: of one list
_MOST_NAMES, _MOST_PAGES = 100_000, 2000
#: a link with its parameters, as RFC 8288 writes them
_LINK = re.compile(r'<([^<>]*)>\s*;[^,]*?rel\s*=\s*"?next"?', re.IGNORECASE)
#: bytes of a description
_WORDS = 512

#: asks for a URL; a good answer
Ask = Callable[[str], transport.Answer]


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Catalogue(msgspec.Struct):
    repositories: list[str] | None = None


class _Result(msgspec.Struct):
    name: str = ""
    description: str | None = None
    star_count: int = 0
    is_official: bool = False


class _Results(msgspec.Struct):
    results: list[_Result] | None = None


def tags(ask: Ask, url: str, path: str) -> list[str]:
    """Of the repository ``path`` of the registry at ``url``, sorted."""
    found = _pages(ask, url, f"{url}/v2/{path}/tags/list?n={_PAGE}", lambda raw: _decoded(raw, _Tags).tags)
    return sorted({tag for tag in found if references.is_tag(tag)})


def catalogue(ask: Ask, url: str, registry: str, term: str, limit: int) -> list[base.Hit]:
    """The repositories of the registry at ``url`` that have ``term`` in their names, ``limit`` at most."""
    start = f"{url}/v2/_catalog?n={_PAGE}"
    found = _pages(ask, url, start, lambda raw: _decoded(raw, _Catalogue).repositories)
    paths = sorted({path for path in found if term in path and references.is_path(path)})
    return [base.Hit(f"{registry}/{path}") for path in paths[:limit]]


def search(ask: Ask, url: str, registry: str, term: str, limit: int) -> list[base.Hit]:
    """What the search of the registry at ``url`` finds, in its order."""
    with ask(f"{url}/v1/search?{urlencode({'q': term, 'n': limit})}") as answer:
        found = _decoded(answer.whole(_PAGE_BYTES), _Results).results or []
    return [
        base.Hit(f"{registry}/{each.name}", (each.description or "")[:_WORDS], each.star_count, each.is_official)
        for each in found[:limit]
        if references.is_path(each.name)
    ]


def _pages(ask: Ask, url: str, page: str, read: Callable[[bytes], list[str] | None]) -> list[str]:
    """The names on all pages from ``page`` on."""
    found: list[str] = []
    for _ in range(_MOST_PAGES):
        with ask(page) as answer:
            found += read(answer.whole(_PAGE_BYTES)) or []
            link = _LINK.search(answer.header("Link"))
        if len(found) > _MOST_NAMES:
            raise errors.Permanent(f"it lists more than the {_MOST_NAMES} names allowed")
        if link is None:
            return found
        page = _next(url, page, link[1])
    raise errors.Permanent(f"its list goes on after {_MOST_PAGES} pages")


def _next(url: str, page: str, link: str) -> str:
    """The next page, which is at the same registry."""
    try:
        found = urljoin(page, link)
    except ValueError:
        raise errors.Permanent("it sent a malformed address") from None
    if addresses.origin(found) != addresses.origin(url):
        raise errors.Permanent(f"its list goes on at another host ({addresses.origin(found).host[:100]}): not followed")
    return found


def _decoded(raw: bytes, form: type[T]) -> T:
    try:
        return foreign.decode(raw, form, "its list")
    except errors.Permanent:
        raise errors.Permanent("it sent something else than a list of names") from None

"""Lists of registries: the tags of a repository (distribution spec, "Listing Tags"), and search results.

A registry is searched as Docker Hub is (``GET /v1/search``), or else through the names in its catalogue
(``GET /v2/_catalog``). Names that no reference could have are left out: nothing could be done with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec

from reconciler import errors
from reconciler.drivers.registry import addresses, base, links, transport
from reconciler.model import loose, references

#: names to a page
_PAGE = 1000
_PAGE_BYTES = 4 << 20
#: of one list, all its pages together
_MOST_NAMES, _MOST_PAGES = 100_000, 2000
#: bytes of a description
_WORDS = 512

#: asks for a URL, and returns a good answer
Ask = Callable[[str], transport.Answer]


def tags(ask: Ask, url: str, path: str) -> list[str]:
    """The tags of the repository ``path`` of the registry at ``url``, sorted."""
    found = _pages(ask, url, f"{url}/v2/{path}/tags/list?n={_PAGE}", "tags")
    return sorted({tag for tag in found if references.is_tag(tag)})


def catalogue(ask: Ask, url: str, registry: str, term: str, limit: int) -> list[base.Hit]:
    """The repositories of the registry at ``url`` that have ``term`` in their names, ``limit`` at most."""
    start = f"{url}/v2/_catalog?n={_PAGE}"
    found = _pages(ask, url, start, "repositories")
    paths = sorted({path for path in found if term in path and references.is_path(path)})
    return [base.Hit(f"{registry}/{path}") for path in paths[:limit]]


def search(ask: Ask, url: str, registry: str, term: str, limit: int) -> list[base.Hit]:
    """The results of the search of the registry at ``url``, in its order."""
    with ask(f"{url}/v1/search?{urlencode({'q': term, 'n': limit})}") as answer:
        found = _listed(answer.whole(_PAGE_BYTES), "results")
    hits = (_hit(registry, each) for each in found[:limit])
    return [hit for hit in hits if hit is not None]


def _hit(registry: str, result: Any) -> base.Hit | None:
    """One result, unless it has a name that no image could have."""
    fields = loose.folded(result) if isinstance(result, dict) else {}
    name, words, stars = fields.get("name"), fields.get("description"), fields.get("star_count")
    if not isinstance(name, str) or not references.is_path(name):
        return None
    return base.Hit(
        f"{registry}/{name}",
        words[:_WORDS] if isinstance(words, str) else "",
        stars if isinstance(stars, int) else 0,
        fields.get("is_official") is True,
    )


def _pages(ask: Ask, url: str, first: str, field: str) -> list[str]:
    """The names in ``field`` on all pages from ``first`` on."""
    found: list[str] = []
    page = first
    for _ in range(_MOST_PAGES):
        with ask(page) as answer:
            names = _listed(answer.whole(_PAGE_BYTES), field)
            following = _following(url, page, answer.headers("Link"))
        if not all(isinstance(name, str) for name in names):
            raise _no_list()
        found += names
        if len(found) > _MOST_NAMES:
            raise errors.Permanent(f"it lists more than the {_MOST_NAMES} names allowed")
        if not following:
            return found
        page = following
    raise errors.Permanent(f"its list goes on after {_MOST_PAGES} pages")


def _following(url: str, page: str, headers: list[str]) -> str:
    """The address of the next page, empty if there is none. Registries behind a proxy name hosts, ports and schemes
    of their own: the page is asked for where the list is."""
    found = [link for header in headers for link in links.parse(header)]
    if any(header.strip() for header in headers) and not found:
        raise errors.Permanent("its list may go on, but its Link header is malformed")
    for link in found:
        if "next" in link.relations and _address(page, link.anchor) == _address(page, ""):
            parts = urlsplit(_address(page, link.target))
            return f"{url}{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    return ""


def _address(page: str, link: str) -> str:
    """What a link on ``page`` names."""
    try:
        found = urljoin(page, link)
    except ValueError:
        raise errors.Permanent("it sent a malformed address") from None
    addresses.origin(found)
    return found


def _listed(raw: bytes, field: str) -> list[Any]:
    """What an answer lists in ``field``, without what is null."""
    try:
        found = loose.folded(msgspec.json.decode(raw)).get(field)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError):
        raise _no_list() from None
    if not isinstance(found, list | None):
        raise _no_list()
    return [each for each in found or () if each is not None]


def _no_list() -> errors.Permanent:
    return errors.Permanent("it sent something else than a list of names")

"""Tags and repositories that registries list: many pages, and registries that mean no good."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.registry import base, client, listing
from reconciler.model import references
from reconciler.testing import images, registry_hostile
from reconciler.testing.registry_hostile import Handler, HostileServer, Request

TAGS, CATALOGUE, SEARCH = "/v2/team/web/tags/list", "/v2/_catalog", "/v1/search"


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


def answer(document: object, **headers: str) -> Handler:
    return lambda request: request.reply(200, json.dumps(document).encode(), **headers)


def tags(server: HostileServer) -> list[str]:
    return client.RegistryClient().tags(references.parse_repository(f"{server.address}/team/web"))


def search(server: HostileServer, term: str = "we") -> list[base.Hit]:
    return client.RegistryClient().search(server.address, term, 10)


def test_pages_of_a_real_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAGE", 2)
    image = images.build([])
    with images.registry() as real:
        for tag in ("1.0", "1.1", "2.0", "latest", "v3"):
            images.push(real.address, "team/web", tag, image)
        for name in ("a/web", "b/web", "c/db", "d/web", "e/webb"):
            images.push(real.address, name, "1", image)
        driver = client.RegistryClient()
        assert driver.tags(references.parse(f"{real.address}/team/web")) == ["1.0", "1.1", "2.0", "latest", "v3"]
        found = [hit.name for hit in driver.search(real.address, "web", 4)]
        assert found == [f"{real.address}/{name}" for name in ("a/web", "b/web", "d/web", "e/webb")]


def test_a_list_without_end(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_PAGES", 20)
    server.handlers[TAGS] = answer({"tags": ["1"]}, Link=f'<{TAGS}?n=1&last=1>; rel="next"')
    with pytest.raises(errors.Permanent, match="goes on after 20 pages"):
        tags(server)
    assert len(server.seen) == 20


def test_a_list_of_too_many(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_NAMES", 100)
    server.handlers[TAGS] = answer({"tags": ["x"] * 60}, Link=f'<{TAGS}?last=x>; rel="next"')
    with pytest.raises(errors.Permanent, match="more than the 100 names"):
        tags(server)
    assert len(server.seen) == 2


def test_a_page_of_too_many_bytes(server: HostileServer) -> None:
    server.handlers[TAGS] = answer({"tags": ["x" * (5 << 20)]})
    with pytest.raises(errors.Permanent, match="more than the 4194304 bytes"):
        tags(server)


@pytest.mark.parametrize(
    "link", ["file:///etc/passwd", "ftp://other.example/x", "http://u:p@other.example/", "http://["]
)
def test_a_list_that_goes_on_nowhere(server: HostileServer, link: str) -> None:
    server.handlers[TAGS] = answer({"tags": ["1"]}, Link=f'<{link}>; rel="next"')
    with pytest.raises(errors.Permanent, match=r"neither http|user name|malformed address"):
        tags(server)
    assert len(server.seen) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"tags": "x"}', b'{"tags": [1]}', b"\xff", b"[" * 100_000])
def test_what_is_no_list(server: HostileServer, body: bytes) -> None:
    server.handlers[TAGS] = lambda request: request.reply(200, body)
    with pytest.raises(errors.Permanent, match="something else than a list"):
        tags(server)


def test_names_that_no_reference_could_have_are_left_out(server: HostileServer) -> None:
    server.handlers[TAGS] = answer({"tags": ["ok", "", "\x1b[2J", "a/b", "x" * 129, "-x", "ok"]})
    assert tags(server) == ["ok"]
    server.handlers[CATALOGUE] = answer({"repositories": ["web", "../web", "WEB", "we\x07", "we" * 300]})
    assert search(server) == [base.Hit(f"{server.address}/web")]


def test_a_repository_without_tags(server: HostileServer) -> None:
    server.handlers[TAGS] = answer({"name": "team/web", "tags": None})
    assert tags(server) == []


def test_a_search_of_the_registrys_own(server: HostileServer) -> None:
    results = [{"name": "we/b", "description": "d" * 600, "star_count": 7, "is_official": True}, {"name": "We"},
               *({"name": f"web{number}"} for number in range(20))]  # fmt: skip
    server.handlers[SEARCH] = answer({"results": results})
    found = search(server, "we & b")
    assert found[0] == base.Hit(f"{server.address}/we/b", "d" * 512, 7, True)
    assert len(found) == 9
    assert server.seen[0][0] == "/v1/search?q=we+%26+b&n=10"


def test_a_registry_without_any_search(server: HostileServer) -> None:
    def forbidden(request: Request) -> None:
        request.reply(405, b'{"errors":[{"code":"UNSUPPORTED","message":"not \\u001b[2Jhere"}]}')

    server.handlers[CATALOGUE] = forbidden
    with pytest.raises(errors.Permanent, match="offers no search") as caught:
        search(server)
    assert caught.value.message.startswith(f"registry {server.address}: ")
    assert "--list-tags" in caught.value.message
    assert "\x1b" not in caught.value.message

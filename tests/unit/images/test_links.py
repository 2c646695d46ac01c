"""Lists that go on: Link headers in all their forms (RFC 8288), followed at the registry itself."""

from __future__ import annotations

import json

import pytest

from reconciler import errors
from reconciler.drivers.registry import client, links
from reconciler.model import references
from reconciler.testing.registry_hostile import HostileServer, Request

TAGS = "/v2/team/web/tags/list"
NEXT = f"{TAGS}?last=a%2Cb&n=1000"


def tags(server: HostileServer, *headers: str) -> list[str]:
    """The tags of a list whose first page has ``headers``, and whose second page is at ``NEXT``."""

    def handle(request: Request) -> None:
        first = request.path != NEXT
        body = json.dumps({"tags": ["1"] if first else ["2"]}).encode()
        request.send_response(200)
        for each in headers if first else ():
            request.send_header("Link", each)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    server.handlers[TAGS] = handle
    return client.RegistryClient().tags(references.parse_repository(f"{server.address}/team/web"))


@pytest.mark.parametrize(
    "headers",
    [
        (f'<{NEXT}>; rel="next"',),
        (f"<{NEXT}>;rel=next",),
        (f"< {NEXT} > ; REL = NEXT ;",),
        (f'<{NEXT}>; rel="prev NEXT last"',),
        (f'<{NEXT}>; title="a, b; rel=prev \\">\\"" ; rel="next"; type="text/x,y"',),
        (f'</first>; rel="first", <{NEXT}>; rel="next"',),
        (f'</first>; title="rel=next, <x>; "; rel=first,<{NEXT}>;crossorigin;; rel=next; rel=prev',),
        ("</first>; rel=first", f'<{NEXT}>; rel="next"'),
        (", ,", f'<{NEXT}>; rel="next'),
        (f'<{NEXT}>; rel="next"; anchor=""',),
        ("</other>; rel=next; anchor=\"#part\"", f"<{NEXT}>; rel=next"),
        (f'<{NEXT.partition("list")[2]}>; rel="next"',),
        (f'<{NEXT}#part>; rel="next"',),
    ],
)  # fmt: skip
def test_forms_of_a_next_page(server: HostileServer, headers: tuple[str, ...]) -> None:
    assert tags(server, *headers) == ["1", "2"]


@pytest.mark.parametrize(
    "start", ["http://registry.internal", "https://{}", "http://127.0.0.1", "https://127.0.0.1:1", "//other.example"]
)
def test_a_next_page_is_asked_for_at_the_registry(server: HostileServer, start: str) -> None:
    assert tags(server, f'<{start.format(server.address)}{NEXT}>; rel="next"') == ["1", "2"]
    assert server.paths == [f"{TAGS}?n=1000", NEXT]


@pytest.mark.parametrize(
    "header", ["", f'<{NEXT}>; rel="prev"', f'<{NEXT}>; title="rel=next"', f"<{NEXT}>", f"<{NEXT}>; rel=prev; rel=next",
               f'<{NEXT}>; rel="nextish"', f'<{NEXT}>; relation="next"']
)  # fmt: skip
def test_the_last_page(server: HostileServer, header: str) -> None:
    assert tags(server, header) == ["1"]


@pytest.mark.parametrize("header", [f"{NEXT}; rel=next", "next", f"<{NEXT}; rel=next"])
def test_a_list_is_not_cut_silently(server: HostileServer, header: str) -> None:
    with pytest.raises(errors.Permanent, match="Link header is malformed"):
        tags(server, header)


def test_odd_headers_take_no_time() -> None:
    for header in ("<" * 60_000, "<a>" + ";" * 60_000, '<a>; b="' + "\\" * 60_001, "<a>; b=" + " " * 60_000):
        assert len(links.parse(header)) < 2


@pytest.mark.parametrize(
    "body",
    [b'{"tags": ["1", null, "2"]}', b'{"Tags": ["1", "2"], "name": null}', b'{"tags": null, "TAGS": ["2", "1"]}'],
)
def test_lists_as_go_reads_them(server: HostileServer, body: bytes) -> None:
    server.answer(TAGS, body)
    assert client.RegistryClient().tags(references.parse_repository(f"{server.address}/team/web")) == ["1", "2"]


def test_results_of_a_search_with_nulls(server: HostileServer) -> None:
    results = [{"Name": "a/b", "description": None, "star_count": None, "is_official": None}, None, {"name": None}, 7]
    server.answer("/v1/search", json.dumps({"results": results}).encode())
    (hit,) = client.RegistryClient().search(server.address, "a", 10)
    assert hit == (f"{server.address}/a/b", "", 0, False)

"""Pushes: to a real docker-registry with passwords and tokens, and to registries that abuse or fail them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from reconciler import errors
from reconciler.drivers.registry import base, client, manifests
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.testing import images, pulling, registry_hostile, registry_logins
from reconciler.testing.registry_hostile import HostileServer, Request

LOGIN = Credentials("tester", "canary-pass:word")
IMAGE = images.busybox()


def blobs() -> list[base.Descriptor]:
    parsed = manifests.parse(IMAGE.manifest, IMAGE.media_type)
    assert parsed.config is not None
    return [parsed.config, *parsed.layers]


def push(view: client.RegistryClient, reference: references.Reference, elsewhere: str = "") -> list[base.Pushed]:
    done = [
        view.push_blob(reference, blob, lambda blob=blob: iter((IMAGE.blobs[blob.digest],)), elsewhere)  # type: ignore[misc]
        for blob in blobs()
    ]
    view.push_manifest(reference, IMAGE.manifest, IMAGE.media_type)
    return done


class Receiver:
    """Takes pushes on a hostile server as a registry does. ``place`` is where uploads go; ``answers`` are given
    instead of good ones, by method, the last first."""

    def __init__(self, server: HostileServer) -> None:
        self.server = server
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.place = "/v2/x/blobs/uploads/1?state=a"
        self.answers: dict[str, list[int]] = {}
        self.asked: list[tuple[str, str, str]] = []
        server.handlers["*"] = self.handle

    @property
    def reference(self) -> references.Reference:
        return references.parse(f"{self.server.address}/x:1")

    def handle(self, request: Request) -> None:
        path = urlsplit(request.path)
        self.asked.append((request.command, path.path, request.headers.get("Authorization", "")))
        if self.answers.get(request.command):
            request.reply(self.answers[request.command].pop(), b"", Retry_After="1")
        elif request.command == "HEAD":
            request.reply(200 if path.path.rpartition("/")[2] in self.blobs else 404)
        elif request.command == "POST":
            request.reply(202, b"", Location=self.place)
        elif "/manifests/" in path.path:
            self.manifests[path.path.rpartition("/")[2]] = request.headers["Content-Type"], request.body
            request.reply(201)
        else:
            (digest,) = parse_qs(path.query)["digest"]
            assert images.digest(request.body) == digest
            self.blobs[digest] = request.body
            request.reply(201)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


@pytest.fixture
def other() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


@pytest.fixture(scope="module")
def opened() -> Iterator[images.Server]:
    with images.registry() as found:
        yield found


def taken(server: images.Server, path: str) -> bytes:
    """The manifest that ``path`` has now, of a registry that asks for nothing."""
    return client.RegistryClient().resolve(references.parse(f"{server.address}/{path}")).raw


def test_with_a_password(opened: images.Server) -> None:
    with registry_logins.with_password(opened, LOGIN) as guarded:
        reference = references.parse(f"{guarded.address}/by/password:1")
        view = client.RegistryClient()
        with pytest.raises(errors.Forbidden, match="pydock login"):
            push(view, reference)
        assert push(view.acting(guarded.address, LOGIN), reference) == ["uploaded", "uploaded"]
    assert taken(opened, "by/password:1") == IMAGE.manifest


def test_with_a_token_that_may_push_here_and_read_there(opened: images.Server) -> None:
    images.push(opened.address, "team/first", "1", IMAGE)
    with registry_logins.with_tokens(opened, LOGIN) as (guarded, maker):
        view = client.RegistryClient().acting(guarded.address, LOGIN)
        assert push(view, references.parse(f"{guarded.address}/team/second:1")) == ["uploaded", "uploaded"]
        assert [query["scope"] for query, _ in maker.asked] == ["repository:team/second:pull,push"]
        third = references.parse(f"{guarded.address}/team/third:1")
        assert push(view, third, "team/first") == ["mounted", "mounted"]
        assert maker.asked[-1][0]["scope"] == "repository:team/third:pull,push repository:team/first:pull"
        with pytest.raises(errors.Forbidden, match="pydock login"):
            push(client.RegistryClient(), third)
    for name in ("second", "third"):
        assert taken(opened, f"team/{name}:1") == IMAGE.manifest


def test_what_is_not_there_to_be_mounted_is_sent(opened: images.Server) -> None:
    reference = references.parse(f"{opened.address}/not/mounted:1")
    assert push(client.RegistryClient(), reference, "no/such/place") == ["uploaded", "uploaded"]
    assert taken(opened, "not/mounted:1") == IMAGE.manifest


def test_a_mount_that_is_refused_is_an_upload(server: HostileServer) -> None:
    receiver = Receiver(server)
    receiver.answers["POST"] = [403]
    assert push(client.RegistryClient(), receiver.reference, "not/mine") == ["uploaded", "uploaded"]
    assert receiver.blobs == IMAGE.blobs
    assert receiver.manifests == {"1": (IMAGE.media_type, IMAGE.manifest)}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_uploads_go_where_the_registry_says_and_a_login_does_not_go_along(
    server: HostileServer, other: HostileServer, elsewhere: bool
) -> None:
    """The place may be relative, or on another host."""
    receiver, away = Receiver(server), Receiver(other)
    inner = receiver.handle

    def guarded(request: Request) -> None:
        if request.headers.get("Authorization") != f"Basic {LOGIN.basic()}":
            request.reply(401, b"", WWW_Authenticate='Basic realm="x"')
        else:
            inner(request)

    server.handlers["*"] = guarded
    receiver.place = f"http://{other.address}/put/here?token=1" if elsewhere else "1"
    view = client.RegistryClient().acting(server.address, LOGIN)
    assert push(view, receiver.reference) == ["uploaded", "uploaded"]
    assert (away if elsewhere else receiver).blobs == IMAGE.blobs
    assert [method for method, _, _ in away.asked] == (["PUT", "PUT"] if elsewhere else [])
    assert not any("Authorization" in headers for _, headers in other.seen)
    if elsewhere:
        assert {path for _, path, _ in away.asked} == {"/put/here"}
    else:
        assert {path for method, path, _ in receiver.asked if method == "PUT"} == {
            "/v2/x/blobs/uploads/1", "/v2/x/manifests/1",
        }  # fmt: skip


def test_another_host_that_asks_for_a_login_gets_none(server: HostileServer, other: HostileServer) -> None:
    receiver = Receiver(server)
    receiver.place = f"http://{other.address}/put/here"
    for challenge in ('Basic realm="x"', f'Bearer realm="http://{other.address}/token"'):
        other.handlers["*"] = lambda request, text=challenge: request.reply(401, b"", WWW_Authenticate=text)  # type: ignore[misc]
        with pytest.raises(errors.Permanent, match="no other host is given one"):
            push(client.RegistryClient().acting(server.address, LOGIN), receiver.reference)
    assert other.paths
    assert not any("Authorization" in headers for _, headers in other.seen)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("http://registry.example/put", "without TLS"),
        ("file:///etc/shadow", "neither http nor https"),
        ("http://user:canary@127.0.0.1/x", "user name or password"),
        ("http://[", "malformed"),
        ("", "does not say where to"),
    ],
)
def test_places_that_nothing_is_sent_to(server: HostileServer, place: str, words: str) -> None:
    receiver = Receiver(server)
    receiver.place = place
    with pytest.raises(errors.Permanent, match=words) as caught:
        push(client.RegistryClient(), receiver.reference)
    assert caught.value.message.startswith(f"image {receiver.reference}: registry {server.address}: ")
    assert "canary" not in caught.value.message
    assert [method for method, _, _ in receiver.asked] == ["HEAD", "POST"]


def test_a_redirect_of_an_upload_is_not_followed(server: HostileServer, other: HostileServer) -> None:
    receiver = Receiver(server)
    server.handlers["/v2/x/blobs/uploads/1"] = lambda request: request.reply(
        307, b"", Location=f"http://{other.address}/x"
    )
    with pytest.raises(errors.Permanent, match="HTTP 307"):
        push(client.RegistryClient(), receiver.reference)
    assert other.seen == []


@pytest.mark.parametrize(
    ("method", "status", "kind"),
    [("HEAD", 503, errors.Temporary), ("POST", 429, errors.Temporary), ("PUT", 500, errors.Temporary),
     ("PUT", 400, errors.Permanent), ("PUT", 403, errors.Forbidden), ("POST", 404, errors.NotFound)],
)  # fmt: skip
def test_what_a_registry_answers(
    server: HostileServer, method: str, status: int, kind: type[errors.PydockError]
) -> None:
    receiver = Receiver(server)
    receiver.answers[method] = [status]
    with pytest.raises(kind) as caught:
        push(client.RegistryClient(), receiver.reference)
    assert f"registry {server.address}" in caught.value.message
    if isinstance(caught.value, errors.Temporary):
        assert 1.0 <= caught.value.delay <= 1.1


def test_a_registry_that_hangs_up_in_the_middle(server: HostileServer) -> None:
    receiver = Receiver(server)

    def hang_up(request: Request) -> None:
        request.close_connection = True

    server.handlers["/v2/x/blobs/uploads/1"] = hang_up
    with pytest.raises(errors.Temporary, match="connection broke"):
        push(client.RegistryClient(), receiver.reference)
    assert receiver.blobs == {}


def test_a_registry_that_never_answers_an_upload(server: HostileServer) -> None:
    receiver = Receiver(server)
    waits: list[bool] = []

    def wait(request: Request) -> None:
        waits.append(bool(request.connection.recv(1)))  # until it is hung up on
        request.close_connection = True

    server.handlers["/v2/x/blobs/uploads/1"] = wait
    with pytest.raises(errors.Temporary, match=r"progress|in time"):
        push(client.RegistryClient(patience=0.1), receiver.reference)


def test_a_refusal_that_repeats_the_login(server: HostileServer) -> None:
    receiver = Receiver(server)
    body = json.dumps({"errors": [{"code": "DENIED", "message": f"{LOGIN.password} {LOGIN.basic()}"}]}).encode()
    server.handlers["/v2/x/blobs/uploads/1"] = lambda request: request.reply(403, body)
    with pytest.raises(errors.Forbidden) as caught:
        push(client.RegistryClient().acting(server.address, LOGIN), receiver.reference)
    assert LOGIN.password not in caught.value.message
    assert "(hidden) (hidden)" in caught.value.message


def test_a_registry_that_is_not_there(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `pydock push` does it: it is tried again a few times, with pauses, before it is told."""
    pauses = pulling.pauses(monkeypatch)
    puller = pulling.Puller(tmp_path)
    try:
        there = f"127.0.0.1:{images.free_port()}/x:1"
        with registry_hostile.hostile() as server:
            here = server.serve_image(IMAGE)
            puller.pull(here)
        puller.loop.ask("image_tag", source=here, target=there)
        with pytest.raises(errors.Temporary, match=f"image {there}: registry {there[:-4]}: it cannot be reached"):
            puller.loop.ask("push_image", reference=there)
        assert len(pauses) >= 3
        assert min(pauses) > 0
        assert puller.problems() == []
    finally:
        puller.close()

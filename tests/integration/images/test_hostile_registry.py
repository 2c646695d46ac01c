"""Registries that are broken, busy or malicious: nothing is stored, and the error says what happened where."""

from __future__ import annotations

import json
import pathlib
import threading
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.registry import client, manifests, transport
from reconciler.images import pulling as pulls
from reconciler.model import references
from reconciler.testing import graph_tars as tars
from reconciler.testing import images, registry_hostile
from reconciler.testing.graph_suite import Place
from reconciler.testing.registry_hostile import HostileServer, Request

LAYER = tars.archive([tars.Member(b"f", b"content" * 30_000)])


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with registry_hostile.hostile() as found:
        yield found


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    found = Place(tmp_path / "graph", "overlay")
    yield found
    found.close()


@pytest.fixture
def image() -> images.Image:
    return images.build([LAYER], packing="plain")


def pull(place: Place, reference: str, patience: float = 60.0) -> pulls.Pulled:
    registry = client.RegistryClient(patience=patience)
    return pulls.pull(references.parse(reference), registry, place.graph)


def layer_path(image: images.Image) -> str:
    return f"/v2/x/blobs/{json.loads(image.manifest)['layers'][0]['digest']}"


def layer_data(image: images.Image) -> bytes:
    return image.blobs[json.loads(image.manifest)["layers"][0]["digest"]]


def refused(place: Place, reference: str, kind: type[errors.PydockError], words: str) -> errors.PydockError:
    with pytest.raises(kind, match=words) as caught:
        pull(place, reference)
    assert reference.rpartition(":")[0].split("@")[0] in caught.value.message
    assert place.graph.layers() == ()
    assert place.leftovers() == []
    return caught.value


def test_an_honest_image(place: Place, server: HostileServer, image: images.Image) -> None:
    assert pull(place, server.serve_image(image)).facts.digest == image.digest


def test_a_layer_with_other_content(place: Place, server: HostileServer, image: images.Image) -> None:
    reference = server.serve_image(image)
    wrong = layer_data(image).replace(b"content", b"contenu")
    server.answer(layer_path(image), wrong)
    refused(place, reference, errors.Permanent, "does not match its digest")
    assert len(place.graph.blobs()) == 2


@pytest.mark.parametrize("more", [1, 100_000])
def test_a_layer_that_is_longer_than_announced(
    place: Place, server: HostileServer, image: images.Image, more: int
) -> None:
    reference = server.serve_image(image)
    server.answer(layer_path(image), layer_data(image) + bytes(more))
    refused(place, reference, errors.Permanent, "it announces")
    chunked = layer_data(image) + bytes(more)

    def handle(request: Request) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunked), chunked))

    server.handlers[layer_path(image)] = handle
    refused(place, reference, errors.Permanent, "more than the")


def test_a_layer_that_always_breaks_off(place: Place, server: HostileServer, image: images.Image) -> None:
    reference = server.serve_image(image)
    server.handlers[layer_path(image)] = lambda request: request.reply(503, b"", Retry_After="1")
    refused(place, reference, errors.Temporary, "HTTP 503")
    server.answer(layer_path(image), layer_data(image)[:-10])
    refused(place, reference, errors.Permanent, "it announces")


def test_a_broken_download_goes_on_from_where_it_was(place: Place, server: HostileServer, image: images.Image) -> None:
    reference = server.serve_image(image)
    honest, data = server.handlers[layer_path(image)], layer_data(image)
    cut = registry_hostile.broken(data, 100_000)
    server.handlers[layer_path(image)] = lambda request: (honest if "Range" in request.headers else cut)(request)
    pull(place, reference)
    asked = [headers.get("Range", "") for path, headers in server.seen if path == layer_path(image)]
    assert asked[0] == ""
    assert asked[1].startswith("bytes=")
    assert 0 < int(asked[1][6:-1]) <= 100_000


def test_a_server_that_does_not_know_ranges(place: Place, server: HostileServer, image: images.Image) -> None:
    reference = server.serve_image(image)
    data = layer_data(image)
    tries: list[int] = []

    def handle(request: Request) -> None:
        tries.append(1)
        registry_hostile.broken(data, 100_000)(request) if len(tries) == 1 else request.reply(200, data)

    server.handlers[layer_path(image)] = handle
    pull(place, reference)
    assert len(tries) == 2


@pytest.mark.parametrize("header", ["7", "100000", "Fri, 31 Dec 2099 23:59:59 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_registry_says_when(place: Place, server: HostileServer, status: int, header: str) -> None:
    server.answer("/v2/x/manifests/latest", b"", status, Retry_After=header)
    error = refused(place, f"{server.address}/x:latest", errors.Temporary, f"HTTP {status}")
    assert isinstance(error, errors.Temporary)
    assert 7 <= error.delay <= (8 if header == "7" else 300)


def test_nothing_listens(place: Place) -> None:
    address = f"127.0.0.1:{images.free_port()}"
    refused(place, f"{address}/x:latest", errors.Temporary, "cannot be reached")


def test_an_image_that_there_is_not(place: Place, server: HostileServer) -> None:
    error = refused(place, f"{server.address}/x:latest", errors.NotFound, "MANIFEST_UNKNOWN: no such thing")
    assert f"registry {server.address}" in error.message


def test_a_manifest_that_is_too_large(place: Place, server: HostileServer) -> None:
    server.answer("/v2/x/manifests/latest", b" " * (manifests.MAX_MANIFEST + 1))
    refused(place, f"{server.address}/x:latest", errors.Permanent, "more than the")


def test_a_manifest_with_another_digest(place: Place, server: HostileServer, image: images.Image) -> None:
    server.serve_image(image)
    wanted = images.digest(b"another")
    server.answer(f"/v2/x/manifests/{wanted}", image.manifest, Content_Type=image.media_type)
    refused(place, f"{server.address}/x@{wanted}", errors.Permanent, "does not match its digest")


def edited(image: images.Image, edit: object) -> bytes:
    document = json.loads(image.manifest)
    edit(document)  # type: ignore[operator]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda it: it["layers"][0].update(digest="sha256:../x"), "malformed"),
        (lambda it: it["config"].update(digest="sha256:../../etc/passwd"), "malformed"),
        (lambda it: it["layers"][0].update(size=-1), "expected 0 to"),
        (lambda it: it["layers"][0].update(size=1 << 62), "expected 0 to"),
        (lambda it: it["layers"][0].update(mediaType="text/plain"), "unknown type"),
        (lambda it: it.update(layers=it["layers"] * 10_000), "at most 512|more than the"),
        (lambda it: it.update(manifests=[]), "two ways"),
        (lambda it: it.update(mediaType=manifests.DOCKER_MANIFEST), "calls itself"),
        (lambda it: it.update(schemaVersion=1), "schema 1"),
        (lambda it: it.pop("config"), "no configuration"),
        (lambda it: it["config"].update(mediaType="application/vnd.cncf.helm.config.v1+json"), "no container image"),
        (lambda it: it["layers"].append(it["layers"][0]), "names 1 layers, its manifest 2"),
    ],
)
def test_manifests_that_are_refused(
    place: Place, server: HostileServer, image: images.Image, edit: object, words: str
) -> None:
    reference = server.serve_image(image)
    server.answer("/v2/x/manifests/latest", edited(image, edit), Content_Type=image.media_type)
    refused(place, reference, errors.Permanent, words)


def test_an_index_that_leads_to_itself(place: Place, server: HostileServer) -> None:
    host = manifests.host_platform("x86_64")
    entry = {"mediaType": manifests.OCI_INDEX, "digest": images.digest(b""), "size": 0, "platform": {}}
    entry["platform"] = {"os": host.os, "architecture": host.architecture}
    raw = b""
    for _ in range(8):
        raw = json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": [entry]}).encode()
        server.answer(f"/v2/x/manifests/{images.digest(raw)}", raw, Content_Type=manifests.OCI_INDEX)
        entry = {**entry, "digest": images.digest(raw), "size": len(raw)}
    server.answer("/v2/x/manifests/latest", raw, Content_Type=manifests.OCI_INDEX)
    with pytest.raises(errors.Permanent, match="without end"):
        client.RegistryClient(platform=host).resolve(references.parse(f"{server.address}/x"))
    assert len(server.seen) <= 6


def test_redirects_have_an_end(place: Place, server: HostileServer) -> None:
    server.handlers["*"] = lambda request: request.reply(307, b"", Location=f"http://{server.address}{request.path}x")
    refused(place, f"{server.address}/x:latest", errors.Permanent, "redirects more than 5 times")
    assert len(server.seen) == 6


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://u:p@127.0.0.1/", "http://[::/"]
)
def test_redirects_to_where_we_do_not_go(place: Place, server: HostileServer, location: str) -> None:
    server.handlers["*"] = lambda request: request.reply(302, b"", Location=location)
    refused(place, f"{server.address}/x:latest", errors.Permanent, "it sent an address|malformed address")


def test_a_token_is_fetched_and_stays_with_its_registry(
    place: Place, server: HostileServer, image: images.Image
) -> None:
    reference = server.serve_image(image)
    inner = dict(server.handlers)
    with registry_hostile.hostile() as other:
        for digest, data in image.blobs.items():
            other.answer(f"/away/{digest}", data)

        def guarded(path: str) -> registry_hostile.Handler:
            def handle(request: Request) -> None:
                if request.headers.get("Authorization") != "Bearer secret-token":
                    challenge = f'Bearer realm="http://{server.address}/token?a=b",service="this one",scope="any"'
                    request.reply(401, b"{}", WWW_Authenticate=challenge)
                elif "/blobs/" in path:
                    away = f"http://{other.address}/away/{path.rpartition('/')[2]}"
                    request.reply(307, b"", Location=away)
                else:
                    inner[path](request)

            return handle

        server.handlers = {path: guarded(path) for path in inner}
        server.answer("/token", json.dumps({"token": "secret-token", "expires_in": 300}).encode())
        assert pull(place, reference).facts.digest == image.digest
        tokens = [path for path in server.paths if path.startswith("/token")]
        assert tokens == ["/token?a=b&service=this+one&scope=repository%3Ax%3Apull"]
        assert len(other.seen) == 2
        assert all("Authorization" not in headers for _, headers in other.seen)


def test_a_registry_that_wants_a_password(place: Place, server: HostileServer) -> None:
    server.handlers["*"] = lambda request: request.reply(401, b"", WWW_Authenticate='Basic realm="x"')
    refused(place, f"{server.address}/x:latest", errors.Forbidden, f"pydock login {server.address}")


def test_a_registry_that_takes_no_token(place: Place, server: HostileServer) -> None:
    challenge = f'Bearer realm="http://{server.address}/token"'
    server.handlers["*"] = lambda request: request.reply(401, b"", WWW_Authenticate=challenge)
    server.answer("/token", b'{"access_token":"t"}')
    refused(place, f"{server.address}/x:latest", errors.Forbidden, "access is denied")


@pytest.mark.parametrize("stage", ["headers", "body"])
def test_a_peer_that_sends_one_byte_at_a_time(
    place: Place, server: HostileServer, image: images.Image, stage: str
) -> None:
    server.serve_image(image)
    stop = threading.Event()

    def drip(request: Request) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" if stage == "body" else b"HTTP/1.1 200 OK\r\nX: "
        request.wfile.write(head)
        while not stop.wait(0.05):
            try:
                request.wfile.write(b"x")
                request.wfile.flush()
            except OSError:
                return

    server.handlers["/v2/x/manifests/latest"] = drip
    with pytest.raises(errors.Temporary, match="no progress"):
        pull(place, f"{server.address}/x:latest", patience=0.5)
    stop.set()


def test_a_failing_layer_stops_the_others(place: Place, server: HostileServer) -> None:
    big = tars.archive([tars.Member(b"g", bytes(5_000_000))])
    image = images.build([LAYER, big], packing="plain")
    reference = server.serve_image(image)
    server.answer(layer_path(image), b"", 404)
    refused(place, reference, errors.NotFound, "does not have it")


def test_a_config_for_another_machine(place: Place, server: HostileServer) -> None:
    """It is believed to be for ours, with a warning, unless another one was asked for."""
    other = images.build([LAYER], platform=manifests.Platform("linux", "s390x"))
    reference, told = references.parse(server.serve_image(other)), list[str]()
    registry = client.RegistryClient()

    def progress(status: str, *_: object) -> None:
        told.append(status)

    with pytest.raises(errors.Permanent, match="made for linux/s390x, and wanted is linux/arm64"):
        pulls.pull(reference, registry, place.graph, platform="linux/arm64")
    found = pulls.pull(reference, registry, place.graph, progress=progress).facts
    assert found.platform == str(manifests.host_platform("x86_64"))
    assert "Warning: it says that it is made for linux/s390x; it is taken as one for linux/amd64" in told


def test_plain_http_is_for_loopback_only() -> None:
    with pytest.raises(errors.Temporary):
        client.RegistryClient().resolve(references.parse("registry.invalid/x"))


def test_a_name_that_means_this_host_is_found_out_when_connecting(server: HostileServer) -> None:
    manager = transport._new_manager(strict=True)
    with pytest.raises(errors.Permanent, match="an address of this host"):
        manager.urlopen("GET", f"http://localhost:{server.server_address[1]}/", retries=False)
    assert server.seen == []

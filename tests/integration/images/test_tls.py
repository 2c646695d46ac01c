"""Registries with TLS: Debian's docker-registry behind certificates of the tests' own."""

from __future__ import annotations

import os
import pathlib
import shutil
import ssl
from collections.abc import Iterator

import pytest

from reconciler import errors
from reconciler.drivers.registry import mirrors
from reconciler.drivers.registry.hosts import Host, Hosts
from reconciler.images import pulling as pulls
from reconciler.model import references
from reconciler.testing import images, registry_hostile, registry_tls
from reconciler.testing.graph_suite import Place
from reconciler.testing.registry_hostile import Request


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> registry_tls.Authority:
    return registry_tls.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def opened() -> Iterator[images.Server]:
    with images.registry() as found:
        images.push(found.address, "x", "v1", images.busybox())
        yield found


@pytest.fixture(scope="module")
def server(opened: images.Server, authority: registry_tls.Authority) -> Iterator[images.Server]:
    with registry_tls.serving(opened, authority.issue("server")) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(opened: images.Server, authority: registry_tls.Authority) -> Iterator[images.Server]:
    with registry_tls.serving(opened, authority.issue("guarded"), authority.cert) as found:
        yield found


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    found = Place(tmp_path / "graph", "overlay")
    yield found
    found.close()


def pull(place: Place, address: str, table: Host, certs_dir: str = "") -> pulls.Pulled:
    registry = mirrors.MirroredClient(Hosts({address: table}, certs_dir=certs_dir))
    return pulls.pull(references.parse(f"{address}/x:v1"), registry, place.graph)


def refused(place: Place, address: str, table: Host, words: str) -> None:
    with pytest.raises(errors.Permanent, match=words) as caught:
        pull(place, address, table)
    assert caught.value.message.startswith(f"image {address}/x:v1: registry {address}: ")
    assert place.graph.blobs() == ()


def test_an_authority_of_ones_own(place: Place, server: images.Server, authority: registry_tls.Authority) -> None:
    assert pull(place, server.address, Host(ca=str(authority.cert))).facts.digest == images.busybox().digest
    assert len(place.graph.layers()) == 1


def test_an_authority_that_nobody_knows(place: Place, server: images.Server) -> None:
    words = "not accepted: unable to get local issuer certificate; if it is genuine, name its authority: ca in its"
    refused(place, server.address, Host(plain_http=False), words)


def test_another_authority(place: Place, server: images.Server, tmp_path: pathlib.Path) -> None:
    other = registry_tls.Authority(tmp_path, "other")
    refused(place, server.address, Host(ca=str(other.cert)), "not accepted: .* name its authority")


def test_a_certificate_that_has_expired(place: Place, opened: images.Server, authority: registry_tls.Authority) -> None:
    with registry_tls.serving(opened, authority.issue("old", days=-1)) as server:
        refused(place, server.address, Host(ca=str(authority.cert)), "not accepted: certificate has expired$")


def test_a_certificate_of_another_host(place: Place, opened: images.Server, authority: registry_tls.Authority) -> None:
    with registry_tls.serving(opened, authority.issue("other", "DNS:other.example")) as server:
        words = "certificate is not valid for '127.0.0.1'$"
        refused(place, server.address, Host(ca=str(authority.cert)), words)


def test_a_registry_that_has_no_tls(place: Place, opened: images.Server) -> None:
    refused(place, opened.address, Host(plain_http=False), "it does not speak TLS; .* plain_http = true")


def test_a_registry_that_wants_a_certificate(
    place: Place, guarded: images.Server, authority: registry_tls.Authority
) -> None:
    refused(place, guarded.address, Host(ca=str(authority.cert)), "it wants a certificate that proves us.* client_cert")
    us = authority.issue("us")
    table = Host(ca=str(authority.cert), client_cert=str(us.cert), client_key=str(us.key))
    assert pull(place, guarded.address, table).facts.digest == images.busybox().digest


def test_a_certificate_of_ours_that_the_registry_does_not_know(
    place: Place, guarded: images.Server, authority: registry_tls.Authority, tmp_path: pathlib.Path
) -> None:
    us = registry_tls.Authority(tmp_path, "other").issue("us")
    table = Host(ca=str(authority.cert), client_cert=str(us.cert), client_key=str(us.key))
    refused(place, guarded.address, table, "it wants a certificate that proves us, or another one")


def test_files_in_dockers_layout_and_their_renewal(
    place: Place, guarded: images.Server, authority: registry_tls.Authority, tmp_path: pathlib.Path
) -> None:
    directory = tmp_path / "certs.d" / guarded.address
    directory.mkdir(parents=True)
    shutil.copy(authority.cert, directory / "ca.crt")
    strange = registry_tls.Authority(tmp_path, "strange").issue("us")
    registry = mirrors.MirroredClient(Hosts(certs_dir=str(tmp_path / "certs.d")))
    reference = references.parse(f"{guarded.address}/x:v1")
    for pair in (strange, authority.issue("us")):
        for path, name in ((pair.cert, "client.cert"), (pair.key, "client.key")):
            shutil.copy(path, directory / f"{name}.new")
            os.rename(directory / f"{name}.new", directory / name)
        if pair is strange:
            with pytest.raises(errors.Permanent, match="or another one"):
                registry.resolve(reference)
    assert registry.resolve(reference).digest == images.busybox().digest


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("ca", "expected PEM certificates"),
        ("client_cert", "expected a PEM certificate and its key, unencrypted"),
        ("client_key", "they do not belong together"),
    ],
)
def test_files_that_cannot_be_used_are_found_at_the_start(
    authority: registry_tls.Authority, tmp_path: pathlib.Path, field: str, words: str
) -> None:
    us, other = authority.issue("us"), authority.issue("another")
    wrong = tmp_path / "wrong"
    wrong.write_bytes(other.key.read_bytes() if field == "client_key" else b"nothing of the kind")
    files = {"ca": str(authority.cert), "client_cert": str(us.cert), "client_key": str(us.key), field: str(wrong)}
    with pytest.raises(errors.Invalid, match=words) as caught:
        Hosts({"r.example": Host(**files)}).check_files()  # type: ignore[arg-type]
    assert caught.value.message.startswith('registry."r.example": ')
    assert str(wrong) in caught.value.message
    good = {**files, "ca": str(authority.cert), "client_cert": str(us.cert), "client_key": str(us.key)}
    Hosts({"r.example": Host(**good)}).check_files()  # type: ignore[arg-type]


def test_our_certificate_is_shown_to_the_registry_alone(
    place: Place, authority: registry_tls.Authority, tmp_path: pathlib.Path
) -> None:
    """Where it sends us is another host: its certificate counts as the registry's does, but it gets none of ours."""
    image, us = images.busybox(), authority.issue("us")
    shown: list[bool] = []
    contexts = [authority.issue(name).server_context() for name in ("registry", "storage")]
    for context in contexts:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(authority.cert)
    with registry_hostile.hostile(contexts[0]) as server, registry_hostile.hostile(contexts[1]) as storage:
        reference = server.serve_image(image, tag="v1")
        honest = dict(server.handlers)

        def away(request: Request) -> None:
            shown.append(bool(request.connection.getpeercert()))  # type: ignore[attr-defined]
            if "/blobs/" in request.path:
                request.reply(307, b"", Location=f"https://{storage.address}{request.path}")
            else:
                honest[request.path](request)

        def there(request: Request) -> None:
            shown.append(bool(request.connection.getpeercert()))  # type: ignore[attr-defined]
            honest[request.path](request)

        server.handlers, storage.handlers = {"*": away}, {"*": there}
        table = Host(ca=str(authority.cert), client_cert=str(us.cert), client_key=str(us.key))
        assert pull(place, reference.partition("/")[0], table).facts.digest == image.digest
    assert sorted(shown) == [False, False, True, True, True]

"""A daemon whose registries are configured: mirrors, an authority of one's own, a certificate that proves it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.testing import images, registry_tls
from reconciler.testing.daemon import BIN, Pydockd, container

MakeHost = Callable[..., Pydockd]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> registry_tls.Authority:
    return registry_tls.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded(registry: images.Server, image: str, authority: registry_tls.Authority) -> Iterator[images.Server]:
    """Has ``image`` as ``busybox:demo``, for whoever proves himself."""
    with registry_tls.serving(registry, authority.issue("guarded"), authority.cert) as found:
        yield found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "pydockd.toml"


def started(make_host: MakeHost, config: Path, *flags: str) -> Pydockd:
    host = make_host()
    return host.start(flags=("--config", str(config), *flags))


def test_images_of_docker_come_from_a_mirror(make_host: MakeHost, registry: images.Server, config: Path) -> None:
    images.push(registry.address, "library/mirrored", "1", images.busybox(page="mirrored\n"))
    config.write_text("")
    host = started(make_host, config, "--registry-mirror", f"http://{registry.address}")
    host.apply(container("one", "mirrored:1"))
    assert host.wait_ready_container("one")
    listed = host.api("GET", "/apis/pydock.dev/v1/graph/images")["items"]
    assert [item["reference"] for item in listed] == ["docker.io/library/mirrored:1"]


def test_mirrors_of_a_registry_that_is_not_there(make_host: MakeHost, image: str, config: Path) -> None:
    """The first mirror is not there either."""
    address = image.partition("/")[0]
    config.write_text(
        f'[registry."gone.invalid"]\nmirrors = ["http://127.0.0.1:{images.free_port()}", "http://{address}"]\n'
    )
    host = started(make_host, config)
    pulled = host.cli("pull", "gone.invalid/busybox:demo")
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert "gone.invalid/busybox:demo: sha256:" in pulled.stdout
    refused = host.cli("pull", "gone.invalid/absent:1")
    assert refused.returncode == 1
    assert "its name cannot be resolved" in refused.stderr
    assert f"mirror {address}: it does not have it" in refused.stderr, "what became of the mirrors is told too"


def test_a_registry_with_an_authority_of_its_own_that_wants_a_certificate(
    make_host: MakeHost, guarded: images.Server, authority: registry_tls.Authority, config: Path, tmp_path: Path
) -> None:
    """As docker has it: files in a directory are enough, and are found without a restart."""
    certs = tmp_path / "certs.d"
    config.write_text(f'certs_dir = "{certs}"\n[registry."{guarded.address}"]\nplain_http = false\n')
    host = started(make_host, config)
    here = certs / guarded.address
    here.mkdir(parents=True)
    reference = f"{guarded.address}/busybox:demo"

    def refused(words: str) -> None:
        done = host.cli("pull", reference)
        assert done.returncode == 1
        assert words in done.stderr

    refused("its TLS certificate is not accepted: unable to get local issuer certificate; if it is genuine, name its")
    (here / "ca.crt").write_bytes(authority.cert.read_bytes())
    refused("it wants a certificate that proves us, or another one: give client_cert and client_key")
    pair = authority.issue("host")
    (here / "client.cert").write_bytes(pair.cert.read_bytes())
    refused("client.cert: client.key is missing beside it")
    (here / "client.key").write_bytes(pair.key.read_bytes())
    host.apply(container("proved", reference))
    assert host.wait_ready_container("proved")
    assert host.cli("push", reference).returncode == 0, "a push proves itself too"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('registry_mirrors = ["mirror.example"]', "registry_mirrors 'mirror.example': expected https://HOST[:PORT]"),
        ('[registry."r.example"]\nmirror = []', 'registry."r.example": Object contains unknown field `mirror`'),
        ('[registry."r.example"]\nclient_cert = "/x"', 'registry."r.example": client_cert and client_key are given'),
        ('[registry."r.example"]\nca = "/absent"', 'registry."r.example": /absent: No such file or directory'),
    ],
)
def test_a_wrong_configuration_is_told_with_file_and_key(config: Path, text: str, words: str, tmp_path: Path) -> None:
    config.write_text(text)
    done = subprocess.run(
        [BIN / "pydockd", "--config", config, "--root", tmp_path / "root"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert f"configuration {config}: {words}" in done.stderr
    assert not (tmp_path / "root").exists()

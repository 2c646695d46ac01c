"""``pydock push`` to a real registry; skopeo, podman and docker take from there what it pushed, and it is the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.model.credentials import Credentials
from reconciler.testing import graph_tars, images, registry_logins
from reconciler.testing.daemon import Pydockd
from reconciler.testing.docker import Docker

LOGIN = Credentials("tester", "canary-9d27:pass")


@pytest.fixture
def target() -> Iterator[images.Server]:
    """A registry that has nothing."""
    with images.registry() as found:
        yield found


def run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def inspected(reference: str) -> str:
    """The digest that skopeo finds."""
    found = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"))
    return str(found["Digest"])


@pytest.mark.parametrize(
    ("packing", "docker"), [("gzip", False), ("zstd", False), ("plain", False), ("gzip", True), ("plain", True)]
)
def test_the_same_image_is_pulled_from_where_it_was_pushed(
    host: Pydockd,
    registry: images.Server,
    target: images.Server,
    tmp_path: Path,
    docker: bool,
    packing: images.Packing,
) -> None:
    name = f"push-{packing}-{'docker' if docker else 'oci'}"
    made = images.busybox(f"page of {name}\n", docker=docker, packing=packing)
    here = images.push(registry.address, name, "1", made)
    there = f"{target.address}/some/{name}:2"
    assert host.cli("pull", here).returncode == 0
    assert host.cli("image", "tag", here, there).returncode == 0
    done = host.cli("push", there)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"Pushed: {there}\n{there}: {made.digest}\n")
    assert ": uploaded (" in done.stdout
    assert inspected(there) == made.digest
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{there}", f"dir:{tmp_path}/out")
    assert (tmp_path / "out" / "manifest.json").read_bytes() == made.manifest
    for digest, data in made.blobs.items():
        assert (tmp_path / "out" / digest.removeprefix("sha256:")).read_bytes() == data
    again = host.cli("push", there).stdout
    assert ": uploaded" not in again
    assert again.count(": exists") == 2


def test_podman_pulls_and_runs_what_was_pushed(
    host: Pydockd, image: str, target: images.Server, podman: Callable[..., str]
) -> None:
    there = f"{target.address}/busybox:1"
    assert host.cli("pull", image).returncode == 0
    host.cli("image", "tag", image, there)
    assert host.cli("push", there).returncode == 0
    podman("pull", "-q", "--tls-verify=false", there)
    (found,) = json.loads(podman("image", "inspect", there))
    assert found["Digest"] == inspected(there)
    assert podman("run", "--rm", "--network=none", there, "cat", "/www/index.html") == "hello from pydock\n"


@pytest.mark.parametrize(
    ("packing", "form"), [("gzip", "oci"), ("plain", "oci"), ("gzip", "docker"), ("plain", "docker")]
)
def test_docker_pulls_and_runs_what_was_pushed(
    host: Pydockd,
    registry: images.Server,
    target: images.Server,
    docker: Docker,
    packing: images.Packing,
    form: str,
) -> None:
    """All but zstd's, which this docker cannot read."""
    name = f"for-docker-{packing}-{form}"
    made = images.busybox(f"page of {name}\n", docker=form == "docker", packing=packing)
    here = images.push(registry.address, name, "1", made)
    there = f"{target.address}/some/{name}:2"
    assert host.cli("pull", here).returncode == 0
    host.cli("image", "tag", here, there)
    assert host.cli("push", there).returncode == 0
    docker.ask("pull", "-q", there)
    (found,) = json.loads(docker.ask("image", "inspect", there))
    assert (found["Id"], found["RepoDigests"]) == (made.image_id, [f"{target.address}/some/{name}@{made.digest}"])
    assert docker.ask("run", "--rm", "--network=none", there, "cat", "/www/index.html") == f"page of {name}"


def test_layers_of_the_same_registry_are_mounted(host: Pydockd, registry: images.Server) -> None:
    made = images.build([graph_tars.archive([graph_tars.Member(b"f", b"mounted" * 999)])])
    here = images.push(registry.address, "mount/from", "1", made)
    there = f"{registry.address}/mount/to:1"
    assert host.cli("pull", here).returncode == 0
    host.cli("image", "tag", here, there)
    done = host.cli("push", there)
    assert (done.returncode, done.stdout.count(": mounted"), ": uploaded" in done.stdout) == (0, 2, False)
    assert inspected(there) == made.digest


def test_a_layer_that_had_come_in_another_packing_is_had_anew(
    host: Pydockd, registry: images.Server, target: images.Server
) -> None:
    """The second image's blob was never fetched, since its layer was unpacked already."""
    for packing in ("gzip", "zstd"):
        made = images.busybox("packed twice\n", packing=packing)
        here = images.push(registry.address, "twice", packing, made)
        assert host.cli("pull", here).returncode == 0
    there = f"{target.address}/twice:1"
    host.cli("image", "tag", here, there)
    done = host.cli("push", there)
    assert (done.returncode, ": fetching" in done.stdout) == (0, True)
    assert inspected(there) == made.digest


def test_what_is_not_here_or_names_a_digest_is_not_pushed(host: Pydockd, registry: images.Server) -> None:
    done = host.cli("push", f"{registry.address}/absent:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"pydock: image {registry.address}/absent:1 is not here: see 'pydock image ls', 'pydock image tag'\n"
    )
    assert "a digest cannot be given" in host.cli("push", f"{registry.address}/a@sha256:{'0' * 64}").stderr


def test_a_push_with_the_login_of_docker_which_is_nowhere_afterwards(
    host: Pydockd, image: str, target: images.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with registry_logins.with_password(target, LOGIN) as guarded:
        there = f"{guarded.address}/private:1"
        host.cli("pull", image)
        host.cli("image", "tag", image, there)
        refused = host.cli("push", there)
        assert refused.returncode == 1
        assert refused.stderr.endswith(f"it needs a login: pydock login {guarded.address}\n")
        (tmp_path / "config.json").write_text(json.dumps({"auths": {guarded.address: {"auth": LOGIN.basic()}}}))
        assert host.cli("push", there).returncode == 0
    assert inspected(f"{target.address}/private:1")
    jobs = host.api("GET", "/apis/pydock.dev/v1/jobs?limit=100")["items"]
    assert {"done", "failed"} <= {job["status"] for job in jobs if job["name"] == "push_image"}
    secrets = (LOGIN.password, LOGIN.basic())
    assert not any(secret in text for secret in secrets for text in (json.dumps(jobs), host.log.read_text()))
    files = [file for place in (host.root, host.run) for file in place.rglob("*") if file.is_file()]
    assert not [file for file in files if any(secret.encode() in file.read_bytes() for secret in secrets)]

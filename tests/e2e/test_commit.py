"""``pydock commit``: an image of what a container changed, the same for us, skopeo, podman, umoci and docker."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.testing import graph_trees, images, wait
from reconciler.testing.daemon import Pydockd, condition, container
from reconciler.testing.docker import Docker

#: what a run places in its rootfs, and the directory that it does so in
PLACED = {"etc", "etc/hosts", "etc/hostname", "etc/resolv.conf"}
SLEEP = "trap 'exit 0' TERM; echo done; while :; do sleep 3600 & wait $!; done"
CHANGES = f"""\
rm -rf /old; rm /www/index.html; echo new > /www/new; chmod 4711 /www/new; chown 12:34 /www/new; ln /www/new /linked
mkdir -p /deep/er; ln -s er/none /deep/link; mkfifo /deep/pipe; touch -d '2001-02-03 04:05:06' /deep/er /www
{SLEEP}"""


@pytest.fixture(autouse=True)
def nothing_before(host: Pydockd) -> Iterator[None]:
    yield
    host.remove_all()
    host.cli("image", "prune", "--all", "--yes")
    host.cli("system", "prune", "--all", "--yes")


def good(host: Pydockd, *words: str) -> str:
    done = host.cli(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(*words: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def started(host: Pydockd, name: str, image: str, script: str = CHANGES, **spec: Any) -> None:
    """A container whose process has done what ``script`` says."""
    host.apply(container(name, image, command=["/bin/sh", "-c", script], **spec))
    host.wait_ready_container(name)
    wait.until(lambda: "done" in host.cli("logs", name).stdout, 10, "it to have changed its files")


def rootfs(host: Pydockd, name: str) -> str:
    """The path of a container's root file system on the host."""
    with open(f"/proc/{host.status(name)['pid']}/mountinfo") as file:
        upper = next(line for line in file if line.split()[4] == "/").rpartition("upperdir=")[2].partition("/upper")[0]
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if upper in line]
    return points[0]


def tree(root: str | Path) -> dict[str, graph_trees.Node]:
    return {path: node for path, node in graph_trees.describe(str(root)).items() if path not in PLACED}


def configuration(host: Pydockd, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(good(host, "image", "inspect", reference))
    return found


def damaged(host: Pydockd) -> int:
    """How many blobs and layers are not what they should be."""
    return int(json.loads(host.cli("system", "check", "-o", "json").stdout)["summary"]["damaged"])


def test_a_container_of_the_image_has_the_same_files(host: Pydockd, image: str) -> None:
    started(host, "first", image)
    made = good(host, "commit", "first", "made/of-it:1", "-m", "by hand", "-a", "me")
    assert made.startswith("docker.io/made/of-it:1: sha256:")
    started(host, "second", "made/of-it:1", SLEEP)
    assert graph_trees.differences(tree(rootfs(host, "first")), tree(rootfs(host, "second"))) == []
    assert not (Path(rootfs(host, "second")) / "old").exists()
    assert "by hand" in good(host, "image", "history", "made/of-it:1").splitlines()[1]
    assert damaged(host) == 0
    for page in (host.root / "graph/layers").glob("*/www/new"):
        page.write_text("other")
    assert damaged(host) == 1, "the layer that was made is among those that are checked"


def test_what_was_left_unchanged_is_not_in_the_layer(host: Pydockd, image: str) -> None:
    started(host, "first", image, f"echo x > /x; {SLEEP}")
    good(host, "commit", "first", "made:1")
    base, layers = (configuration(host, name)["layers"] for name in (image, "made:1"))
    assert [each["digest"] for each in layers[:-1]] == [each["digest"] for each in base]
    assert layers[-1]["size"] < 1000
    good(host, "commit", "first", "made:2")
    assert configuration(host, "made:2")["layers"][-1] == layers[-1], "the same changes are the same layer"


def test_the_image_runs_as_the_container_did(host: Pydockd, image: str) -> None:
    spec = {"workingDir": "/www", "user": "12:34", "env": [{"name": "PASSWORD", "value": "canary"}]}
    started(host, "first", image, SLEEP, **spec)
    good(host, "commit", "first", "made:1")
    config = configuration(host, "made:1")["config"]
    assert (config["entrypoint"], config["cmd"]) == (["/bin/sh", "-c", SLEEP], [])
    assert (config["workingDir"], config["user"]) == ("/www", "12:34")
    assert "canary" not in good(host, "image", "inspect", "made:1")
    changes = ('CMD ["-x"]', 'ENTRYPOINT ["/bin/cat"]', "ENV A=1 B=2", "WORKDIR /bin", "LABEL who=me", "USER 1")
    good(host, "commit", "first", "made:2", *(word for each in changes for word in ("-c", each)))
    config = configuration(host, "made:2")["config"]
    assert (config["entrypoint"], config["cmd"]) == (["/bin/cat"], ["-x"])
    assert (config["workingDir"], config["user"]) == ("/bin", "1")
    assert {"A=1", "B=2"} <= set(config["env"])
    assert config["labels"]["who"] == "me"


def test_a_commit_of_a_commit(host: Pydockd, image: str) -> None:
    started(host, "first", image)
    good(host, "commit", "first", "made:1")
    started(host, "second", "made:1", f"rm -r /deep /linked; mkdir /www/index.html; echo 2 > /two; {SLEEP}")
    good(host, "commit", "second", "made:2")
    started(host, "third", "made:2", SLEEP)
    assert graph_trees.differences(tree(rootfs(host, "second")), tree(rootfs(host, "third"))) == []
    layers = [len(configuration(host, name)["layers"]) for name in (image, "made:1", "made:2")]
    assert layers == [layers[0], layers[0] + 1, layers[0] + 2]


def test_a_stopped_container(host: Pydockd, image: str) -> None:
    started(host, "first", image)
    before = tree(rootfs(host, "first"))
    good(host, "stop", "first", "--wait")
    good(host, "commit", "first", "made:1")
    started(host, "second", "made:1", SLEEP)
    assert graph_trees.differences(before, tree(rootfs(host, "second"))) == []


def test_an_image_without_a_name(host: Pydockd, image: str) -> None:
    started(host, "first", image)
    digest = good(host, "commit", "first").strip()
    assert configuration(host, digest)["references"] == []
    good(host, "image", "tag", digest, "named:later")
    assert configuration(host, "named:later")["digest"] == digest
    other = good(host, "commit", "first", "-m", "another").strip()
    assert other in good(host, "image", "prune", "--yes")
    assert host.cli("image", "inspect", other).returncode == 1
    assert configuration(host, digest)["references"] == ["docker.io/library/named:later"]


def test_one_that_waits_for_the_image_gets_it(host: Pydockd, image: str) -> None:
    waiting = container("waiting", "127.0.0.1:1/made/waited-for:1", imagePullPolicy="IfNotPresent")
    host.apply(waiting)
    started(host, "first", image)
    good(host, "commit", "first", "127.0.0.1:1/made/waited-for:1")
    host.wait_ready_container("waiting")


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_others_take_what_we_push(
    host: Pydockd, registry: images.Server, tmp_path: Path, podman: Callable[..., str], docker: bool
) -> None:
    """Also when the image below has docker's media types."""
    kind = "docker" if docker else "oci"
    base = images.push(registry.address, f"base-{kind}", "1", images.busybox(docker=docker))
    started(host, "first", base)
    there = f"{registry.address}/made/round-trip:{kind}"
    good(host, "commit", "first", there, "-c", "CMD cat /www/new")
    good(host, "push", there)
    run("skopeo", "copy", "--src-tls-verify=false", f"docker://{there}", f"oci:{tmp_path}/layout:1")
    run("umoci", "unpack", "--image", f"{tmp_path}/layout:1", tmp_path / "bundle")
    assert graph_trees.differences(tree(rootfs(host, "first")), tree(tmp_path / "bundle/rootfs")) == []
    podman("pull", "-q", "--tls-verify=false", there)
    assert podman("run", "--rm", "--network=none", "--entrypoint=", there, "cat", "/linked") == "new\n"
    podman("rmi", "-f", there)
    before = configuration(host, there)["digest"]
    host.remove_all()
    good(host, "image", "rm", there)
    good(host, "pull", there)
    assert configuration(host, there)["digest"] == before


def test_docker_takes_what_we_push(host: Pydockd, image: str, registry: images.Server, docker: Docker) -> None:
    started(host, "first", image)
    there = f"{registry.address}/made/for-docker:1"
    good(host, "commit", "first", there)
    good(host, "push", there)
    docker.ask("pull", "-q", there)
    said = docker.ask("run", "--rm", "--network=none", "--entrypoint=/bin/cat", there, "/linked")
    assert said == "new"
    docker.ask("rmi", "-f", there)


def test_what_cannot_be_committed(host: Pydockd, image: str) -> None:
    done = host.cli("commit", "absent", "made:1")
    assert (done.returncode, "container/default/absent not found" in done.stderr) == (1, True)
    host.apply(container("pending", "127.0.0.1:1/absent:1"))
    done = host.cli("commit", "pending", "made:1")
    assert (done.returncode, "has not been created yet" in done.stderr) == (1, True)
    started(host, "first", image, f"echo > /.wh.x; {SLEEP}")
    done = host.cli("commit", "first", "made:1")
    assert (done.returncode, "names that begin with .wh." in done.stderr) == (1, True)
    done = host.cli("commit", "first", f"made@sha256:{'0' * 64}")
    assert (done.returncode, "a digest cannot be given" in done.stderr) == (1, True)
    done = host.cli("commit", "first", "made:1", "-c", "RUN rm")
    assert (done.returncode, "expected one of CMD" in done.stderr) == (2, True)
    wait.until(lambda: not list((host.root / "graph/tmp").iterdir()), 10, "what had begun to be gone")
    assert condition(host.status("first"), "Ready") == "True"


def test_a_policy_is_asked_for_the_name(make_host: Callable[..., Pydockd], image: str, tmp_path: Path) -> None:
    policy, config = tmp_path / "policy.yaml", tmp_path / "pydockd.toml"
    policy.write_text("default: accept\nrules: [{scope: registry.example/team, verdict: reject}]\n")
    config.write_text(f'trust_policy = "{policy}"\n')
    host = make_host().start(flags=["--config", str(config)])
    started(host, "first", image)
    done = host.cli("commit", "first", "registry.example/team/web:1")
    assert (done.returncode, "its rule for registry.example/team" in done.stderr) == (1, True)
    good(host, "commit", "first", "registry.example/other/web:1")

"""Hostile input to a running daemon: a clear refusal on every way in, and nobody notices."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.testing import images, wait
from reconciler.testing.daemon import Connection, Pydockd, container

WORD = "b1ue-canary"
CONTAINERS = "/apis/pydock.dev/v1/namespaces/default/containers"
APPLY = f"{CONTAINERS}/bomb?fieldManager=x"


def _alias_bomb() -> bytes:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefg", "bcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]")
    return "\n".join(lines).encode()


def _named(name: str, **spec: Any) -> bytes:
    return json.dumps(container(name, "busybox", **spec)).encode()


#: what is sent, and what is said of it. All but the last five are the same in a file and in a request.
TEXTS: dict[str, tuple[bytes, str]] = {
    "alias-bomb.yaml": (_alias_bomb(), "more than 50000 values"),
    "self-alias.yaml": (b"a: &a [*a]", "stands inside of what it names"),
    "levels.yaml": (b"[" * 200_000, "nested too deep"),
    "levels.json": (b"[" * 200_000, "nested too deep"),
    "digits.yaml": (b"a: " + b"9" * 5000, "too long"),
    "digits.json": (b"9" * 5000, "at most 40 are allowed"),
    "nan.json": (b"[NaN]", "found 'NaN'"),
    "inf.yaml": (b"a: .inf", "infinity is no value here"),
    "twice.yaml": (b"a: 1\na: 2\n", "given twice"),
    "twice.json": (b'{"a": 1, "a": 2}', "given twice"),
    "merge.yaml": (b"a: &a {x: 1}\nb:\n  <<: *a\n", "merge keys"),
    "sixty.yaml": (b"a: 22:22\n", "base 60"),
    "octal.yaml": (b"a: 0777\n", "octal"),
    "latin.yaml": (b"a: \xe9t\xe9", "not UTF-8"),
    "latin.json": (b'{"a": "\xe9"}', "not UTF-8"),
    "nul.yaml": (b"a: \0", "NUL is not allowed"),
    "surrogate.json": (b'{"a": "\\ud800"}', "lone surrogate"),
    "big.yaml": (b"a: b\n" * 2_000_000, "1048576 bytes"),
    "dots.json": (_named("../../etc"), "metadata.name"),
    "newline.json": (_named("a\nb"), "metadata.name"),
    "long.json": (_named("a" * 256), "metadata.name"),
    "alike.json": (_named("w\u0435b"), "CYRILLIC SMALL LETTER IE"),
    "uid.json": (_named("bomb", user="4294967295"), "spec.user: id 4294967295 is too large"),
    "no.yaml": (_named("bomb").replace(b'"busybox"', b"no"), "boolean false"),
    "path.json": (_named("bomb", workingDir="/a/../../b"), "contains '..'"),
}  # fmt: skip


class Watched:
    """The daemon's processes: which they are, and how much memory they have had."""

    def __init__(self, host: Pydockd) -> None:
        assert host.process is not None
        self.root = host.process.pid
        self.pids = self._processes()
        self.before = self._memory()

    def _processes(self) -> list[int]:
        """The controller and its children, by pid; conmons have another parent."""
        found = [self.root]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return [pid for pid in found if b"conmon" not in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def _memory(self) -> int:
        """The highest resident size so far of all, in MB."""
        total = 0
        for pid in self.pids:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            total += int(status["VmHWM"].split()[0])
        return total >> 10

    def assert_unharmed(self) -> None:
        assert self._processes() == self.pids
        assert self._memory() - self.before < 50


@pytest.fixture(scope="module")
def witness(host: Pydockd, image: str) -> tuple[int, str]:
    """The pid of a container that must not notice, and its name."""
    host.apply(container("witness", image))
    return int(host.wait_ready_container("witness")["pid"]), "witness"


@pytest.fixture
def unharmed(host: Pydockd, witness: tuple[int, str]) -> Iterator[None]:
    watched = Watched(host)
    yield
    watched.assert_unharmed()
    status = host.status(witness[1])
    assert (status["pid"], status.get("restartCount", 0)) == (witness[0], 0)
    assert {each["metadata"]["name"] for each in host.api("GET", CONTAINERS)["items"]} == {witness[1]}


@pytest.mark.usefixtures("unharmed")
def test_in_the_directory_each_is_told_by_file(host: Pydockd) -> None:
    for name, (data, _) in TEXTS.items():
        (host.manifests / name).write_bytes(data)

    def told() -> dict[str, str]:
        (source,) = host.api("GET", "/apis/pydock.dev/v1/sources")["items"]
        return {each["path"]: "\n".join(each["problems"]) for each in source["files"] if each["state"] == "invalid"}

    wait.until(lambda: told().keys() == TEXTS.keys(), 10.0, "a problem of every file")
    for name, text in told().items():
        assert TEXTS[name][1] in text, name
        assert text.startswith(f"{name}:"), name
    for name in TEXTS:
        (host.manifests / name).unlink()


@pytest.mark.usefixtures("unharmed")
def test_over_the_api_each_is_the_clients_fault(host: Pydockd) -> None:
    for name, (data, said) in TEXTS.items():
        media_type = "application/apply-patch+yaml" if name.endswith(".yaml") else "application/apply-patch+json"
        status, text = send(host, "PATCH", APPLY, data, media_type)
        assert status in (400, 413, 422), (name, status, text[:200])
        if status != 413 and name not in ("dots.json", "newline.json", "long.json", "alike.json"):
            assert said in text, (name, text[:300])
        if name.endswith(".json"):
            status, text = send(host, "POST", CONTAINERS, data, "application/json")
            assert status in (400, 413, 422), (name, status, text[:200])
            assert said in text, (name, text[:300])


def send(host: Pydockd, method: str, url: str, data: bytes, media_type: str) -> tuple[int, str]:
    with contextlib.closing(Connection(host.socket)) as connection:
        with contextlib.suppress(BrokenPipeError):  # the answer comes before all was sent
            connection.request(method, url, data, {"Content-Type": media_type})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.usefixtures("unharmed")
def test_the_client_tells_them_all_at_once(host: Pydockd, tmp_path: Path) -> None:
    for name, (data, _) in TEXTS.items():
        (tmp_path / name).write_bytes(data)
    for words in (("validate", "-f"), ("apply", "-f")):
        done = host.cli(*words, str(tmp_path))
        assert done.returncode == 1
        for name, (_, said) in TEXTS.items():
            assert f"{name}:" in done.stderr + done.stdout, (words, name)
            assert said in done.stderr + done.stdout, (words, name)


def test_what_an_image_says_never_reaches_programs_of_the_host(host: Pydockd, registry: images.Server) -> None:
    """Its labels, variables and paths are for the container alone."""
    made = images.busybox(
        Env=[f"LD_PRELOAD=/{WORD}.so", f"PATH=/bin:/{WORD}", f"RUNC_DEBUG={WORD}"],
        Labels={"run.oci.hooks.stdin": WORD, "run.oci.handler": WORD, "io.podman.annotations.privileged": "TRUE"},
        WorkingDir=f"/{WORD}",
    )
    host.apply(container("spy", images.push(registry.address, "spy", "1", made)))
    pid = host.wait_ready_container("spy")["pid"]
    try:
        assert WORD.encode() in Path(f"/proc/{pid}/environ").read_bytes()
        conmon = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        for process in (conmon, *Watched(host).pids):
            for part in ("environ", "cmdline"):
                assert WORD.encode() not in Path(f"/proc/{process}/{part}").read_bytes(), (process, part)
        (config,) = [path for path in host.run.parent.rglob("config.json") if WORD in path.read_text()]
        document = json.loads(config.read_text())
        assert document.pop("annotations", {}) == {}
        assert document.pop("hooks", {}) == {}
        assert document["linux"]["sysctl"].keys() == {
            "net.ipv4.ip_unprivileged_port_start",
            "net.ipv4.ping_group_range",
        }
        assert document["process"]["capabilities"]["bounding"]
        assert document["process"]["noNewPrivileges"] is True
    finally:
        host.delete("Container", "spy")
        host.wait_gone("Container", "spy")

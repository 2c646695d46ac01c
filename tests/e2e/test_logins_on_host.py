"""``pydock login --on-host``: the daemon's own pulls have a login; real registries with passwords."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.credentials import Credentials
from reconciler.testing import images, registry_logins, terminal, wait
from reconciler.testing.daemon import BIN, Pydockd, container

LOGIN = Credentials("tester", "canary-93bc:pass")
WRONG = "canary-wrong"


@pytest.fixture(scope="module")
def guarded(registry: images.Server, image: str) -> Iterator[images.Server]:
    """Has ``image`` as ``busybox:demo``."""
    with registry_logins.with_password(registry, LOGIN) as found:
        yield found


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker's config.json, which is not there: the client has no login of its own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker" / "config.json"


@pytest.fixture(autouse=True)
def none_before(host: Pydockd) -> None:
    for item in listed(host):
        assert host.cli("logout", "--on-host", item["scope"]).returncode == 0
    host.cli("image", "prune", "--all", "--yes")


def login(host: Pydockd, scope: str, password: str = LOGIN.password) -> tuple[int, str]:
    done = host.cli("login", "--on-host", "-u", LOGIN.username, "--password-stdin", scope, input=f"{password}\n")
    assert done.stdout == ""
    return done.returncode, done.stderr


def why(host: Pydockd, name: str) -> str:
    """What the container's status says of its image."""
    return json.dumps(host.status(name))


def listed(host: Pydockd) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = host.api("GET", "/apis/pydock.dev/v1/logins")["items"]
    return found


def test_a_container_of_a_private_image_waits_for_the_login_and_then_runs(
    host: Pydockd, guarded: images.Server, config: Path
) -> None:
    reference = f"{guarded.address}/busybox:demo"
    host.apply(container("private", reference))
    advice = f"it needs a login: pydock login {guarded.address} --on-host"
    wait.until(lambda: advice in why(host, "private"), 20, "the status to say what is missing")
    assert login(host, guarded.address) == (0, f"Login succeeded; the server keeps it for {guarded.address}\n")
    host.wait_ready_container("private")
    assert not config.exists(), "nothing is kept on the client's side"
    assert host.cli("pull", reference).returncode == 0, "a pull that brings no login has the host's"


def test_it_is_kept_over_a_restart_until_it_is_removed(host: Pydockd, guarded: images.Server) -> None:
    assert login(host, guarded.address)[0] == 0
    host.stop()
    host.start()
    host.apply(container("later", f"{guarded.address}/busybox:demo"))
    host.wait_ready_container("later")
    shown = host.cli("login", "--on-host", "--list").stdout.splitlines()
    assert shown[0].split() == ["REGISTRY", "USERNAME", "AGE", "PROBLEM"]
    assert shown[1].split()[:2] == [guarded.address, LOGIN.username]
    removed = host.cli("logout", "--on-host", guarded.address)
    assert (removed.returncode, removed.stderr) == (0, f"Removed the login for {guarded.address}\n")
    assert host.cli("login", "--on-host", "--list").stderr == "The server keeps no logins.\n"
    again = host.cli("logout", "--on-host", guarded.address)
    assert (again.returncode, again.stderr) == (0, f"There is no login for {guarded.address}\n")
    assert host.cli("pull", f"{guarded.address}/busybox:demo").returncode == 1
    assert not [file.name for file in host.root.iterdir() if "login" in file.name]


def test_a_login_for_one_repository_is_no_login_for_others(
    host: Pydockd, guarded: images.Server, registry: images.Server
) -> None:
    images.push(registry.address, "elsewhere", "1", images.busybox(page="elsewhere\n"))
    assert login(host, f"{guarded.address}/busybox")[0] == 0
    assert host.cli("pull", f"{guarded.address}/busybox:demo").returncode == 0
    refused = host.cli("pull", f"{guarded.address}/elsewhere:1")
    assert refused.returncode == 1
    assert "it needs a login" in refused.stderr


def test_a_wrong_password_is_not_kept(host: Pydockd, guarded: images.Server) -> None:
    status, words = login(host, guarded.address, WRONG)
    assert status == 1
    assert words.startswith(f"pydock: registry {guarded.address}: access is denied (HTTP 401)")
    assert listed(host) == []
    assert login(host, guarded.address)[0] == 0
    assert login(host, guarded.address, WRONG)[0] == 1
    assert host.cli("pull", f"{guarded.address}/busybox:demo").returncode == 0, "the good one stays"


def test_it_asks_at_a_terminal(host: Pydockd, guarded: images.Server) -> None:
    done = terminal.talk(
        [str(BIN / "pydock"), "-H", f"unix://{host.socket}", "login", "--on-host", guarded.address],
        (("Username: ", LOGIN.username), ("Password: ", LOGIN.password)),
    )
    assert done.status == 0, done.text
    assert LOGIN.password not in done.text
    assert [(item["scope"], item["username"]) for item in listed(host)] == [(guarded.address, LOGIN.username)]


def test_a_login_whose_key_is_gone_is_shown_with_what_helps(host: Pydockd, guarded: images.Server, image: str) -> None:
    assert login(host, guarded.address)[0] == 0
    (host.root / "logins.key").unlink()
    (item,) = listed(host)
    assert (item["username"], item["scope"]) == ("", guarded.address)
    advice = f"pydock logout --on-host {guarded.address}, then log in again"
    assert item["problem"].endswith(advice)
    refused = host.cli("pull", f"{guarded.address}/busybox:demo")
    assert refused.returncode == 1
    assert advice in refused.stderr
    assert host.cli("pull", image).returncode == 0, "other registries are none the worse"
    assert host.cli("logout", "--on-host", guarded.address).returncode == 0
    assert login(host, guarded.address)[0] == 0
    assert host.cli("pull", f"{guarded.address}/busybox:demo").returncode == 0


def test_the_password_is_nowhere_to_be_read(host: Pydockd, guarded: images.Server) -> None:
    """Not in the log with ``--debug``, events, jobs, the API's answers, the database with its log, any other file, or
    a command line."""
    host.apply(container("private", f"{guarded.address}/busybox:demo"))
    assert login(host, guarded.address)[0] == 0
    assert login(host, guarded.address, WRONG)[0] == 1
    host.wait_ready_container("private")
    base = "/apis/pydock.dev/v1"
    asked = ("jobs?limit=100", "events", "logins", "containers", "graph/images", "images", "networks", "sources")
    answers = {place: json.dumps(host.api("GET", f"{base}/{place}")) for place in asked}
    assert "login_keep" in answers["jobs?limit=100"]
    texts = [*answers.values(), host.log.read_text(), host.cli("login", "--on-host", "--list").stdout]
    secrets = (LOGIN.password, LOGIN.basic(), WRONG, Credentials(LOGIN.username, WRONG).basic())
    assert not [secret for text in texts for secret in secrets if secret in text]
    places = [host.root, *(place for place in host.run.iterdir() if place.name != "netns")]
    files = [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
    assert {host.root / name for name in ("state.db", "logins.json", "logins.key")} <= set(files)
    assert not [file for file in files if any(secret.encode() in file.read_bytes() for secret in secrets)]
    lines = b"".join(file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists())
    assert not [secret for secret in secrets if secret.encode() in lines]


def test_usage(host: Pydockd) -> None:
    for words, expected in (
        (("login", "--on-host"), "--on-host needs a name"),
        (("login", "--list"), "--list goes with --on-host"),
        (("logout", "--on-host"), "--on-host needs a name"),
        (("login", "--on-host", "-u", "a", "-p", "b", "team/app"), "names no registry"),
    ):
        done = host.cli(*words)
        assert (done.returncode, done.stdout) == (2 if "needs" in expected or "goes" in expected else 1, "")
        assert expected in done.stderr

"""``pydock pull`` with a login as docker keeps it, on a running daemon and a real registry with passwords."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.credentials import Credentials
from reconciler.testing import images, registry_logins
from reconciler.testing.daemon import BIN, Pydockd

LOGIN = Credentials("tester", "canary-7c1e:pass")


@pytest.fixture(scope="module")
def guarded(registry: images.Server, image: str) -> Iterator[images.Server]:
    """Has ``image`` as ``busybox:demo``."""
    with registry_logins.with_password(registry, LOGIN) as found:
        yield found


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker's config.json, not there yet."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker" / "config.json"


def write(config: Path, document: object) -> None:
    config.parent.mkdir(exist_ok=True)
    config.write_text(json.dumps(document))


def test_a_pull_with_the_login_of_docker(host: Pydockd, guarded: images.Server, config: Path) -> None:
    reference = f"{guarded.address}/busybox:demo"
    refused = host.cli("pull", reference)
    assert refused.returncode == 1
    assert refused.stderr.endswith(f"it needs a login: pydock login {guarded.address}\n")
    write(config, {"auths": {f"http://{guarded.address}/v1/": {"auth": LOGIN.basic()}}})
    pulled = host.cli("pull", reference)
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert f"{reference}: sha256:" in pulled.stdout


def test_a_pull_with_a_credential_helper(
    host: Pydockd, guarded: images.Server, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = registry_logins.credential_helper(tmp_path, monkeypatch, "tests")
    for document in ({"credsStore": "tests"}, {"credsStore": "absent", "credHelpers": {guarded.address: "tests"}}):
        write(config, document)
        (kept / guarded.address).unlink(missing_ok=True)
        assert host.cli("pull", f"{guarded.address}/busybox:demo").returncode == 1
        answer = {"ServerURL": guarded.address, "Username": LOGIN.username, "Secret": LOGIN.password}
        (kept / guarded.address).write_text(json.dumps(answer))
        assert host.cli("pull", f"{guarded.address}/busybox:demo").returncode == 0


def test_a_login_that_came_with_a_pull_is_nowhere_afterwards(
    host: Pydockd, guarded: images.Server, config: Path
) -> None:
    """Good or wrong: not in the log with ``--debug``, the journal, the database with its log, or any other file."""
    assert host.process is not None
    wrong = Credentials(LOGIN.username, f"{LOGIN.password}-wrong")
    for login, status in ((LOGIN, 0), (wrong, 1)):
        write(config, {"auths": {guarded.address: {"auth": login.basic()}}})
        ran = host.cli("pull", f"{guarded.address}/busybox:demo")
        assert ran.returncode == status
        assert LOGIN.password not in ran.stdout + ran.stderr
    jobs = host.api("GET", "/apis/pydock.dev/v1/jobs?limit=100")["items"]
    assert {"done", "failed"} <= {job["status"] for job in jobs if job["name"] == "pull_image"}
    texts = [json.dumps(jobs), host.log.read_text()]
    assert "pull_image" in texts[1]
    secrets = (LOGIN.password, LOGIN.basic(), wrong.basic())
    assert not any(secret in text for text in texts for secret in secrets)
    files = [file for place in (host.root, host.run) for file in place.rglob("*") if file.is_file()]
    assert host.root / "state.db" in files
    assert not [file for file in files if any(secret.encode() in file.read_bytes() for secret in secrets)]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"auth": "%%%"}, "auth is not the base64"),
        ({"auth": "Y2FuYXJ5"}, "expected a username without colon, and a password"),
        ({"auth": 7}, "auth is not the base64"),
        ({"identitytoken": "canary"}, "not supported"),
        ("canary", "expected an object"),
    ],
)
def test_a_login_that_cannot_be_used_is_named_not_shown(config: Path, entry: object, words: str) -> None:
    write(config, {"auths": {"r.example": entry}})
    ran = subprocess.run([BIN / "pydock", "-H", "/nowhere", "pull", "r.example/x"], capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"pydock: {config}: the login for r.example: ")
    assert words in ran.stderr
    assert "canary" not in ran.stderr
    assert "Y2FuYXJ5" not in ran.stderr

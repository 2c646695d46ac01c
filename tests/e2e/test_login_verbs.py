"""``pydock login`` and ``logout``, and the pull that asks: real terminals, and a real registry with passwords."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.credentials import Credentials
from reconciler.testing import images, registry_logins, terminal
from reconciler.testing.daemon import BIN, Pydockd

LOGIN = Credentials("tester", "canary-41fd:pass")
WRONG = "canary-wrong"


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


def at_terminal(host: Pydockd, words: list[str], *answers: tuple[str, str]) -> terminal.Talk:
    return terminal.talk([str(BIN / "pydock"), "-H", f"unix://{host.socket}", *words], answers)


def piped(host: Pydockd, server: images.Server, password: str) -> subprocess.CompletedProcess[str]:
    return host.cli("login", "-u", LOGIN.username, "--password-stdin", server.address, input=f"{password}\n")


def test_a_password_from_standard_input(host: Pydockd, guarded: images.Server, config: Path) -> None:
    done = piped(host, guarded, LOGIN.password)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"pydock: warning: the login is stored unencrypted in {config}: a credential helper, named there as "
        "credsStore, would keep it safer\nLogin succeeded\n"
    )
    assert json.loads(config.read_text()) == {"auths": {guarded.address: {"auth": LOGIN.basic()}}}
    assert (config.stat().st_mode & 0o777, config.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [file.name for file in config.parent.iterdir()] == [config.name], "nothing is left aside"
    assert host.cli("pull", f"{guarded.address}/busybox:demo").returncode == 0


def test_a_wrong_password_is_not_kept(host: Pydockd, guarded: images.Server, config: Path) -> None:
    done = piped(host, guarded, WRONG)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"pydock: registry {guarded.address}: access is denied (HTTP 401)")
    assert WRONG not in done.stderr
    assert not config.exists()
    piped(host, guarded, LOGIN.password)
    before = config.read_bytes()
    assert piped(host, guarded, WRONG).returncode == 1
    assert config.read_bytes() == before


def test_login_asks_at_a_terminal(host: Pydockd, guarded: images.Server, config: Path) -> None:
    answers = ("Username: ", LOGIN.username), ("Password: ", LOGIN.password)
    done = at_terminal(host, ["login", guarded.address], *answers)
    assert done.status == 0, done.text
    assert done.text.endswith("Login succeeded\n")
    assert LOGIN.password not in done.text
    again = host.cli("login", guarded.address)
    assert (again.returncode, again.stderr) == (0, "Login succeeded with the one that is kept, of tester\n")


def test_login_asks_again_for_one_that_is_wrong_by_now(host: Pydockd, guarded: images.Server, config: Path) -> None:
    config.parent.mkdir()
    old = {"auths": {guarded.address: {"auth": Credentials("tester", WRONG).basic()}}}
    config.write_text(json.dumps(old))
    refused = host.cli("login", guarded.address)
    assert refused.returncode == 1
    assert "the login is wrong" in refused.stderr
    done = at_terminal(host, ["login", guarded.address], ("Username [tester]: ", ""), ("Password: ", LOGIN.password))
    assert done.status == 0, done.text
    assert json.loads(config.read_text())["auths"][guarded.address]["auth"] == LOGIN.basic()


def test_a_pull_at_a_terminal_asks_and_goes_on(host: Pydockd, guarded: images.Server, config: Path) -> None:
    reference = f"{guarded.address}/busybox:demo"
    answers = ("Username: ", LOGIN.username), ("Password: ", LOGIN.password)
    done = at_terminal(host, ["pull", reference], *answers)
    assert done.status == 0, done.text
    assert f"{reference}: sha256:" in done.text
    assert LOGIN.password not in done.text
    assert host.cli("pull", reference).returncode == 0, "it was kept"


def test_a_pull_at_a_terminal_with_a_wrong_answer(host: Pydockd, guarded: images.Server, config: Path) -> None:
    answers = ("Username: ", LOGIN.username), ("Password: ", WRONG)
    done = at_terminal(host, ["pull", f"{guarded.address}/busybox:demo"], *answers)
    assert done.status == 1
    assert f"the login is wrong, or has no right to this: pydock login {guarded.address}" in done.text
    assert not config.exists()


def test_a_pull_without_a_terminal_says_what_to_do(host: Pydockd, guarded: images.Server, config: Path) -> None:
    done = host.cli("pull", f"{guarded.address}/busybox:demo", input="tester\npass\n")
    assert done.returncode == 1
    assert done.stderr.endswith(f"it needs a login: pydock login {guarded.address}\n")


def test_an_image_that_is_not_there_asks_for_nothing(host: Pydockd, registry: images.Server, config: Path) -> None:
    done = at_terminal(host, ["pull", f"{registry.address}/absent:1"])
    assert done.status == 1
    assert "it does not have it" in done.text


def test_a_helper_keeps_and_forgets(
    host: Pydockd, guarded: images.Server, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = registry_logins.credential_helper(tmp_path, monkeypatch, "tests")
    config.parent.mkdir()
    for document in ({"credsStore": "tests"}, {"credsStore": "absent", "credHelpers": {guarded.address: "tests"}}):
        config.write_text(json.dumps(document))
        done = piped(host, guarded, LOGIN.password)
        assert (done.returncode, done.stderr) == (0, "Login succeeded\n")
        answer = {"ServerURL": guarded.address, "Username": LOGIN.username, "Secret": LOGIN.password}
        assert json.loads((kept / guarded.address).read_text()) == answer
        assert json.loads(config.read_text()) == document | {"auths": {guarded.address: {}}}
        assert host.cli("pull", f"{guarded.address}/busybox:demo").returncode == 0
        assert host.cli("logout", guarded.address).stderr == f"Removed the login for {guarded.address}\n"
        assert list(kept.iterdir()) == []
        assert json.loads(config.read_text()) == document | {"auths": {}}


def test_a_password_on_the_command_line_is_warned_of(host: Pydockd, guarded: images.Server, config: Path) -> None:
    done = host.cli("login", "-u", LOGIN.username, "-p", LOGIN.password, guarded.address)
    assert done.returncode == 0
    assert done.stderr.startswith("pydock: warning: a password on the command line can be seen by others")

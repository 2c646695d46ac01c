"""login and logout: what they keep in docker's config.json, and what they leave alone."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.cli import docker_config, logins
from reconciler.model.credentials import Credentials
from reconciler.testing.api_server import BASE, Answer, Server, status
from reconciler.testing.cli import Run

LOGIN = Credentials("me", "pass:word")
HUB = "https://index.docker.io/v1/"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def test_other_keys_stay_and_aliases_go(config: Path) -> None:
    document = {
        "HttpHeaders": {"X": "é"}, "auths": {"other.example": {"auth": "b3RoZXI6cA=="}, "https://r.example/v1/": {}},
        "currentContext": "default", "big": 2**70,
    }  # fmt: skip
    config.write_text(json.dumps(document))
    logins.keep("r.example", LOGIN)
    other = {"other.example": {"auth": "b3RoZXI6cA=="}}
    assert json.loads(config.read_text()) == document | {"auths": {**other, "r.example": {"auth": LOGIN.basic()}}}
    assert logins.find("r.example") == LOGIN
    assert logins.forget("r.example") is True
    assert json.loads(config.read_text()) == document | {"auths": other}
    assert logins.forget("r.example") is False


def test_the_name_of_docker_hub(config: Path) -> None:
    logins.keep("docker.io", LOGIN)
    assert json.loads(config.read_text()) == {"auths": {HUB: {"auth": base64.b64encode(b"me:pass:word").decode()}}}


def test_a_link_stays_one(config: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "docker.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o644)
    config.symlink_to("dotfiles/docker.json")
    logins.keep("r.example", LOGIN)
    assert config.is_symlink()
    assert "r.example" in json.loads(real.read_text())["auths"]
    assert real.stat().st_mode & 0o777 == 0o600


def test_the_file_of_another_user_stays_theirs(config: Path) -> None:
    config.write_text("{}")
    os.chown(config, 12345, 54321)
    logins.keep("r.example", LOGIN)
    assert (config.stat().st_uid, config.stat().st_gid, config.stat().st_mode & 0o777) == (12345, 54321, 0o600)


def test_a_file_that_cannot_be_written_stays_as_it_was(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('{"auths": {}}')

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(docker_config.os, "rename", fail)
    with pytest.raises(errors.Permanent, match=r"config\.json: no space left"):
        logins.keep("r.example", LOGIN)
    assert config.read_text() == '{"auths": {}}'
    assert [file.name for file in config.parent.iterdir()] == ["config.json"]


def test_a_broken_file_is_not_written_over(config: Path) -> None:
    config.write_text("{")
    for change in (lambda: logins.keep("r.example", LOGIN), lambda: logins.forget("r.example")):
        with pytest.raises(errors.Permanent, match="it is not JSON"):
            change()
    assert config.read_text() == "{"


def _keep(name: str) -> None:
    logins.keep(name, LOGIN)


def test_logins_at_the_same_time_are_all_kept(config: Path) -> None:
    names = [f"r{index}.example" for index in range(24)]
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.map(_keep, names)
    assert sorted(json.loads(config.read_text())["auths"]) == sorted(names)


def test_logout_of_nothing_makes_nothing(config: Path, server: Server, pydock: Run) -> None:
    assert pydock("logout", "r.example") == (0, "", "There is no login for r.example\n")
    assert not config.exists()


def test_login_sends_what_was_given(config: Path, server: Server, pydock: Run) -> None:
    server.answers[f"POST {BASE}/auth"] = lambda request: Answer({"registry": "docker.io"})
    assert pydock("login", "-u", "me", "-p", "pass:word").status == 0
    sent = {"registry": "docker.io", "credentials": {"username": "me", "password": "pass:word"}}
    assert server.last("POST").json == sent
    assert logins.find("docker.io") == LOGIN


def test_a_refused_login_is_not_kept(config: Path, server: Server, pydock: Run) -> None:
    server.answers[f"POST {BASE}/auth"] = lambda request: status(403, "registry r.example: no")
    ran = pydock("login", "-u", "me", "-p", "secret", "r.example")
    assert ran.status == 1
    assert ran.err.endswith("pydock: registry r.example: no\n")
    assert not config.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-u", "me", "-p", "x", "--password-stdin"), "exclude each other"),
        (("-p", "x"), "A password needs a name"),
        (("--password-stdin",), "A password needs a name"),
        ((), "There is no terminal to ask at"),
        (("-u", "me"), "There is no terminal to ask at"),
        (("a", "b"), "unexpected extra argument"),
    ],
)
def test_misuse(config: Path, server: Server, pydock: Run, words: tuple[str, ...], message: str) -> None:
    ran = pydock("login", *words)
    assert ran.status == 2
    assert message in ran.err
    assert not config.exists()


@pytest.mark.parametrize(
    ("username", "password"),
    [("a:b", "canary"), ("a\x07", "canary"), ("a", "canary" * 3000), ("\u20ac", "canary\udcff")],
)
def test_an_odd_login_is_not_repeated(config: Path, server: Server, pydock: Run, username: str, password: str) -> None:
    ran = pydock("login", "-u", username, "-p", password, "r.example")
    assert ran.status == 1
    assert "a username has 1 to 255 characters" in ran.err
    assert "canary" not in ran.err
    assert server.asked == []

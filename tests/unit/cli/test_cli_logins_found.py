"""Logins as people have them: files of docker's in every form, helpers of every kind, odd passwords. None of them is a
reason to fail before a registry asks for a login."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.cli import helpers, logins
from reconciler.model.credentials import Credentials
from reconciler.testing.api_server import BASE, Answer, Request, Server, status
from reconciler.testing.cli import Run

LOGIN = Credentials("me", "pass:word")
HUB = "https://index.docker.io/v1/"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def pulled(request: Request) -> Answer:
    told = {"status": "", "layer": "", "current": 0, "total": 0, "digest": f"sha256:{'0' * 64}", "reference": "x"}
    return Answer(iter((json.dumps(told).encode() + b"\n",)))


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.fixture
def helper(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A helper for all registries, still without content."""
    config.write_text(json.dumps({"credsStore": "odd"}))
    program = tmp_path / "docker-credential-odd"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return program


# files


@pytest.mark.parametrize(
    "entry",
    [
        {"auth": encoded(b"me:pass:word")},
        {"auth": encoded(b"me:pass:word") + "\n"},
        {"auth": "\n".join(encoded(b"me:pass:word")) + "\r\n"},
        {"Auth": encoded(b"me:pass:word"), "EMAIL": None, "identitytoken": None},
        {"auth": None, "Username": "me", "PASSWORD": "pass:word"},
        {"auth": "", "username": "me", "password": "pass:word", "registryToken": ""},
        {"auth": encoded(b"me:pass:word\0\0")},
    ],
)
@pytest.mark.parametrize("name", ["auths", "Auths", "AUTHS"])
def test_entries_of_all_kinds(config: Path, name: str, entry: object) -> None:
    config.write_text(json.dumps({name: {"r.example": entry, "other.example": None}, "credHelpers": None}))
    assert logins.find("r.example") == LOGIN
    assert logins.find("other.example") is None


@pytest.mark.parametrize(
    "document", ["null", "", "{}", '{"auths": null}', '{"credHelpers": null, "CredsStore": null}',
                 '{"auths": {"r.example": {}}}',
                 '{"auths": {"r.example": null}, "credHelpers": {"r.example": null}, "credsStore": ""}',
                 '{"auths": {"r.example": {"auth": null, "username": null}}}', '{"auths": {"http://[": 7}}']
)  # fmt: skip
def test_files_without_a_login(config: Path, document: str) -> None:
    config.write_text(document)
    assert logins.find("r.example") is None
    assert logins.forget("elsewhere.example") is False
    logins.keep("r.example", LOGIN)
    assert logins.find("r.example") == LOGIN


@pytest.mark.parametrize("name", ["credsStore", "credSstore", "CREDSSTORE", "credHelpers", "CredHelpers"])
def test_a_helper_in_another_spelling(config: Path, name: str) -> None:
    config.write_text(json.dumps({name: {"r.example": "absent"} if "elpers" in name else "absent"}))
    with pytest.raises(errors.Permanent, match="docker-credential-absent, which is not installed"):
        logins.find("r.example")


def test_several_spellings_are_one_key_and_are_written_as_docker_does(config: Path) -> None:
    config.write_text(
        json.dumps({"Auths": {"a.example": {}}, "auths": {"r.example": {"Auth": LOGIN.basic()}}, "X": None, "x": 1})
    )
    assert logins.find("r.example") == LOGIN
    logins.keep("b.example", LOGIN)
    kept = {"a.example": {}, "r.example": {"Auth": LOGIN.basic()}, "b.example": {"auth": LOGIN.basic()}}
    assert json.loads(config.read_text()) == {"auths": kept, "X": None, "x": 1}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("[]", "expected an object"),
        ("{}", ""),
        ("[1]", "expected an object"),
        ('{"auths": []}', "expected an object"),
        ('{"AUTHS": "x"}', "expected an object"),
        ('{"auths": {"r.example": 7}}', "expected an object"),
        ('{"auths": {"r.example": {"auth": 7}}}', "not the base64"),
        ('{"auths": {"r.example": {"auth": "bWU="}}}', "expected a username"),
        ('{"auths": {"r.example": {"auth": "!"}}}', "not the base64"),
        ('{"auths": {"r.example": {"auth": "OnB3"}}}', "expected a username"),
        ('{"auths": {"r.example": {"username": "me", "password": 7}}}', "expected a username"),
        ('{"auths": {"r.example": {"identityToken": "canary"}}}', "is a token"),
        ('{"credsStore": "../x"}', "not the name of a credential helper"),
        ('{"credsStore": 7}', "not the name of a credential helper"),
        ("{", "it is not JSON"),
    ],
)
def test_a_public_image_needs_none_of_it(config: Path, server: Server, pydock: Run, document: str, words: str) -> None:
    """It is pulled as by somebody without a login, who is told what is wrong with the one there is."""
    server.answers[f"POST {BASE}/pull"] = pulled
    config.write_text(document)
    ran = pydock("pull", "r.example/a")
    assert ran.status == 0
    assert server.last("POST").json == {"reference": "r.example/a"}
    assert (words in ran.err) if words else not ran.err
    assert "canary" not in ran.err
    server.answers[f"POST {BASE}/push"] = pulled
    assert pydock("push", "r.example/a").status == 0


def test_a_registry_that_wants_the_login_after_all(config: Path, server: Server, pydock: Run) -> None:
    config.write_text('{"credsStore": "absent"}')
    server.answers[f"POST {BASE}/pull"] = lambda request: status(401, "registry r.example: it needs a login")
    ran = pydock("pull", "r.example/a")
    assert ran.status == 1
    assert ran.err == (
        f"pydock: {config} names the helper docker-credential-absent, which is not installed (going on without a "
        "login)\n"
        "pydock: registry r.example: it needs a login\n"
    )


# passwords


@pytest.mark.parametrize(
    "raw",
    [b'{\n  "type": "service_account",\n  "private_key": "a\\nb"\n}\n', b"a\tb", b"\x01\x7f", b"caf\xe9",
     "caf\u00e9".encode(), b"\xff\xfe\xfd", b"", b" ", b"a:b:", b"x" * 16384],
)  # fmt: skip
def test_a_password_of_any_bytes(config: Path, raw: bytes) -> None:
    auth = encoded(b"_json_key:" + raw)
    config.write_text(json.dumps({"auths": {"r.example": {"auth": auth}}}))
    found = logins.find("r.example")
    assert found is not None
    assert found.basic() == auth
    logins.keep("other.example", found)
    assert logins.find("other.example") == found
    assert json.loads(config.read_text())["auths"]["other.example"] == {"auth": auth}


@pytest.mark.parametrize("password", [b"a\nb\n\n", b"caf\xe9\n", "caf\u00e9\n".encode(), b"\t\r\n", b"\n\n"])
def test_a_piped_password_is_sent_with_its_bytes(
    config: Path, server: Server, pydock: Run, password: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.answers[f"POST {BASE}/auth"] = lambda request: Answer({"registry": "r.example"})
    piped = tmp_path / "piped"
    piped.write_bytes(password)
    with piped.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert pydock("login", "-u", "me", "--password-stdin", "r.example").status == 0
    expected = encoded(b"me:" + password.removesuffix(b"\n").removesuffix(b"\r"))
    assert json.loads(config.read_text())["auths"]["r.example"] == {"auth": expected}
    assert Credentials(**server.last("POST").json["credentials"]).basic() == expected


# helpers


@pytest.mark.parametrize(
    "script",
    [
        "echo 'credentials not found in native keychain'; exit 1",
        "echo 'Error: Credentials not found in native keychain.'; exit 7",
        "exit 0",
        "echo",
        "echo '{}'",
        """echo '{"ServerURL":"r.example","Username":"","Secret":""}'""",
        """echo '{"Username":null,"Secret":null}'""",
    ],
)
def test_a_helper_that_has_nothing(helper: Path, script: str) -> None:
    helper.write_text(f"#!/bin/sh\n{script}\n")
    assert logins.find("r.example") is None


@pytest.mark.parametrize(
    "script",
    [
        """cat >/dev/null; echo '{"ServerURL":"x","Username":"me","Secret":"pass:word"}'""",
        """echo '{"username":"me","SECRET":"pass:word","more":[]}'""",
        # an agent that it has started keeps its output open
        """sleep 30 & echo '{"Username":"me","Secret":"pass:word"}'; echo $! > "$0.pid" """,
        """echo '{"Username":"me",'; sleep 0.2; echo '"Secret":"pass:word"}'""",
    ],
)
def test_a_helper_that_has_the_login(helper: Path, script: str) -> None:
    helper.write_text(f"#!/bin/sh\n{script}\n")
    try:
        assert logins.find("r.example") == LOGIN
    finally:
        started = helper.with_name(f"{helper.name}.pid")
        if started.exists():
            os.kill(int(started.read_text()), 15)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho canary; echo the store is locked; exit 1\n", "failed with status 1: run it by hand"),
        ("#!/bin/sh\nkill -9 $$\n", "was killed by signal 9"),
        ("#!/bin/sh\necho canary\n", "its answer is not a JSON object"),
        ("#!/bin/sh\necho '[]'\n", "its answer is not a JSON object"),
        ("#!/bin/sh\nprintf '\\377'\n", "its answer is not a JSON object"),
        ('#!/bin/sh\necho \'{"Username":"me:canary","Secret":"x"}\'\n', "expected a username"),
        ('#!/bin/sh\necho \'{"Username":7,"Secret":"x"}\'\n', "expected a username"),
        ('#!/bin/sh\necho \'{"Username":"<token>","Secret":"canary"}\'\n', "is a token"),
        ("#!/bin/sh\nexec cat /dev/zero\n", "printed more than"),
        ("#!/no/such/interpreter\n", "not installed"),
        ("\x7fELF is what it is not", "cannot be run"),
        ("#!/bin/sh\nexec sleep 60\n", "did not end within 0 seconds"),
    ],
)
def test_a_helper_that_fails(
    helper: Path, server: Server, pydock: Run, script: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "_PATIENCE", 0.3 if "sleep" in script else 20.0)
    helper.write_text(script)
    server.answers[f"POST {BASE}/pull"] = pulled
    ran = pydock("pull", "r.example/a")
    assert ran.status == 0
    assert words in ran.err
    assert "canary" not in ran.err
    assert server.last("POST").json == {"reference": "r.example/a"}


def test_a_helper_that_may_not_be_run_and_one_that_does_not_read(helper: Path) -> None:
    helper.write_text("#!/bin/sh\nexec <&-\nexit 0\n")
    helpers.store("odd", "r.example", Credentials("me", "\u00e9" * 16384))
    helper.write_bytes(b"")
    helper.chmod(0o644)
    with pytest.raises(errors.Permanent, match="cannot be run: permission denied"):
        logins.find("r.example")


def test_a_helper_is_not_given_what_it_would_change(helper: Path) -> None:
    with pytest.raises(errors.Permanent, match="keeps UTF-8 only"):
        logins.keep("r.example", Credentials("me", "\u00e9", "latin-1"))

"""``pydock search`` and ``pydock pull --all-tags`` at a real registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.drivers.registry import manifests
from reconciler.model.credentials import Credentials
from reconciler.testing import images, registry_logins
from reconciler.testing.daemon import Pydockd

FOREIGN = manifests.Platform("linux", "s390x", "")
LOGIN = Credentials("tester", "canary-77:pass")


@pytest.fixture
def full() -> Iterator[images.Server]:
    with images.registry() as found:
        for tag in ("1.0", "1.1"):
            images.push(found.address, "team/web", tag, images.busybox(f"page {tag}\n"))
        images.push(found.address, "team/db", "1", images.busybox("page\n"))
        yield found


def test_search(host: Pydockd, full: images.Server) -> None:
    done = host.cli("search", f"{full.address}/web")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["NAME", "STARS", "OFFICIAL", "DESCRIPTION"], [f"{full.address}/team/web"],
    ]  # fmt: skip
    done = host.cli("search", f"{full.address}/mail")
    assert (done.returncode, done.stdout) == (1, "")
    assert "finds nothing for 'mail'" in done.stderr


def test_tags(host: Pydockd, full: images.Server) -> None:
    done = host.cli("search", "--list-tags", f"{full.address}/team/web")
    name = f"{full.address}/team/web"
    assert [line.split() for line in done.stdout.splitlines()] == [["NAME", "TAG"], [name, "1.0"], [name, "1.1"]]
    done = host.cli("search", "--list-tags", f"{full.address}/team/mail")
    assert done.returncode == 1
    assert f"repository {full.address}/team/mail: registry {full.address}: it does not have it" in done.stderr
    done = host.cli("search", "--list-tags", f"{full.address}/team/web:1.0")
    assert done.returncode == 1
    assert "without tag and digest" in done.stderr


def test_all_tags(host: Pydockd, full: images.Server) -> None:
    name = f"{full.address}/team/web"
    done = host.cli("pull", "--all-tags", name)
    assert (done.returncode, done.stderr) == (0, "")
    listed = host.cli("image", "ls").stdout
    for tag in ("1.0", "1.1"):
        assert f"{name}:{tag}: sha256:" in done.stdout
        assert f"{name}:{tag} " in listed
    for odd in (f"{name}:1.0", f"{name}@sha256:{'0' * 64}"):
        refused = host.cli("pull", "--all-tags", odd)
        assert refused.returncode == 1
        assert "without tag and digest" in refused.stderr


def test_one_that_cannot_be_pulled_keeps_no_other_from_coming(host: Pydockd, full: images.Server) -> None:
    name = f"{full.address}/team/web"
    foreign = images.busybox("for others\n")
    odd = images.build([], platform=FOREIGN)
    images.push_index(full.address, "team/web", "0.9", [(odd, FOREIGN)])
    images.push(full.address, "team/web", "2.0", foreign)
    done = host.cli("pull", "-a", name)
    assert done.returncode == 1
    assert f"image {name}:0.9: " in done.stderr
    assert f"1 of 5 images of {name} could not be pulled" in done.stderr
    assert f"{name}:2.0: {foreign.digest}" in done.stdout


@pytest.mark.parametrize("words", [("--list-tags", "team/web"), ("web",)])
def test_a_login_is_taken_and_one_that_lacks_is_told(
    host: Pydockd, full: images.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    *flags, name = words
    with registry_logins.with_password(full, LOGIN) as private:
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        asked = ("search", *flags, f"{private.address}/{name}")
        done = host.cli(*asked)
        assert done.returncode != 0
        assert f"pydock login {private.address}" in done.stderr
        auth = {"auth": LOGIN.basic()}
        (tmp_path / "config.json").write_text(json.dumps({"auths": {private.address: auth}}))
        done = host.cli(*asked)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{private.address}/team/web" in done.stdout

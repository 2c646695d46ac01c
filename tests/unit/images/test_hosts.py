"""What is configured about registries: what is refused, and what follows from it."""

from __future__ import annotations

import pathlib

import pytest

from reconciler import errors
from reconciler.drivers.registry.hosts import Host, Hosts


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("r example", Host(), 'registry."r example": registry'),
        ("r.example:99999", Host(), "host[:port]"),
        (
            "r.example",
            Host(mirrors=("mirror.example",)),
            "registry.\"r.example\".mirrors 'mirror.example': expected https",
        ),
        ("r.example", Host(mirrors=("https://m.example/path",)), "without a path"),
        ("r.example", Host(mirrors=("https://m.example?x",)), "without a path"),
        ("r.example", Host(mirrors=("ftp://m.example",)), "expected https"),
        ("r.example", Host(mirrors=("https://m.example:no",)), "malformed"),
        ("r.example", Host(mirrors=("https://_",)), "host[:port]"),
        ("r.example", Host(mirrors=("https://r.example",)), "its own mirror"),
        ("r.example", Host(mirrors=("http://m.example", "https://m.example")), "without in another"),
        ("r.example", Host(ca="ca.crt"), "registry.\"r.example\".ca 'ca.crt': expected an absolute path"),
        ("r.example", Host(ca="/ca.crt", plain_http=True), "no meaning with plain_http"),
        ("r.example", Host(client_cert="/c"), "given together"),
        ("r.example", Host(client_key="/k"), "given together"),
    ],
)
def test_what_is_refused_is_named(name: str, table: Host, words: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        Hosts({name: table})
    assert words in caught.value.message
    assert 'registry."' in caught.value.message


def test_a_password_in_a_mirrors_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(errors.Invalid, match="no user name or password") as caught:
        Hosts(mirrors=["https://user:canary@m.example"])
    assert "canary" not in caught.value.message


def test_tables_that_contradict_each_other() -> None:
    with pytest.raises(errors.Invalid, match="same registry"):
        Hosts({"docker.io": Host(), "registry-1.docker.io": Host()})
    with pytest.raises(errors.Invalid, match="without in another"):
        Hosts({"r.example": Host(mirrors=("http://m.example",)), "m.example": Host(plain_http=False)})
    with pytest.raises(errors.Invalid, match="without TLS"):
        Hosts({"r.example": Host(mirrors=("http://m.example",)), "m.example": Host(ca="/ca.crt")})


def test_how_registries_are_spoken_to() -> None:
    hosts = Hosts(
        {
            "plain.example": Host(plain_http=True),
            "localhost:1": Host(plain_http=False),
            "localhost:2": Host(ca="/ca.crt"),
            "r.example": Host(mirrors=("http://m.example:80", "https://127.0.0.1:7", "https://R2.example/")),
        },
        ["https://mirror.gcr.io"],
    )
    urls = {
        name: hosts.place(name).url
        for name in (
            "plain.example",
            "localhost:1",
            "localhost:2",
            "localhost:3",
            "m.example:80",
            "127.0.0.1:7",
            "docker.io",
        )
    }
    assert urls == {
        "plain.example": "http://plain.example",
        "localhost:1": "https://localhost:1",
        "localhost:2": "https://localhost:2",
        "localhost:3": "http://localhost:3",
        "m.example:80": "http://m.example:80",
        "127.0.0.1:7": "https://127.0.0.1:7",
        "docker.io": "https://registry-1.docker.io",
    }
    assert hosts.mirrors("r.example") == ("m.example:80", "127.0.0.1:7", "r2.example")
    assert hosts.mirrors("docker.io") == ("mirror.gcr.io",)
    assert hosts.mirrors("other.example") == ()


def test_further_mirrors_of_docker_come_first() -> None:
    hosts = Hosts({"index.docker.io": Host(mirrors=("https://b.example", "https://c.example"))}, ["https://a.example"])
    assert hosts.mirrors("docker.io") == ("a.example", "b.example", "c.example")


def test_files_in_dockers_layout(tmp_path: pathlib.Path) -> None:
    place = tmp_path / "r.example:5000"
    place.mkdir()
    for name in ("ca.crt", "more.crt", "client.cert", "client.key", "README"):
        (place / name).touch()
    files = Hosts(certs_dir=str(tmp_path)).place("r.example:5000").files
    assert files.authorities == (f"{place}/ca.crt", f"{place}/more.crt")
    assert (files.cert, files.key) == (f"{place}/client.cert", f"{place}/client.key")
    own = Hosts({"r.example:5000": Host(ca="/a", client_cert="/c", client_key="/k")}, certs_dir=str(tmp_path))
    files = own.place("r.example:5000").files
    assert files.authorities == ("/a", f"{place}/ca.crt", f"{place}/more.crt")
    assert (files.cert, files.key) == ("/c", "/k")
    assert not own.place("r.example").files


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["client.cert"], "client.key is missing"),
        (["client.key"], "client.cert is missing"),
        (["a.cert", "a.key", "b.cert", "b.key"], "more than one"),
    ],
)
def test_files_in_dockers_layout_that_make_no_sense(tmp_path: pathlib.Path, names: list[str], words: str) -> None:
    (tmp_path / "r.example").mkdir()
    for name in names:
        (tmp_path / "r.example" / name).touch()
    with pytest.raises(errors.Permanent, match=words):
        Hosts(certs_dir=str(tmp_path)).place("r.example")


def test_another_file_is_another_place(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca.crt").write_text("one")
    hosts = Hosts({"r.example": Host(ca=str(tmp_path / "ca.crt"))})
    before = hosts.place("r.example")
    assert hosts.place("r.example") == before
    (tmp_path / "ca.crt").write_text("another")
    assert hosts.place("r.example") != before

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.model import references

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("user/app", "docker.io/user/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/user/app", "docker.io/user/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("127.0.0.1:5000/a/b/c:v1", "127.0.0.1:5000/a/b/c:v1"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("GHCR.io/own/app", "ghcr.io/own/app:latest"),
        ("LOCALHOST:5000/app", "localhost:5000/app:latest"),
        ("LocalHost/app", "localhost/app:latest"),
        ("Docker.IO/busybox", "docker.io/library/busybox:latest"),
        ("[FE80::1]:5000/app", "[fe80::1]:5000/app:latest"),
        (f"app@sha256:{HEX}", f"docker.io/library/app@sha256:{HEX}"),
        (f"app:v1@sha256:{HEX}", f"docker.io/library/app:v1@sha256:{HEX}"),
        ("r.io/a.b_c__d---e/f", "r.io/a.b_c__d---e/f:latest"),
    ],
)
def test_normalised_as_docker_does(text: str, normal: str) -> None:
    assert str(references.parse(text)) == normal
    assert references.parse(normal) == references.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("../x", "not a registry's host"),
        ("a/../b", "an empty part, '.' or '..'"),
        ("r.io/../../etc/passwd", "an empty part"),
        ("a//b", "an empty part"),
        ("a/", "an empty part"),
        ("/a", "an empty part"),
        ("Busybox", "lower case"),
        ("r.io/App", "lower case"),
        ("app:", "tag ''"),
        ("app:-x", "tag '-x'"),
        ("app:" + "x" * 129, "tag"),
        ("app@", "digest ''"),
        ("app@sha256:../x", "digest"),
        ("app@sha256:" + HEX.upper(), "digest"),
        ("app@md5:" + HEX[:32], "digest"),
        (HEX, "looks like an image id"),
        ("r.io:0/x", "port 0"),
        ("r.io:99999/x", "port 99999"),
        ("r_x.io/x", "not a registry's host"),
        ("a b", "lower-case letters and digits"),
        ("app\n", "lower-case letters and digits"),
        ("app\0", "lower-case letters and digits"),
        ("аpp", "lower-case letters and digits"),
        ("a" * 250, "at most 255"),
        ("a" * 2000, "at most 1024"),
    ],
)
def test_refused_saying_why(text: str, words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        references.parse(text)


@given(st.text(alphabet=string.ascii_letters + string.digits + "./:@-_[]\n\0 é", max_size=80))
def test_what_is_accepted_is_normal_and_harmless(text: str) -> None:
    try:
        found = references.parse(text)
    except errors.Invalid:
        return
    assert references.parse(str(found)) == found
    assert not {"", ".", ".."} & set(found.path.split("/"))
    assert str(found).isprintable()


def test_digests() -> None:
    assert references.check_digest(f"sha512:{HEX}{HEX}") == f"sha512:{HEX}{HEX}"
    for wrong in ("", "sha256", f"sha256:{HEX}\n", f"sha512:{HEX}", f"sha1:{HEX[:40]}"):
        with pytest.raises(errors.Invalid):
            references.check_digest(wrong)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("nginx", 12),
        ("docker.io/library/nginx:1", 6),
        ("team/app", 6),
        ("localhost:5000/app", 2),
        (f"app:1@sha256:{HEX}", 6),
    ],
)
def test_all_spellings_mean_the_same(text: str, count: int) -> None:
    found = references.spellings(text)
    assert len(set(found)) == len(found) == count
    assert text in found
    assert {str(references.parse(each)) for each in found} == {str(references.parse(text))}


@pytest.mark.parametrize(
    ("text", "small"),
    [
        ("LOCALHOST:5000/app:V1", "localhost:5000/app:V1"),
        ("LOCALHOST/app", "localhost/app"),
        ("Docker.IO/busybox", "docker.io/busybox"),
        ("app:V1", "app:V1"),
        ("Team/app", "Team/app"),
        (f"R.io/app@sha256:{HEX}", f"r.io/app@sha256:{HEX}"),
    ],
)
def test_a_registry_in_small_letters(text: str, small: str) -> None:
    assert references.small_registry(text) == small
    assert references.small_registry(small) == small


def test_what_is_no_reference_is_spelled_as_it_is() -> None:
    assert references.spellings("No Reference") == ("No Reference",)


@pytest.mark.parametrize(
    ("text", "name"), [("alpine", "docker.io/library/alpine"), ("r.example:5000/a/b", "r.example:5000/a/b")]
)
def test_a_repository(text: str, name: str) -> None:
    assert references.parse_repository(text).name == name


@pytest.mark.parametrize("text", ["alpine:3", "r.example:5000/a:1", f"alpine@sha256:{'0' * 64}", "", "A"])
def test_what_is_no_repository_alone(text: str) -> None:
    with pytest.raises(errors.Invalid):
        references.parse_repository(text)


@pytest.mark.parametrize(
    ("text", "registry", "term"),
    [("web server", "docker.io", "web server"), ("team/web", "docker.io", "team/web"),
     ("docker.io/web", "docker.io", "web"), ("R.example:5000/we", "r.example:5000", "we"),
     ("localhost/x", "localhost", "x")],
)  # fmt: skip
def test_a_search(text: str, registry: str, term: str) -> None:
    assert references.split_search(text) == (registry, term)


@pytest.mark.parametrize("text", ["", "r.example/", "r.example:99999/x", "\x1b[2J", "x" * 256])
def test_what_is_no_search(text: str) -> None:
    with pytest.raises(errors.Invalid):
        references.split_search(text)

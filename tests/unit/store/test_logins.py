"""Logins that the host keeps: sealed, each for what it was given for, and never lost to a file that cannot be read."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reconciler import errors
from reconciler.model import references
from reconciler.model.credentials import Credentials
from reconciler.store.logins import Logins

ONE, OTHER = Credentials("one", "canary-one"), Credentials("other", "canary-other")


def files(directory: Path) -> dict[str, int]:
    """Name → mode."""
    return {file.name: file.stat().st_mode & 0o777 for file in directory.iterdir()}


def document(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "logins.json").read_text())
    return found


def test_a_login_is_found_again_by_the_next_process(tmp_path: Path) -> None:
    Logins(tmp_path).put("r.example", ONE, 7.0)
    assert files(tmp_path) == {"logins.json": 0o600, "logins.key": 0o400}
    again = Logins(tmp_path)
    assert again.find(references.parse("r.example/a/b:1")) == ONE
    assert again.find(references.parse("elsewhere.example/a/b:1")) is None
    assert again.all()["r.example"].since == 7.0


def test_nothing_of_it_can_be_read_in_the_files(tmp_path: Path) -> None:
    Logins(tmp_path).put("r.example", ONE, 7.0)
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not [word for word in (ONE.username, ONE.password, ONE.basic()) if word.encode() in content]


@pytest.mark.parametrize(
    "login",
    [
        Credentials("_json_key", '{\n\t"a": "b\\n"\n}\n'),
        Credentials("me", ""),
        Credentials("caf\u00e9", "\xff", "latin-1"),
    ],
)
def test_a_login_of_any_bytes_is_found_as_it_was(tmp_path: Path, login: Credentials) -> None:
    Logins(tmp_path).put("r.example", login, 7.0)
    found = Logins(tmp_path).find(references.parse("r.example/a"))
    assert found is not None
    assert (found, found.basic()) == (login, login.basic())


def test_the_same_login_is_sealed_differently_each_time(tmp_path: Path) -> None:
    found = set()
    for _ in range(3):
        Logins(tmp_path).put("r.example", ONE, 7.0)
        found.add(document(tmp_path)["logins"]["r.example"]["sealed"])
    assert len(found) == 3


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("r.example/team/app", OTHER),
        ("r.example/team/app/part:1", OTHER),
        ("r.example/team/application", ONE),
        ("r.example/team", ONE),
        ("r.example:5000/team/app", None),
        ("team/app", None),
    ],
)
def test_the_longest_name_that_an_image_is_in_counts(tmp_path: Path, image: str, expected: Credentials | None) -> None:
    logins = Logins(tmp_path)
    logins.put("r.example", ONE, 1.0)
    logins.put("r.example/team/app", OTHER, 2.0)
    assert logins.find(references.parse(image)) == expected


def test_the_last_one_that_goes_takes_the_key_along(tmp_path: Path) -> None:
    logins = Logins(tmp_path)
    logins.put("a.example", ONE, 1.0)
    logins.put("b.example", OTHER, 1.0)
    assert logins.remove("a.example")
    assert not logins.remove("a.example")
    assert logins.find(references.parse("b.example/x")) == OTHER
    assert logins.remove("b.example")
    assert files(tmp_path) == {}


def test_entries_cannot_be_exchanged(tmp_path: Path) -> None:
    logins = Logins(tmp_path)
    logins.put("a.example", ONE, 1.0)
    logins.put("b.example", OTHER, 1.0)
    found = document(tmp_path)
    found["logins"]["b.example"] = found["logins"]["a.example"]
    (tmp_path / "logins.json").write_text(json.dumps(found))
    with pytest.raises(errors.Permanent, match=r"login that is kept for b\.example cannot be read.*damaged"):
        logins.find(references.parse("b.example/x"))
    assert logins.find(references.parse("a.example/x")) == ONE


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 32, b"x" * 33, None])
def test_another_key_opens_nothing_and_no_new_one_is_made(tmp_path: Path, key: bytes | None) -> None:
    logins = Logins(tmp_path)
    logins.put("a.example", ONE, 1.0)
    (tmp_path / "logins.key").unlink()
    if key is not None:
        (tmp_path / "logins.key").write_bytes(key)
    with pytest.raises(errors.Permanent, match=r"pydock logout --on-host a\.example, then log in again$"):
        logins.find(references.parse("a.example/x"))
    if key != b"x" * 32:
        before = (tmp_path / "logins.json").read_bytes()
        with pytest.raises(errors.Permanent, match=r"logins\.key"):
            logins.put("b.example", OTHER, 1.0)
        assert (tmp_path / "logins.json").read_bytes() == before
    assert logins.remove("a.example"), "what cannot be read can still be forgotten"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2, "logins": {}}', b"[" * 100_000])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "logins.json").write_bytes(content)
    logins = Logins(tmp_path)
    for attempt in (
        lambda: logins.find(references.parse("a.example/x")),
        lambda: logins.put("a.example", ONE, 1.0),
        lambda: logins.remove("a.example"),
        logins.all,
    ):
        with pytest.raises(errors.Permanent, match=r"logins\.json is damaged: restore it, or move it away"):
            attempt()
    assert (tmp_path / "logins.json").read_bytes() == content


def test_what_a_crash_left_aside_goes(tmp_path: Path) -> None:
    for name in ("logins.json.new", "logins.key.new"):
        (tmp_path / name).write_text("half")
    Logins(tmp_path).put("a.example", ONE, 1.0)
    assert sorted(files(tmp_path)) == ["logins.json", "logins.key"]


def test_logins_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    logins = Logins(tmp_path)
    names = [f"r{number}.example" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: logins.put(name, Credentials(name, "secret"), 1.0), names))
    assert [logins.find(references.parse(f"{name}/x")) for name in names] == [
        Credentials(name, "secret") for name in names
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("r.example", "r.example"),
        ("https://R.example:5000/", "r.example:5000"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io/team", "docker.io/team"),
        ("localhost/team/app", "localhost/team/app"),
        ("[::1]:5000/team", "[::1]:5000/team"),
    ],
)
def test_what_a_login_is_for(given: str, expected: str) -> None:
    assert references.parse_scope(given) == expected
    assert references.scope_registry(expected) == expected.partition("/")[0]


@pytest.mark.parametrize(
    "given", ["", "team/app", "r.example/App", "r.example//a", "r.example/a:1", "a b", "r.example/../x"]
)
def test_what_no_login_can_be_for(given: str) -> None:
    with pytest.raises(errors.Invalid):
        references.parse_scope(given)

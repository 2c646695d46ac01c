"""Who a process runs as is looked up in the image's own files, and never root by accident."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.drivers.exec import users
from reconciler.drivers.exec.users import Identity
from reconciler.errors import Permanent
from reconciler.testing.exec_rootfs import GROUP, PASSWD

PASSWD_HOSTILE = PASSWD + (
    "1000:x:0:0:a number for a name:/root:/bin/sh\n"
    "huge:x:4294967295:0::/:\nbig:x:2147483648:0::/:\nminus:x:-1:-1::/:\nlast:x:2147483647:2147483647::/:\n"
    "text:x:zero:0::/:\nwide:x:１:1::/:\nshort:x:5\n# comment:x:0:0::/:\n"
    # found by docker: without the last fields, with blanks around, a gecos that only some take for two lines
    "four:x:77:78\nfive:x:79::gecos\n  padded:x:81:82::/p:/bin/sh \ncrlf:x:83:84::/c:\r\n"
    "form:x:85:86:a\x0cfeed:x:0:0:\x85\u2028:/f:/bin/sh\n"
)


@pytest.mark.parametrize(
    ("user", "found"),
    [
        ("", Identity(0, 0, (), "/root")),
        ("root", Identity(0, 0, (), "/root")),
        ("0", Identity(0, 0, (), "/root")),
        ("web", Identity(1000, 1001, (2000,), "/home/web")),
        ("1000", Identity(1000, 1001, (2000,), "/home/web")),
        ("web:logs", Identity(1000, 2000, (), "/home/web")),
        ("web:5", Identity(1000, 5, (), "/home/web")),
        ("4321", Identity(4321, 0)),
        ("4321:web", Identity(4321, 1001)),
        ("00", Identity(0, 0, (), "/root")),
        ("2147483647", Identity(2147483647, 2147483647, (), "/")),
        (":77", Identity(0, 77, (), "/root")),
        (":", Identity(0, 0, (), "/root")),
        ("web:", Identity(1000, 1001, (2000,), "/home/web")),
        ("4321:5:6", Identity(4321, 5)),
        ("four", Identity(77, 78)),
        ("77", Identity(77, 78)),
        ("four:web", Identity(77, 1001)),
        ("five", Identity(79, 0)),
        ("padded", Identity(81, 82, (), "/p")),
        ("crlf", Identity(83, 84, (), "/c")),
        ("form", Identity(85, 86, (), "x")),
    ],
)
def test_lookups(user: str, found: Identity) -> None:
    assert users.lookup(user, PASSWD_HOSTILE, GROUP) == found


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("nobody", "not in the image's /etc/passwd"),
        ("web:nobody", "not in the image's /etc/group"),
        ("2147483648", "from 0 to 2147483647"),
        ("4294967296", "from 0 to 2147483647"),
        ("18446744073709551616", "from 0 to 2147483647"),
        ("0:4294967296", "from 0 to 2147483647"),
        ("0" * 5000, "from 0 to 2147483647"),
        ("-1", "neither a name nor a number"),
        ("+0", "neither a name nor a number"),
        ("0x0", "neither a name nor a number"),
        ("1.5", "neither a name nor a number"),
        ("１", "neither a name nor a number"),
        ("0 ", "neither a name nor a number"),
        (" ", "neither a name nor a number"),
        ("a\nroot", "neither a name nor a number"),
        ("huge", "no valid ids"),
        ("big", "no valid ids"),
        ("minus", "no valid ids"),
        ("text", "no valid ids"),
        ("wide", "no valid ids"),
        ("short", "not in the image's"),
        ("feed", "not in the image's"),
        ("# comment", "neither a name nor a number"),
    ],
)
def test_what_is_not_clear_is_refused(user: str, words: str) -> None:
    with pytest.raises(Permanent, match=words):
        users.lookup(user, PASSWD_HOSTILE, GROUP)


def test_an_image_without_a_passwd_file() -> None:
    assert users.lookup("", "", "") == Identity(0, 0)
    assert users.lookup("root", "", "") == Identity(0, 0)
    assert users.lookup("7:8", "", "") == Identity(7, 8)
    with pytest.raises(Permanent):
        users.lookup("web", "", "")


def test_a_group_with_a_bad_number_is_refused() -> None:
    with pytest.raises(Permanent, match="no valid id"):
        users.lookup("0:odd", PASSWD, "odd:x:99999999999:\n")


def test_groups_are_bounded() -> None:
    many = "".join(f"g{number}:x:{number}:web\n" for number in range(3000, 9000))
    assert len(users.lookup("web", PASSWD, many).groups) == users.MAX_GROUPS


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("web:x:0:0:outside:/:/bin/sh\n")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    return root


def test_links_stay_inside(rootfs: Path) -> None:
    (rootfs / "etc/passwd").symlink_to("../../../secret")
    assert users.read_inside(str(rootfs), "etc/passwd") == ""
    (rootfs / "secret").write_text(PASSWD)
    assert users.resolve(str(rootfs), "web").uid == 1000


def test_an_absolute_link_is_taken_from_the_root_of_the_image(rootfs: Path) -> None:
    (rootfs / "etc").rmdir()
    (rootfs / "etc").symlink_to("/usr/etc")
    (rootfs / "usr/etc").mkdir(parents=True)
    (rootfs / "usr/etc/passwd").write_text(PASSWD)
    assert users.resolve(str(rootfs), "web").home == "/home/web"


def test_what_is_no_regular_file_is_never_opened(rootfs: Path) -> None:
    os.mkfifo(rootfs / "etc/passwd")
    (rootfs / "etc/group").mkdir()
    assert users.read_inside(str(rootfs), "etc/passwd") == ""
    assert users.read_inside(str(rootfs), "etc/group") == ""


def test_a_magic_link_is_not_followed(rootfs: Path) -> None:
    secret = os.open(rootfs.parent / "secret", os.O_RDONLY)
    try:
        (rootfs / "etc/passwd").symlink_to(f"/proc/self/fd/{secret}")
        assert users.read_inside("/", f"{rootfs}/etc/passwd") == ""
    finally:
        os.close(secret)


def test_a_huge_file_is_read_only_at_its_start(rootfs: Path) -> None:
    with open(rootfs / "etc/passwd", "w") as file:
        file.write(PASSWD)
        file.truncate(1 << 40)
    assert len(users.read_inside(str(rootfs), "etc/passwd")) <= users.MAX_BYTES
    (rootfs / "etc/passwd").write_text(PASSWD + "x" * users.MAX_BYTES + ":x:5:5::/:\nlate:x:6:6::/:\n")
    assert users.resolve(str(rootfs), "web").uid == 1000
    with pytest.raises(Permanent, match="not in the image's"):
        users.resolve(str(rootfs), "late")

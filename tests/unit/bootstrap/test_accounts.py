"""Which account the API process gets: one of its own."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from reconciler import errors
from reconciler.bootstrap import accounts


def test_without_an_account_it_is_a_number_that_nobody_has_another_one_for_each_instance() -> None:
    found = {accounts.api_user("", instance) for instance in ("default", "a", "b")}
    assert len(found) == 3
    for uid, gid in found:
        assert uid == gid
        with pytest.raises(KeyError):
            pwd.getpwuid(uid)
    assert accounts.api_user("", "default") in found


def test_the_account_that_packaging_makes_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made = pwd.struct_passwd((accounts.ACCOUNT, "x", 990, 991, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwnam", {accounts.ACCOUNT: made}.__getitem__)
    assert accounts.api_user("", "default") == (990, 991)
    text = (Path(__file__).parents[3] / "packaging" / "pydock.sysusers").read_text()
    assert f"u {accounts.ACCOUNT} " in text


def test_a_number_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    free, _ = accounts.api_user("", "default")
    real = pwd.getpwuid

    def taken(uid: int) -> pwd.struct_passwd:
        return pwd.struct_passwd(("somebody", "x", uid, uid, "", "/", "/")) if uid == free else real(uid)

    monkeypatch.setattr(pwd, "getpwuid", taken)
    assert accounts.api_user("", "default") == (free + 1, free + 1)


def test_where_no_such_number_exists_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "uid_map").write_text("         0     100000      65536\n")
    with pytest.raises(errors.Permanent, match="make that user, or name another one with --api-user"):
        accounts.api_user("", "default", str(tmp_path / "uid_map"))


@pytest.mark.parametrize("name", ["root", "0"])
def test_root_is_refused(name: str) -> None:
    with pytest.raises(errors.Permanent, match="must not run as root"):
        accounts.api_user(name, "default")


def test_a_named_user_is_taken() -> None:
    assert accounts.api_user("nobody", "default")[0] == 65534
    assert accounts.api_user("12345", "default") == (12345, 12345)
    with pytest.raises(errors.Permanent, match="no such user"):
        accounts.api_user("no-such-user", "default")

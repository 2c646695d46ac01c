"""What containers get as resolv.conf on hosts of many kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.drivers.network import resolvers

STUB = "# made by systemd-resolved\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch corp.example lab.example\n"
BEHIND = "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch corp.example\n"


def find(directory: Path, *texts: str | None, fallback: tuple[str, ...] = ()) -> tuple[str, str]:
    files = [directory / str(index) for index in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
    found = resolvers.find(fallback, files)
    return found.text, found.warning


def test_reachable_servers_are_kept_with_search_and_options(tmp_path: Path) -> None:
    text = "; a comment\nsearch corp.example\nnameserver 192.0.2.1\noptions ndots:2\nnameserver 192.0.2.2\n"
    assert find(tmp_path, text) == (
        "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch corp.example\noptions ndots:2\n",
        "",
    )


@pytest.mark.parametrize("stub", ["127.0.0.53", "127.0.0.1", "127.0.0.54", "::1", "0.0.0.0"])
def test_behind_a_forwarder_on_the_loopback_its_own_servers_are_taken(tmp_path: Path, stub: str) -> None:
    own = STUB.replace("127.0.0.53", stub)
    assert find(tmp_path, own, BEHIND)[0] == "nameserver 192.0.2.1\nsearch corp.example\n"
    assert find(tmp_path, own, None, "nameserver 192.0.2.7\n") == (
        "nameserver 192.0.2.7\noptions edns0 trust-ad\nsearch corp.example lab.example\n",
        "",
    )


def test_servers_that_only_ipv6_reaches_are_left_out(tmp_path: Path) -> None:
    text = "nameserver fe80::1%eth0\nnameserver 2001:db8::53\nnameserver 192.0.2.1\n"
    assert find(tmp_path, text) == ("nameserver 192.0.2.1\n", "")
    assert "names only fe80::1%eth0, 2001:db8::53" in find(tmp_path, text.replace("192.0.2.1", "127.0.0.1"))[1].replace(
        ", 127.0.0.1", ""
    )


@pytest.mark.parametrize("behind", [None, "", "nameserver\n", "nameserver ::1\n", "\0garbage"])
def test_without_any_the_configured_ones_are_taken_or_a_warning_says_so(tmp_path: Path, behind: str | None) -> None:
    kept = "options edns0 trust-ad\nsearch corp.example lab.example\n"
    assert find(tmp_path, STUB, behind, fallback=("192.0.2.53",)) == ("nameserver 192.0.2.53\n" + kept, "")
    text, warning = find(tmp_path, STUB, behind)
    assert text == kept
    assert "names only 127.0.0.53" in warning
    assert 'dns = ["192.0.2.53"]' in warning


def test_a_host_without_any_file(tmp_path: Path) -> None:
    text, warning = find(tmp_path, None, None)
    assert (text, "names no server" in warning) == ("", True)


def test_no_more_servers_than_a_resolver_asks(tmp_path: Path) -> None:
    text = "".join(f"nameserver 192.0.2.{number}\n" for number in range(1, 9))
    assert find(tmp_path, text)[0].count("nameserver") == 3

from __future__ import annotations

import time

from reconciler.cli import table


def test_columns_are_aligned_and_nothing_is_cut_off() -> None:
    rows = [("web", "docker.io/library/" + "x" * 60, "5s"), ("a-longer-name", "b", "")]
    assert table.render(("NAME", "IMAGE", "AGE"), rows) == (
        "NAME            IMAGE" + " " * 76 + "AGE\n"
        "web             docker.io/library/" + "x" * 60 + "   5s\n"
        "a-longer-name   b\n"
    )


def test_later_rows_stand_under_the_first_ones() -> None:
    growing = table.Table(("NAME", "STATUS"))
    assert growing.render([("web", "Running")]) == "NAME   STATUS\nweb    Running\n"
    assert growing.render([("db", "Pending")]) == "db     Pending\n"
    assert growing.render([("longer", "Pending")]) == "longer   Pending\n"


def test_without_headers() -> None:
    assert table.Table(("NAME", "STATUS"), headed=False).render([("web", "Up"), ("database", "Up")]) == (
        "web        Up\ndatabase   Up\n"
    )


def test_content_cannot_steer_a_terminal() -> None:
    assert table.render(("A",), [("\x1b[2J\nx\u202ey\x9b",)]) == "A\n\\x1b[2J\\nx\\u202ey\\x9b\n"
    assert table.clean("größe ✓") == "größe ✓"


def test_a_thousand_rows_take_milliseconds() -> None:
    rows = [
        (f"name-{number}", "Running", "docker.io/library/nginx:1.25", "0.0.0.0:80->80/tcp") for number in range(1000)
    ]
    begun = time.process_time()
    table.render(("NAME", "STATUS", "IMAGE", "PORTS"), rows)
    assert time.process_time() - begun < 0.1

"""The systemd units fit the daemon's defaults."""

from __future__ import annotations

from pathlib import Path

from reconciler.settings import Settings

PACKAGING = Path(__file__).parents[2] / "packaging"


def test_the_unit_makes_the_directories_that_the_daemon_reads() -> None:
    lines = (PACKAGING / "pydockd.service").read_text().splitlines()
    (names,) = [
        line.removeprefix("ConfigurationDirectory=") for line in lines if line.startswith("ConfigurationDirectory=")
    ]
    assert [f"/etc/{name}" for name in names.split()] == [Settings().manifests, "/etc/pydock"]

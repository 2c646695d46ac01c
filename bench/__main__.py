"""Runs the rows and prints the table."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from typing import Any

from bench import apart, report, stage
from bench.rows import ROWS
from reconciler import __version__, build_info


def main() -> int:
    """0 when all rows could be measured, whatever the outcome; 1 when one could not; 2 for a wrong command line; 130
    when it was interrupted."""
    options = _parse()
    if os.geteuid() != 0:
        return _refuse("the benchmarks must run as root: they mount, make namespaces and write firewall rules")
    if missing := stage.missing_programs():
        return _refuse(f"missing here: {', '.join(missing)} (`make bench` installs the packages)")
    apart.enter()
    # as Ctrl-C does: what was made is removed
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return 0 if run(options.rows, options.quick) else 1
    except KeyboardInterrupt:
        print("interrupted; everything is removed", file=sys.stderr)
        return 130


def run(names: list[str], quick: bool) -> bool:
    """Whether every row could be measured."""
    print(_heading(), flush=True)
    place = stage.Stage(quick)
    lines: list[report.Line] = []
    whole = True
    try:
        for name in names:
            print(f"… {name}", file=sys.stderr, flush=True)
            try:
                lines += ROWS[name](place)
            except Exception:  # noqa: BLE001 - the other rows are worth having
                traceback.print_exc()
                whole = False
    finally:
        place.close()
    print(f"\n{report.table(lines)}\n\nSamples, least to most (how many):")
    print("\n".join(f"- {line.spread()}" for line in lines))
    print(f"\nload average at the end: {report.load()}")
    return whole


def _heading() -> str:
    programs = {
        "pydock": f"{__version__} ({build_info.commit() or 'no commit'})",
        "podman": report.version("podman", "--version"),
        "docker": report.version("dockerd", "--version"),
        "conmon": report.version("conmon", "--version"),
        "runc": report.version("runc", "--version"),
    }
    return f"{report.machine(programs)}\nload average at the start: {report.load()}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="pydock beside podman and bare conmon+runc.")
    parser.add_argument("--rows", type=_rows, default=list(ROWS), metavar="NAME,…", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a first look, not to be quoted")
    return parser.parse_args()


def _rows(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return names


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

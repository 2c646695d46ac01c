"""The table of the benchmarks says what was measured, and whether that is good enough."""

from __future__ import annotations

import pytest

from bench.report import Line, percentile, table

RATIO = Line("one", [0.04, 0.9, 0.06], peers={"podman": [0.1, 0.12, 0.3], "bare": [0.02]}, against="podman", most=0.5)


def test_medians_ratio_and_aim_stand_in_one_row() -> None:
    assert RATIO.cells() == ("one", "60 ms", "120 ms", "", "20 ms", "0.50 × podman", "≤ 0.5 × podman", "met")
    late = Line("one", [0.07], peers=RATIO.peers, against="podman", most=0.5)
    assert late.cells()[-1] == "MISSED"


@pytest.mark.parametrize(("share", "met"), [(0.005, True), (0.0051, False)])
def test_an_aim_of_its_own_needs_no_peer(share: float, met: bool) -> None:
    line = Line("idle", [share], "%", most=0.005)
    assert line.met is met
    assert line.cells()[2:7] == ("", "", "", "", "≤ 0.50 %")


def test_a_line_without_aim_only_tells() -> None:
    line = Line("removal", [1.5], "s", {"podman": [3.0]})
    assert line.cells() == ("removal", "1.50 s", "3.00 s", "", "", "0.50 × podman", "", "")


def test_a_percentile_is_a_sample_that_so_many_do_not_exceed() -> None:
    samples = [float(number) for number in range(100, 0, -1)]
    assert (percentile(samples, 0.99), percentile(samples, 0.5), percentile(samples, 0.0)) == (99.0, 50.0, 1.0)
    assert percentile([3.0, 9.0, 1.0], 0.99) == 9.0


def test_the_table_is_markdown_with_even_columns() -> None:
    lines = table([RATIO, Line("idle", [0.001], "%")]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert all(line.startswith("|") and line.endswith("|") for line in lines)
    assert lines[3].split("|")[1:3] == [" idle ", " 0.10 % "]

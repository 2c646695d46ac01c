"""Quantities are exact, rounded up, and bounded."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import errors
from reconciler.model import quantity, signals


@pytest.mark.parametrize(
    ("value", "millicores"),
    [("500m", 500), (0.5, 500), ("1.5", 1500), (2, 2000), ("0.0101", 11), ("1e1", 10_000), (".25", 250), ("1.", 1000)],
)
def test_cpu(value: str | float, millicores: int) -> None:
    assert quantity.millicores(value) == millicores


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("64Mi", 64 << 20),
        (7_000_000, 7_000_000),
        ("1.5Gi", 3 << 29),
        ("8M", 8_000_000),
        ("1e7", 10**7),
        ("7E", 7 * 10**18),
        ("6291455.1", 6 << 20),
    ],
)
def test_memory(value: str | int, count: int) -> None:
    assert quantity.memory(value) == count


@pytest.mark.parametrize(
    "value", ["", "abc", "-1", "1 Mi", "1mi", "1MiB", "0x10", "1e999", "1,5", "\u0661", "1\n", "inf", "1e", "9" * 31]
)
def test_what_is_no_quantity(value: str) -> None:
    with pytest.raises(errors.Invalid):
        quantity.parse(value)


def test_ranges() -> None:
    for value in ("0", "9m", "2000000", float("inf"), float("nan"), 1e-9):
        with pytest.raises(errors.Invalid):
            quantity.millicores(value)
    for value in ("0", "5Mi", "8Ei", "100m"):
        with pytest.raises(errors.Invalid):
            quantity.memory(value)


@given(st.integers(1, 10**12), st.sampled_from(["", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_suffixes_are_exact(number: int, suffix: str) -> None:
    factor = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}[suffix]
    assert quantity.parse(f"{number}{suffix}") == Fraction(number * factor)


@pytest.mark.parametrize(
    ("name", "number"),
    [("SIGTERM", 15), ("TERM", 15), ("15", 15), ("SIGRTMIN+3", 37), ("RTMIN", 34), ("SIGRTMAX-1", 63), ("sigkill", 9)],
)
def test_signals(name: str, number: int) -> None:
    assert signals.number(name) == number


@pytest.mark.parametrize(
    "name", ["", "SIG", "SIGFOO", "0", "65", "SIGRTMIN+31", "SIGRTMAX+1", "__class__", "-1", "9" * 5000]
)
def test_no_signals(name: str) -> None:
    with pytest.raises(errors.Invalid):
        signals.number(name)

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli import times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30", 30.0),
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("0", 0.0),
        ("0.5", 0.5),
        ("2d", 172800.0),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert times.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "1x", "1m 30s", "-1s", "1m30", "١s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: expected something like 30s, 1m30s or 2h"):
        times.seconds(text)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m"),
        (192, "3m12s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 720, "3h12m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (9 * 86400, "9d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
    ],
)
def test_ages_read_as_in_kubectl(seconds: float, expected: str) -> None:
    assert times.age(seconds) == expected


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 31)))
def test_stamps(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    stamp = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert times.unix(stamp) == pytest.approx(moment.timestamp(), abs=1e-4)


@pytest.mark.parametrize("text", ["", "yesterday", "2025-01-01", "2025-01-01T00:00:00+01:00"])
def test_what_is_no_stamp_is_unknown(text: str) -> None:
    assert times.unix(text) is None
    assert times.since(text) == "<unknown>"


def test_since() -> None:
    assert times.since("2025-01-01T00:00:00Z", 1735689600 + 65) == "65s"
    assert times.since(None) == times.ago(0.0) == times.ago(None) == "<unknown>"
    assert times.ago(100.0, 160.0) == "60s"

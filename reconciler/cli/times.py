"""Times for people: ages as kubectl writes them, and durations as Go reads them."""

from __future__ import annotations

import re
import time

from reconciler.model import durations

seconds = durations.seconds
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?Z\Z")


def unix(stamp: str) -> float | None:
    """Unix seconds of an RFC 3339 time in UTC; None when it is none."""
    found = _STAMP.match(stamp)
    if not found:
        return None
    numbers = [int(part) for part in found.groups()[:6]]
    fraction = float(f"0.{found[7] or 0}")
    return _days(*numbers[:3]) * _DAY + numbers[3] * _HOUR + numbers[4] * _MINUTE + numbers[5] + fraction


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 in the Gregorian calendar (``calendar.timegm`` would cost 5 ms of imports)."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def since(stamp: str | None, now: float | None = None) -> str:
    """How long ago ``stamp`` was, as kubectl shows ages: ``45s``, ``3m12s``, ``5h``, ``12d``."""
    return ago(unix(stamp or ""), now)


def ago(moment: float | None, now: float | None = None) -> str:
    """How long ago ``moment`` was, in Unix seconds; 0 and None are unknown."""
    if not moment:
        return "<unknown>"
    return age((time.time() if now is None else now) - moment)


def age(duration: float) -> str:
    """``duration`` in seconds in at most two units, the fewer the longer it is."""
    whole = max(0, int(duration))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    return _two(whole, _YEAR, "y", _DAY, "d")


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large}{large_name}" + (f"{rest}{small_name}" if rest else "")

"""What a registry's answers mean: statuses, error bodies, Retry-After, failures of the network."""

from __future__ import annotations

import email.utils
import json
import random
import time

from reconciler import errors

#: seconds; a registry may ask for a longer pause, and is asked again all the same
MAX_DELAY = 300.0
_DEFAULT_DELAY = 5.0
_BUSY = frozenset((408, 425, 429, 500, 502, 503, 504))
MAX_WORDS = 64 << 10


def failure(status: int, retry_after: str, body: bytes) -> errors.PydockError:
    """The error for an answer that is not what was asked for."""
    words = _words(body)
    if status == 404:
        return errors.NotFound(f"it does not have it{words}")
    if status in _BUSY:
        return errors.Temporary(f"it is busy or fails (HTTP {status}){words}", delay=_delay(retry_after))
    if status in (401, 403):
        return errors.LoginNeeded(f"access is denied (HTTP {status}){words}")
    return errors.Permanent(f"it answered HTTP {status}{words}")


def network_failure(error: BaseException) -> errors.PydockError:
    """The error for a request that got no answer, or lost it half-way."""
    import ssl

    from urllib3 import exceptions

    if isinstance(error, exceptions.SSLError) and isinstance(error.args[0] if error.args else None, ssl.SSLError):
        return errors.Permanent(f"its TLS certificate or protocol is not acceptable: {error.args[0]}")
    if isinstance(error, exceptions.NameResolutionError):
        return errors.Temporary("its name cannot be resolved", delay=_DEFAULT_DELAY)
    if isinstance(error, exceptions.NewConnectionError):
        return errors.Temporary("it cannot be reached: connection refused or no route", delay=_DEFAULT_DELAY)
    if isinstance(error, exceptions.TimeoutError):
        return errors.Temporary("it does not answer in time", delay=_DEFAULT_DELAY)
    return errors.Temporary(f"the connection broke: {error}"[:300], delay=1.0)


def _delay(retry_after: str) -> float:
    """Seconds to wait: what was asked for, within bounds, with up to a tenth more so that not all hosts return at
    once."""
    text = retry_after.strip()
    seconds = _DEFAULT_DELAY
    if text.isdigit():
        seconds = float(text[:9])
    elif text:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            seconds = _DEFAULT_DELAY
    return min(max(seconds, 1.0) * (1 + random.random() / 10), MAX_DELAY)


def _words(body: bytes) -> str:
    """The registry's own words (distribution spec, "Error Codes"), made harmless for a message."""
    try:
        found = json.loads(body)["errors"][0]
        text = ": ".join(str(found[key]) for key in ("code", "message") if found.get(key))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    plain = "".join(letter if letter.isprintable() else " " for letter in text[:200])
    return f" ({plain})" if plain else ""

"""Errors for a registry's answers and for failures of the network: statuses, error bodies, Retry-After."""

from __future__ import annotations

import email.utils
import http.client
import json
import random
import time
from typing import TYPE_CHECKING, Any

from reconciler import errors
from reconciler.drivers.registry import redaction
from reconciler.model import loose

if TYPE_CHECKING:
    import ssl

#: seconds; a registry may ask for a longer pause, and is asked again all the same
MAX_DELAY = 300.0
_DEFAULT_DELAY = 5.0
#: OpenSSL's X509_V_ERR numbers: self-signed, alone or in the chain; issuer not there; first one not provable
_UNKNOWN_AUTHORITY = frozenset((18, 19, 20, 21))
#: how OpenSSL's reasons end where a server did not accept our certificate
_UNPROVED = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "CERTIFICATE_EXPIRED")
_TABLE = 'in its [registry."HOST"] of pydockd.toml'
_BUSY = frozenset((408, 425, 429, 500, 502, 503, 504))
MAX_WORDS = 64 << 10
#: characters of a registry's words in a message
_MOST_SHOWN = 200


def failure(status: int, retry_after: str, body: bytes, hide: redaction.Hide = redaction.nothing) -> errors.PydockError:
    """The error for an answer that is not what was asked for. ``hide`` takes secrets out of the registry's words."""
    words = _words(body, hide)
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
        return errors.Permanent(_tls_words(error.args[0]))
    if isinstance(error, exceptions.NameResolutionError):
        return errors.Temporary("its name cannot be resolved", delay=_DEFAULT_DELAY)
    if isinstance(error, exceptions.NewConnectionError):
        return errors.Temporary("it cannot be reached: connection refused or no route", delay=_DEFAULT_DELAY)
    if isinstance(error, exceptions.TimeoutError):
        return errors.Temporary("it does not answer in time", delay=_DEFAULT_DELAY)
    return errors.Temporary(f"the connection broke: {_how(error)}", delay=1.0)


def _how(error: BaseException) -> str:
    """What happened to the connection. The peer's own words are left out: they may repeat a secret."""
    inner = next((each for each in error.args if isinstance(each, BaseException)), None)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, http.client.IncompleteRead):
        return "it ended in the middle of an answer"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it was closed without an answer"
    if isinstance(error, http.client.HTTPException):
        return f"what came is no HTTP ({type(error).__name__})"
    return _how(inner) if inner is not None else type(error).__name__


def _tls_words(error: ssl.SSLError) -> str:
    """The fault, and the setting that would mend it."""
    import ssl

    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        unknown = error.verify_code in _UNKNOWN_AUTHORITY
        advice = f"; if it is genuine, name its authority: ca {_TABLE}" if unknown else ""
        return f"its TLS certificate is not accepted: {error.verify_message.rstrip('.')}{advice}"
    if reason.endswith(_UNPROVED):
        return f"it wants a certificate that proves us, or another one: give client_cert and client_key {_TABLE}"
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return f"it does not speak TLS; if that is as it should be, say so: plain_http = true {_TABLE}"
    return f"TLS failed: {error}"


def _delay(retry_after: str) -> float:
    """Seconds to wait: as long as the registry asks for, within bounds, and up to a tenth longer, so that not all hosts
    return at once."""
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


def _words(body: bytes, hide: redaction.Hide) -> str:
    """The registry's own words, made harmless for a message; empty if there are none."""
    try:
        text = hide(_said(loose.folded(json.loads(body))))
    except (ValueError, TypeError, RecursionError):
        return ""
    plain = "".join(letter if letter.isprintable() else " " for letter in text[:_MOST_SHOWN])
    return f" ({plain})" if plain else ""


def _said(document: dict[str, Any]) -> str:
    """Of the first error that a registry names (distribution spec, "Error Codes"), or of an answer in the forms that
    token servers use: OAuth's (RFC 6749, 5.2), and ``details`` or ``message`` alone."""
    listed = document.get("errors")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and (found := _joined(loose.folded(each), "code", "message")):
            return found
    return _joined(document, "error", "error_description") or _joined(document, "code", "message", "details")


def _joined(document: dict[str, Any], *names: str) -> str:
    values = (document.get(name) for name in names)
    return ": ".join(str(value) for value in values if isinstance(value, str | int) and value)

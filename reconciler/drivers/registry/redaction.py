"""Secrets in what a registry says. Pure.

A registry may repeat what it was sent: its words are searched before a message takes them. Our own words are not: what
is taken out of a sentence that is known would tell the secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

#: takes secrets out of a stranger's words
Hide = Callable[[str], str]

#: characters; a shorter one is found in ordinary words, and NIST SP 800-63B (5.1.1.2) allows no shorter password
SHORTEST = 8
_SHOWN = "(hidden)"


def hide(text: str, secrets: Iterable[str]) -> str:
    """``text`` without the secrets that have ``SHORTEST`` characters or more."""
    for secret in sorted({each for each in secrets if len(each) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, _SHOWN)
    return text


def nothing(text: str) -> str:
    """``text`` as it is: nobody has a secret."""
    return text

"""Lists: read page by page, encoded at once, and bounded while their callers read them."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from reconciler import errors
from reconciler.engine.answers import Share
from reconciler.engine.parts import Parts
from reconciler.jobs.selecting import Matches
from reconciler.kinds import render
from reconciler.model import kinds
from reconciler.store.base import FIRST, Place, Session

#: objects of one frame on the engine socket
_FRAME = 100


class Token(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page begins: after ``place``, in a list whose first page was at ``revision``."""

    revision: int
    place: Place


class Chosen(NamedTuple):
    """``pieces`` are encoded objects, with how many bytes each; ``token`` continues the list, empty at its end.
    ``uids`` are those of the objects."""

    revision: int
    pieces: deque[list[bytes]]
    token: str
    uids: set[str]


class Question(NamedTuple):
    """``kind`` by any of its names; ``limit`` 0 for no bound; ``token`` of the page before, empty for the first."""

    kind: str
    namespace: str
    limit: int = 0
    token: str = ""


@contextmanager
def chosen(parts: Parts, question: Question, matches: Matches) -> Iterator[tuple[Chosen, Share]]:
    """The objects that ``matches`` says yes to. What they take in memory is given back at the end, or before by the
    share. Raises ``Expired``, and what ``answers.Room`` raises."""
    with parts.answers.answer() as share:
        with parts.store.snapshot() as session:
            found = _choose(parts, session, question, matches, share)
        yield found, share


def _choose(parts: Parts, session: Session, question: Question, matches: Matches, share: Share) -> Chosen:
    token = _begin(session, question.token)
    kind = kinds.find(question.kind)
    found = Chosen(token.revision, deque(), "", set())
    piece: list[bytes] = []
    last = token.place
    for shown, place in _shown(parts, session, kind, question, token.place):
        if not matches(shown):
            continue
        if question.limit and len(found.uids) >= question.limit:
            found = found._replace(token=_text(Token(token.revision, last)))
            break
        if len(piece) >= _FRAME:
            found.pieces.append(piece)
            piece = []
        piece.append(msgspec.json.encode(shown))
        share.take(len(piece[-1]))
        found.uids.add(shown["metadata"]["uid"])
        last = place
    if piece:
        found.pieces.append(piece)
    return found


def _shown(
    parts: Parts, session: Session, kind: kinds.Kind, question: Question, after: Place
) -> Iterator[tuple[dict[str, Any], Place]]:
    namespace = question.namespace if kind.namespaced else ""
    for page in session.pages(kind.name, namespace, after):
        for entry in page:
            key = entry.desired.key
            shown = parts.images.running.put_into(render.api_object(entry.desired, entry.observed))
            yield shown, Place(key.namespace, key.name, entry.desired.uid)


def _begin(session: Session, text: str) -> Token:
    """The token of a page; for the first one, of the present revision."""
    if not text:
        return Token(session.changes.latest(), FIRST)
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(text), type=Token)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise errors.Invalid("continue is not a token that a list gave") from None
    session.changes.since(token.revision, 1)
    return token


def _text(token: Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()

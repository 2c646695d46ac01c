"""Checks values against the schemas, by jsonschema.

The schemas are JSON Schema 2020-12; a test keeps them within ``KEYWORDS``. Two things are stricter than jsonschema: a
whole number is written as one (80.0 is refused), and ``$`` in a pattern means the very end, as in ECMA 262.

jsonschema checks about a thousand specs a second, and the same document is read at each start, checked again on the
controller's side, and applied again and again: what passed once is known by its digest, and not checked twice.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from reconciler.manifest import contract, paths, sentences
from reconciler.manifest.sentences import Finding
from reconciler.model import kinds

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

#: more findings help nobody: people mend a few and try again
MAX_FINDINGS = 100
#: digests of documents that passed, about 4 MB when full
MAX_PASSED = 20_000
#: what the schemas may use: keywords that fail in words, and those that lead to others
KEYWORDS = sentences.WORDED | {"$ref", "properties", "items", "propertyNames", "if", "then", "else"}


class Passed:
    """Digests of the documents that passed, those used last; each call is one step of the interpreter, so that threads
    may share it."""

    def __init__(self, most: int = MAX_PASSED) -> None:
        self._most = most
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._digests)

    def knows(self, digest: bytes) -> bool:
        try:
            self._digests.move_to_end(digest)
        except KeyError:
            return False
        return True

    def add(self, digest: bytes) -> None:
        self._digests[digest] = None
        if len(self._digests) > self._most:
            self._digests.popitem(last=False)


passed = Passed()


def check(file: str, value: Any, path: paths.Path = ()) -> list[Finding]:
    """Everything that is wrong with ``value``, whose path is ``path``, by the schema in ``file`` (``container.json``);
    at most ``MAX_FINDINGS``."""
    digest = _digest(file, value)
    if digest and passed.knows(digest):
        return []
    errors = validator(file).iter_errors(value)
    first = next(errors, None)
    if first is None:
        if digest:
            passed.add(digest)
        return []
    told = itertools.islice(_told(itertools.chain([first], errors)), MAX_FINDINGS)
    return [finding._replace(path=path + finding.path) for finding in dict.fromkeys(told)]


def prepare() -> None:
    """Loads jsonschema and all schemas now, so that the first check need not wait for them."""
    for kind in kinds.KINDS:
        validator(contract.file_of(kind.name))


def _told(errors: Iterator[ValidationError]) -> Iterator[Finding]:
    for error in errors:
        yield from sentences.of(error)


def _digest(file: str, value: Any) -> bytes:
    """Names the value as it is (80 is not 80.0) and its schema; empty for what JSON cannot hold."""
    try:
        text = msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return b""
    return hashlib.blake2b(text, digest_size=16, person=file.encode()[:16]).digest()


@functools.cache
def validator(file: str) -> Validator:
    """The compiled schema in ``file``. jsonschema takes 60 ms to import: only who checks pays for it."""
    import jsonschema
    import referencing
    from referencing.jsonschema import DRAFT202012

    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
    extend: Any = jsonschema.validators.extend
    made = extend(jsonschema.Draft202012Validator, {"pattern": _pattern}, type_checker=types)
    # With its $schema, jsonschema would check what is referred to by the stock class, not by ours.
    metadata = {name: part for name, part in contract.read(contract.METADATA).items() if name != "$schema"}
    registry = referencing.Registry[Any]().with_resource(metadata["$id"], DRAFT202012.create_resource(metadata))
    compiled: Validator = made(contract.read(file), registry=registry)
    return compiled


def _is_integer(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_validator: Validator, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and _expression(pattern).search(value) is None:
        from jsonschema.exceptions import ValidationError

        yield ValidationError("")


@functools.cache
def _expression(pattern: str) -> re.Pattern[str]:
    """A schema's pattern, ``$`` being the very end and not before a last newline."""
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))

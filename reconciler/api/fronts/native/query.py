"""Parameters of a query, and names in a path: checked before they go on."""

from __future__ import annotations

import re
from collections.abc import Iterable

import falcon

from reconciler import errors
from reconciler.api.problems import Refused
from reconciler.model import kinds
from reconciler.model.keys import Key
from reconciler.requests.declaration import DEFAULT_MANAGER

#: as ``schemas/metadata.json`` has it
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_MANAGER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@:/ -]{0,126}[A-Za-z0-9])?\Z")
_NUMBER = re.compile(r"-?\d{1,15}\Z", re.ASCII)
_TRUTH = {"true": True, "1": True, "": True, "false": False, "0": False}


class Query:
    """The parameters of a request; those not in ``allowed``, and those given twice, are refused."""

    def __init__(self, req: falcon.Request, allowed: Iterable[str]) -> None:
        self._values: dict[str, str] = {}
        for name, value in req.params.items():
            if name not in allowed:
                raise Refused(400, f"unknown query parameter {name!r}: {_listed(allowed)}")
            if not isinstance(value, str):
                raise Refused(400, f"the query parameter {name!r} is given more than once")
            self._values[name] = value

    def has(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """Empty when not given."""
        return self._values.get(name, "")

    def flag(self, name: str) -> bool:
        """``true``, ``1`` or no value at all is yes; ``false`` or ``0`` no."""
        value = self._values.get(name)
        if value is None:
            return False
        if value not in _TRUTH:
            raise Refused(400, f"the query parameter {name!r} is {value!r}: expected true or false")
        return _TRUTH[value]

    def number(self, name: str, default: int, least: int = 0, most: int = 10**12) -> int:
        value = self._values.get(name, "")
        if not value:
            return default
        if not _NUMBER.match(value) or not least <= int(value) <= most:
            raise Refused(400, f"the query parameter {name!r} is {value!r}: expected a number from {least} to {most}")
        return int(value)

    def manager(self) -> str:
        """``fieldManager``, or the default one."""
        return check_manager(self.text("fieldManager") or DEFAULT_MANAGER)

    def dry_run(self) -> bool:
        """``dryRun=All``"""
        return check_dry_run([self.text("dryRun")] if self.text("dryRun") else [])

    def key(self, name: str) -> str:
        """An object as ``KIND/NAMESPACE/NAME`` or ``KIND/NAME`` in the form keys are kept in; empty when not given."""
        value = self.text(name)
        parts = value.split("/")
        if not value:
            return ""
        if len(parts) not in (2, 3):
            raise Refused(400, f"the query parameter {name!r} is {value!r}: expected KIND/NAMESPACE/NAME or KIND/NAME")
        for part in parts[1:]:
            check_name(name, part)
        try:
            return str(Key.parse(value))
        except errors.Invalid as error:
            raise Refused(400, error.message) from None


def check_name(what: str, value: str) -> str:
    """``value`` if it can name an object or a namespace; refuses it as ``what`` otherwise."""
    if not _NAME.match(value):
        shown = value if len(value) <= 64 else value[:64] + "…"
        raise Refused(
            400,
            f"the {what} {shown!r} cannot be one: expected up to 63 of a-z 0-9 - with a letter or digit at the ends",
        )
    return value


def check_manager(value: object) -> str:
    if not isinstance(value, str) or not _MANAGER.match(value):
        raise Refused(400, f"the field manager {value!r} cannot be one: expected up to 128 letters, digits and ._@:/ -")
    return value


def check_dry_run(value: object) -> bool:
    """Whether a list of dry-run stages says ``All``; nothing else is known."""
    if value in (None, []):
        return False
    if value != ["All"]:
        raise Refused(400, f"dryRun is {value!r}: expected All")
    return True


def key_of(kind: kinds.Kind, namespace: str, name: str) -> tuple[str, str, str]:
    """Kind, namespace and name of a path, checked."""
    if kind.namespaced:
        check_name("namespace", namespace)
    return kind.name, namespace, check_name(f"{kind.singular} name", name)


def _listed(allowed: Iterable[str]) -> str:
    names = sorted(allowed)
    return f"known here are {', '.join(names)}" if names else "there are none here"

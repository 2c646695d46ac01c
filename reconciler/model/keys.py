"""The key of an object: kind, namespace, name."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.model import kinds


class Key(NamedTuple):
    """Names one object. ``namespace`` is empty for kinds of host scope.

    Its text is ``container/default/web`` or ``image/nginx``.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind.lower(), self.namespace, self.name) if part)

    @classmethod
    def of(cls, kind: str, name: str, namespace: str = "") -> Key:
        """The key with the kind's scope applied (default namespace filled in, or dropped)."""
        found = kinds.find(kind)
        return cls(found.name, (namespace or kinds.DEFAULT_NAMESPACE) if found.namespaced else "", name)

    @classmethod
    def parse(cls, text: str) -> Key:
        """The inverse of ``str``."""
        parts = text.split("/")
        return cls.of(parts[0], parts[-1], parts[1] if len(parts) > 2 else "")

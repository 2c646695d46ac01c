"""The form of a declaration: a request type, and an ``Ask`` that says where and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec

from reconciler.model import kinds

BASE = f"/apis/{kinds.API_VERSION}"
#: stands at the beginning of a path for the collection of each kind
COLLECTION = "{collection}"
CONTAINER = f"{BASE}/namespaces/{{namespace}}/{kinds.CONTAINER.plural}/{{name}}"

#: How the answer looks. ``object``: the member ``object`` of the result. ``written``: the same with status 201 for a
#: new one, and the plan beside it after a dry run. ``list``: a list object, made from streamed pages. ``lines``: the
#: items of a streaming job, one a line. ``bytes``: what the job writes to its descriptor. ``health``: a word, 503 when
#: not ready.
Reply = Literal["json", "object", "written", "list", "watch", "lines", "bytes", "health"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

#: an image's reference, a digest or an id, as it came: what it means is the controller's to say
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
#: one of these, or an empty text for none
MaybeReference = Annotated[str, msgspec.Meta(max_length=512)]
#: what a person says of an image
Words = Annotated[str, msgspec.Meta(max_length=4096)]
#: who writes, when nobody says
DEFAULT_MANAGER = "api"


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of a job, as they cross the engine socket. The controller converts and checks them again, because
    the process that strangers talk to is not to be trusted.

    Results are plain JSON values. ``object`` in a docstring is a whole object as the API shows it (``kinds.render``).
    """


class Access(NamedTuple):
    """What a caller must be allowed to do: ``verb`` (``get``, ``list``, ``watch``, ``create``, ``update``, ``patch``,
    ``delete``) of ``resource``; ``{plural}`` stands for the kind's."""

    verb: str
    resource: str

    @property
    def writes(self) -> bool:
        return self.verb not in ("get", "list", "watch")


class Ask(NamedTuple):
    """One thing the API may ask.

    ``name`` is the job's; ``handler`` is ``FILE.FUNCTION`` in ``reconciler.jobs``. A field of ``request`` that stands
    in braces in ``path`` comes from there; the others come from the query where ``method`` is GET or ``descriptor`` is
    ``in``, else from the body. ``descriptor``: the job writes to one (``out``) or reads the body from one (``in``).
    ``journal``: the job is kept in the journal. ``large``: the body may have several MiB."""

    name: str
    request: type[Request]
    method: Method
    path: str
    access: Access
    handler: str
    reply: Reply = "json"
    descriptor: Literal["", "in", "out"] = ""
    journal: bool = False
    large: bool = False

    @property
    def streams(self) -> bool:
        """Whether the job answers with items."""
        return self.reply in ("list", "watch", "lines", "bytes")

    @property
    def summary(self) -> str:
        """What it does, for people: the docstring of its request."""
        return " ".join((self.request.__doc__ or "").split())


class Route(NamedTuple):
    """One path of an ``Ask``. ``kind`` where the path is a kind's; ``fixed`` are fields that this path decides."""

    method: Method
    path: str
    kind: kinds.Kind | None = None
    fixed: Mapping[str, Any] = MappingProxyType({})


class Field(NamedTuple):
    """One field of a request: its name as clients know it, and where they put it."""

    name: str
    shown: str
    type: Any
    place: Literal["path", "query", "body"]
    required: bool
    default: Any


def named(name: str, **limits: Any) -> msgspec.Meta:
    """The annotation of a field that clients know by another name than its own in camel case."""
    return msgspec.Meta(extra={"name": name}, **limits)


def routes(ask: Ask) -> Iterator[Route]:
    """Every path of ``ask``: one for each kind, and one for each value of a literal field in it."""
    if ask.path.startswith(COLLECTION):
        for kind in kinds.KINDS:
            yield from _of_kind(ask, kind, ask.path.removeprefix(COLLECTION))
        return
    literal = next((field for field in fields(ask) if field.place == "path" and get_args(field.type)), None)
    if literal is None:
        yield Route(ask.method, ask.path)
        return
    for value in get_args(literal.type):
        yield Route(ask.method, ask.path.replace(f"{{{literal.name}}}", value), None, {literal.name: value})


def _of_kind(ask: Ask, kind: kinds.Kind, rest: str) -> Iterator[Route]:
    home = f"{BASE}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{BASE}/{kind.plural}"
    if kind.namespaced and ask.reply in ("list", "watch"):
        yield Route(ask.method, f"{BASE}/{kind.plural}", kind)
    yield Route(ask.method, home + rest, kind)


def fields(ask: Ask) -> list[Field]:
    """The fields of its request."""
    rest: Literal["query", "body"] = "query" if ask.method == "GET" or ask.descriptor == "in" else "body"
    found = []
    for info in msgspec.structs.fields(ask.request):
        place: Literal["path", "query", "body"] = "path" if f"{{{info.name}}}" in ask.path else rest
        found.append(Field(info.name, _shown(info.name, info.type), info.type, place, info.required, _default(info)))
    return found


def _default(info: msgspec.structs.FieldInfo) -> Any:
    if info.default_factory is not msgspec.NODEFAULT:
        return info.default_factory()
    return None if info.default is msgspec.NODEFAULT else info.default


def _shown(name: str, type: Any) -> str:
    for meta in getattr(type, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and "name" in (meta.extra or {}):
            return str((meta.extra or {})["name"])
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))

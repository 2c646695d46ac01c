"""What the API may ask of the Engine: one frozen type a job, its fields the job's arguments.

The API process builds them from HTTP; the controller converts and checks them again (``msgspec.convert``), because
the process that strangers talk to is not to be trusted. ``JOBS`` is the allow list.

Results are plain JSON values. ``object`` is a whole object as the API shows it (``model.render``). A *streaming* job
emits items and then ends. Jobs marked *fd* get a descriptor passed along and write raw bytes to it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from reconciler.model.credentials import Credentials


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Get(Request, frozen=True):
    """→ ``object``"""

    kind: str
    namespace: str
    name: str


class List(Request, frozen=True):
    """→ ``{"revision": int, "items": [object, …]}`` sorted by namespace and name; ``namespace`` empty means all."""

    kind: str
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""


class Watch(Request, frozen=True):
    """streams ``{"type": "ADDED"|"MODIFIED"|"DELETED"|"BOOKMARK", "object": object}``. ``revision`` 0 sends the present
    objects as ADDED first. Raises ``Expired`` when ``revision`` was compacted. ``timeout`` seconds (0: until the caller
    leaves). With ``progress`` an object whose image is being pulled comes again and again as MODIFIED, of the same
    resourceVersion, with another ``status.progress``."""

    kind: str
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    revision: int = 0
    timeout: float = 0.0
    progress: bool = False


class Write(Request, frozen=True):
    """``document`` is a whole manifest as parsed JSON. ``manager`` names who writes (``kubectl``'s fieldManager). With
    ``dry_run`` nothing changes. → ``{"object": object, "plan": plan, "outcome":
    "created"|"configured"|"unchanged"}``"""

    document: dict[str, Any]
    manager: str
    dry_run: bool = False


class Post(Write, frozen=True):
    """Creates; ``Conflict`` if the name is taken."""


class Put(Write, frozen=True):
    """Replaces the whole object; ``metadata.resourceVersion``, when given, must be the present one (``Conflict``)."""


class Apply(Write, frozen=True):
    """Declarative apply of one manager's version: keys that its last version had and this one lacks are removed, fields
    that others set stay. ``force`` takes over fields of other managers, otherwise a ``Conflict`` names them."""

    force: bool = False


class Patch(Request, frozen=True):
    """A JSON merge patch (RFC 7386) of one object. Result as ``Write``'s."""

    kind: str
    namespace: str
    name: str
    patch: dict[str, Any]
    manager: str
    dry_run: bool = False


class Delete(Request, frozen=True):
    """→ ``{"object": object, "plan": plan}``. ``uid`` and ``revision``, when given, must be the present ones."""

    kind: str
    namespace: str
    name: str
    manager: str = ""
    uid: str = ""
    revision: str = ""
    dry_run: bool = False


class Plan(Request, frozen=True):
    """The plan for applying all ``documents`` together (``delete`` True: for deleting them).
    → ``{"plan": plan, "text": str}``; ``plan["steps"]`` empty means nothing to do."""

    documents: list[dict[str, Any]]
    manager: str
    delete: bool = False


class Override(Request, frozen=True):
    """``pydock stop|start|restart`` of a container → ``{"object": object}``."""

    namespace: str
    name: str
    action: Literal["stop", "start", "restart"]


class Logs(Request, frozen=True):
    """*fd*: writes log bytes to the passed descriptor (stdout and stderr as they were written) → ``{}``. ``tail`` -1
    means all; ``timestamps`` puts RFC 3339 times before the lines; ``since`` (Unix seconds) leaves out earlier lines;
    ``previous`` asks for the run before the latest one. ``mark_with``: where another incarnation of the container
    begins, a line of ours that starts with this text tells so; empty: none does."""

    namespace: str
    name: str
    tail: int = -1
    follow: bool = False
    timestamps: bool = False
    since: float = 0.0
    previous: bool = False
    mark_with: str = ""


class Events(Request, frozen=True):
    """→ ``{"items": [event, …]}``, oldest first; ``key`` empty means all."""

    key: str = ""
    limit: int = 500


class Jobs(Request, frozen=True):
    """→ ``{"items": [job, …]}``, newest first."""

    key: str = ""
    limit: int = 100


class Sources(Request, frozen=True):
    """→ ``{"items": [{"name", "path", "state": "ok"|"held"|"unavailable", "objects": int, "files": [{"path", "state",
    "objects", "problems": [str]}], "held": [str], "digest": str, "message": str}]}``; ``held`` lists the objects whose
    removal waits, ``digest`` names exactly that set."""


class Ack(Request, frozen=True):
    """Acknowledges the held removals of a source: exactly the set that ``digest`` names → ``{"removed": [str, …]}``.
    ``Conflict`` when the set has changed since."""

    name: str
    digest: str


class Pull(Request, frozen=True):
    """streams ``{"status": str, "layer": str, "current": int, "total": int}`` while an image is pulled; the last item
    has ``"digest"`` too. ``credentials`` are for the reference's registry, and serve this job only: they are neither
    stored nor logged."""

    reference: str
    credentials: Credentials | None = None


class Tags(Request, frozen=True):
    """The tags of a repository, from its registry → ``{"repository": str, "tags": [str, …]}``, sorted. ``credentials``
    as in ``Pull``."""

    repository: str
    credentials: Credentials | None = None


class Search(Request, frozen=True):
    """What ``registry`` (host[:port]) finds for ``term`` → ``{"items": [{"name", "description", "stars": int,
    "official": bool}, …]}``, ``limit`` at most. ``credentials`` as in ``Pull``."""

    registry: str
    term: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 25
    credentials: Credentials | None = None


class Auth(Request, frozen=True):
    """Whether ``registry`` (host[:port]) takes ``credentials``, which are neither stored nor logged → ``{"registry":
    str}``; ``LoginNeeded`` when it does not."""

    registry: str
    credentials: Credentials


class LoginKeep(Request, frozen=True):
    """Keeps ``credentials`` for the host's own pulls, and for those that bring none, if the registry takes them;
    ``scope`` is REGISTRY[/REPOSITORY], the longest that an image is in counts → ``{"scope": str}``; ``LoginNeeded``
    when it does not."""

    scope: str
    credentials: Credentials


class LoginRemove(Request, frozen=True):
    """→ ``{"scope": str, "removed": bool}``"""

    scope: str


class Logins(Request, frozen=True):
    """What the host keeps logins for → ``{"items": [{"scope", "username", "since", "problem"}, …]}``, sorted by scope;
    ``problem`` says why one cannot be read. Never a password."""


class Images(Request, frozen=True):
    """The images in the graph → ``{"items": [{"reference", "digest", "imageId", "size": int, "shared": int, "own":
    int, "usedBy": [key, …], "keptBy": [key, …]}, …]}``, one item a reference, sorted by it; ``reference`` is empty for
    an image that has lost its last. ``usedBy`` are containers, ``keptBy`` Image objects; ``size`` is in bytes, of all
    layers unpacked, ``shared`` what of it other images have too, ``own`` what none has."""


class ImagesUnused(Request, frozen=True):
    """What nobody uses → as ``Images``, with ``"freed": int``: the bytes of layers and blobs that go with all of them.
    Without ``all`` only images that have no reference."""

    all: bool = False


class ImageInspect(Request, frozen=True):
    """``reference`` may be an image's id or digest too, or how it begins. → an item of ``Images`` with ``references``
    (all of the image), ``created``, ``os``, ``architecture``, ``config`` and ``layers`` (bottom first, ``size`` as
    compressed)."""

    reference: str


class ImageHistory(Request, frozen=True):
    """→ ``{"digest": str, "items": [{"created", "createdBy", "comment", "emptyLayer": bool}, …]}``, newest first."""

    reference: str


class ImageTree(Request, frozen=True):
    """How images stand on layers: that of ``reference`` (as in ``ImageInspect``) with what is below and above it, or
    all. → ``{"items": [{"chainId", "parent", "size": int, "images": [item of ``Images``, …]}, …]}``, sorted by chain
    id; ``parent`` is empty at the bottom, ``chainId`` for images without layers."""

    reference: str = ""


class SystemDf(Request, frozen=True):
    """What takes the disk, in bytes → ``{"driver", "disk": {"size", "free", "usedPercent"}, "images": [item of
    ``Images`` with ``usedAt`` (Unix seconds, 0: not known), …], "layers", "blobs", "reclaimable", "containers":
    [{"key", "id", "running": bool, "size"}, …], "logs": [{"key", "size"}, …],
    "leftovers": [{"what": "layer"|"blob"|"snapshot", "name", "size"}, …],
    "pulling": bool, "collection": {"high", "low", "min_age", "max_age"}, "warning": str}``. Images' parts are counted
    once; ``reclaimable`` goes with all images that nobody uses; there are no leftovers of images while one is pulled.
    ``collection`` is a ``model.collection.Policy``; ``warning`` says when it cannot do what it should."""


class Collectible(Request, frozen=True):
    """What the daemon's own collection would remove now → as ``ImagesUnused`` (least recently used first) with
    ``"leftovers"`` as in ``SystemDf``, and ``"lacking": int``: bytes that should go besides and cannot."""


class Collect(Request, frozen=True):
    """Has it collect now → ``{"removed": [reference, …], "freed": int}``"""


class LeftoversRemove(Request, frozen=True):
    """Removes leftovers (see ``SystemDf``), or with ``dry_run`` only tells → ``{"items": […], "freed": int}``.
    ``Conflict`` while an image is pulled or pushed."""

    dry_run: bool = False


class SystemCheck(Request, frozen=True):
    """Streams ``engine.checking.Finding`` for whatever is damaged, mended if ``repair``; the last item is
    ``{"summary": engine.checking.Summary}``."""

    repair: bool = False


class ImageRemove(Request, frozen=True):
    """Forgets references, all or none; ``Conflict`` names who uses one, or says that it is being pulled. ``exact``:
    they are as ``Images`` lists them (the digest where there is none), no ids. → as ``ImagesUnused``: what was
    forgotten, or with ``dry_run`` would be."""

    references: list[str]
    exact: bool = False
    dry_run: bool = False


class ImageTag(Request, frozen=True):
    """Gives the image that ``source`` means (as in ``ImageInspect``) one more reference, which may have meant another.
    ``Conflict`` while ``target`` is being pulled. → an item of ``Images``"""

    source: str
    target: str


class Push(Request, frozen=True):
    """Streams as ``Pull`` does, while the image of that reference goes to its registry."""

    reference: str
    credentials: Credentials | None = None


class ImageSave(Request, frozen=True):
    """*fd*: writes an archive of images to the passed descriptor → ``{}``. ``references`` are as in ``ImageInspect``;
    ``docker``: it is one that ``docker load`` takes too."""

    references: list[str]
    docker: bool = False


class ImageLoad(Request, frozen=True):
    """*fd*: reads an archive from the passed descriptor, to its end; streams as ``Pull`` does, items with ``digest``
    have ``reference`` too. ``name`` is given to the archive's only image (empty: the archive names its images)."""

    name: str = ""


class ImageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What an image that is made says of how it runs."""

    cmd: list[str] = []
    entrypoint: list[str] = []
    env: list[str] = []
    labels: dict[str, str] = {}
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""


class ImageImport(Request, frozen=True):
    """*fd*: reads the archive of a root file system from the passed descriptor, plain or packed with gzip or zstd, and
    makes an image of it. Streams as ``ImageLoad`` does."""

    reference: str
    message: str = ""
    config: ImageConfig = ImageConfig()


class Commit(Request, frozen=True):
    """Makes an image of a container: of its image, and of what it changed in its files. ``reference`` empty: it gets no
    name. Streams as ``ImageLoad`` does; ``reference`` is the digest when it has no name."""

    namespace: str
    name: str
    reference: str = ""
    author: str = ""
    message: str = ""
    config: ImageConfig = ImageConfig()


class Version(Request, frozen=True):
    """→ ``{"version", "apiVersion", "commit", "python", "os", "arch", "kernel", "instance", "drivers": {"exec",
    "graph", "network", "registry"}}``"""


class Ping(Request, frozen=True):
    """→ ``{"ready": bool}``"""


class Commands(Request, frozen=True):
    """→ ``{"commands": [str, …]}``: every handler the Engine has."""


#: job name → its arguments: the API's allow list
JOBS: dict[str, type[Request]] = {
    "get": Get,
    "list": List,
    "watch": Watch,
    "post": Post,
    "put": Put,
    "apply": Apply,
    "patch": Patch,
    "delete": Delete,
    "plan": Plan,
    "override": Override,
    "logs": Logs,
    "events": Events,
    "jobs": Jobs,
    "sources": Sources,
    "ack": Ack,
    "pull_image": Pull,
    "images": Images,
    "images_unused": ImagesUnused,
    "image_inspect": ImageInspect,
    "image_history": ImageHistory,
    "image_tree": ImageTree,
    "system_df": SystemDf,
    "collectible": Collectible,
    "collect": Collect,
    "leftovers_remove": LeftoversRemove,
    "system_check": SystemCheck,
    "image_remove": ImageRemove,
    "image_tag": ImageTag,
    "push_image": Push,
    "image_save": ImageSave,
    "image_load": ImageLoad,
    "image_import": ImageImport,
    "commit": Commit,
    "tags": Tags,
    "search": Search,
    "auth": Auth,
    "login_keep": LoginKeep,
    "login_remove": LoginRemove,
    "logins": Logins,
    "version": Version,
    "ping": Ping,
    "commands": Commands,
}
STREAMING: frozenset[str] = frozenset(
    {"watch", "pull_image", "push_image", "image_load", "image_import", "commit", "system_check"}
)

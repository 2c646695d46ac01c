"""The metadata of a manifest, the same for every kind: described here, kept in ``model.objects.Desired``."""

from __future__ import annotations

from typing import Annotated, Any

from reconciler.model.fields import Field, Spec

_NAME = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_LABEL = "a DNS label: 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit"
_QUALIFIED = (
    r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*/)?"
    "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
_Qualified = Annotated[
    str,
    Field(
        "",
        pattern=_QUALIFIED,
        max_length=317,
        expects="a qualified name: an optional DNS prefix and '/', then 1 to 63 of letters, digits, '-', '_' and '.', "
        "starting and ending with a letter or digit",
    ),
]
_LabelValue = Annotated[
    str,
    Field(
        "The label's value.",
        pattern="^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$",
        expects="at most 63 of letters, digits, '-', '_' and '.', starting and ending with a letter or digit",
    ),
]
_Annotation = Annotated[str, Field("The annotation's value.", max_length=262144)]
_UID = "Set by the server: identifies this object, also among successors of its name. Ignored when written."
_REVISION = "Set by the server: the revision of the last change. On a replace it must be the present one."
_DELETED = "Set by the server on an object that is being removed. Ignored when written."
_FINALIZERS = "Set by the server: what must happen before the object is gone. Ignored when written."


def _set(doc: str = "Set by the server. Ignored when written.", nullable: bool = False) -> Field:
    return Field(doc, read_only=True, nullable=nullable)


class Metadata(Spec, frozen=True):
    """For the schema alone: nothing is converted to this type."""

    name: Annotated[
        str,
        Field("The object's name, unique among live objects of its kind and namespace.", pattern=_NAME, expects=_LABEL),
    ]
    namespace: Annotated[
        str | None,
        Field(
            "The namespace of a namespaced kind; 'default' when left out. Images have none.",
            pattern=_NAME,
            expects=_LABEL,
        ),
    ] = None
    labels: Annotated[
        dict[_Qualified, _LabelValue] | None, Field("Key and value pairs that selectors match.", max_properties=256)
    ] = None
    annotations: Annotated[
        dict[_Qualified, _Annotation] | None,
        Field("Key and value pairs for people and tools; pydock does not read them.", max_properties=1024),
    ] = None
    uid: Annotated[str | None, _set(_UID)] = None
    resource_version: Annotated[str | None, _set(_REVISION)] = None
    generation: Annotated[int | None, _set("Set by the server: counts changes of spec. Ignored when written.")] = None
    creation_timestamp: Annotated[str | None, _set(nullable=True)] = None
    deletion_timestamp: Annotated[str | None, _set(_DELETED, nullable=True)] = None
    deletion_grace_period_seconds: Annotated[int | None, _set(nullable=True)] = None
    self_link: Annotated[str | None, _set("Set by older servers. Ignored when written.")] = None
    finalizers: Annotated[list[Any] | None, _set(_FINALIZERS)] = None
    owner_references: Annotated[list[Any] | None, _set()] = None
    managed_fields: Annotated[
        list[Any] | None, _set("Set by the server: who applied which fields. Ignored when written.")
    ] = None


FIELD = Field("Names an object and carries what is attached to it.", later=("generateName",))

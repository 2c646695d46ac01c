"""Who refers to whom, and in which role: by name, by uid, or to an image."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.model.keys import Key


class Ref(NamedTuple):
    """One reference of an object. ``role`` says what for, such as ``network`` or ``dependsOn``; ``target`` is the text
    that is looked up when somebody asks who refers to it; ``key`` is the object that is named, where one is. A
    reference with ``unless`` counts only where no live object has that key."""

    role: str
    target: str
    key: Key | None = None
    unless: Key | None = None


def named(role: str, key: Key, unless: Key | None = None) -> Ref:
    """To whatever object has that name."""
    return Ref(role, str(key), key, unless)


def of_uid(role: str, uid: str) -> Ref:
    """To this object and no successor of its name."""
    return Ref(role, uid_target(uid))


def of_image(role: str, reference: str) -> Ref:
    """To an image by its normalised reference."""
    return Ref(role, image_target(reference))


def uid_target(uid: str) -> str:
    return f"uid:{uid}"


def image_target(reference: str) -> str:
    return f"image:{reference}"


def image_id_target(image_id: str) -> str:
    return f"image-id:{image_id}"

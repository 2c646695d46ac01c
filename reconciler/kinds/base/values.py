"""Descriptions of values that fields of several kinds hold: an image, a name, a path, a quantity."""

from __future__ import annotations

from typing import Any, Literal

from reconciler.model import forms
from reconciler.model.fields import Field

PullPolicy = Literal["Always", "IfNotPresent", "Never", "Newer"]

_REFERENCE = r"^[A-Za-z0-9\[][A-Za-z0-9._:/@\[\]+-]*$"
_NAME = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_PATH = r"^/[^\u0000-\u001f\u007f]*$"
_ADDRESS = r"^([0-9]{1,3}\.){3}[0-9]{1,3}$"
_QUANTITY = r"^([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([KMGTPE]i|[mkMGTPE]|[eE][+-]?[0-9]{1,2})?$"


def image(doc: str) -> Field:
    """A reference. Another spelling of the same image is recorded: whoever follows it looks for the text."""
    return Field(
        doc,
        pattern=_REFERENCE,
        expects="an image reference such as nginx, nginx:1.27, registry.example/team/app:tag or app@sha256:…",
        min_length=1,
        max_length=512,
        form=forms.image,
        record_spelling=True,
    )


def name(doc: str, **more: Any) -> Field:
    """A DNS label: an object's name, a host's."""
    expects = "a DNS label: 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit"
    return Field(doc, pattern=_NAME, expects=expects, **more)


def path(doc: str, form: Any = forms.path) -> Field:
    expects = "an absolute path without control characters"
    return Field(doc, pattern=_PATH, expects=expects, min_length=1, max_length=4095, form=form)


def quantity(doc: str, form: Any) -> Field:
    """Kubernetes' quantity, in the unit that ``form`` gives."""
    expects = "a quantity: a number with an optional suffix, such as 500m, 1.5, 64Mi or 2G"
    return Field(doc, pattern=_QUANTITY, expects=expects, max_length=64, form=form)


def address(doc: str, example: str) -> Field:
    return Field(doc, pattern=_ADDRESS, expects=f"an IPv4 address such as {example}", form=forms.address)

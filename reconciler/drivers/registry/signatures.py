"""Signatures as cosign stores them: an image ``NAME:sha256-HEX.sig`` beside the image whose digest is HEX.

Its layers are *payloads*, small JSON documents in the "simple signing" form, each with its signature as an annotation
(cosign's ``specs/SIGNATURE_SPEC.md``). Whoever has a key of the signer can tell that a payload is the signer's, and
what it says of which image: nothing that the registry says of them counts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from reconciler import errors
from reconciler.drivers.registry import base
from reconciler.model import foreign, references

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"
#: payloads of one image that are looked at, and bytes of each
MOST, MOST_BYTES = 50, 64 << 10
_TYPE = "cosign container image signature"


class Offer(NamedTuple):
    """A payload that is still to be fetched."""

    blob: base.Descriptor
    signature: bytes


class _Layer(base.Descriptor, frozen=True, rename="camel"):
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Manifest(msgspec.Struct):
    layers: list[_Layer] = []


class _Identity(msgspec.Struct):
    docker_reference: str = msgspec.field(name="docker-reference", default="")


class _Image(msgspec.Struct):
    digest: str = msgspec.field(name="docker-manifest-digest")


class _Critical(msgspec.Struct):
    identity: _Identity
    image: _Image
    type: str


class _Payload(msgspec.Struct):
    critical: _Critical


def tag(digest: str) -> str:
    """Under which the signatures of an image are."""
    return f"{digest.replace(':', '-', 1)}.sig"


def offers(raw: bytes) -> list[Offer]:
    """What the manifest of signatures names, ``MOST`` at most; what makes no sense is left out."""
    layers = foreign.decode(raw, _Manifest, "its manifest of signatures").layers
    return [
        Offer(layer, signature)
        for layer in layers[:MOST]
        if layer.media_type == PAYLOAD and 0 < layer.size <= MOST_BYTES
        if (signature := _decoded(layer.annotations.get(ANNOTATION, "")))
    ]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def key(path: str) -> Any:
    """The public key in a PEM file. Raises ``Permanent`` naming the file."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        with open(path, "rb") as file:
            found = load_pem_public_key(file.read(MOST_BYTES))
    except OSError as error:
        raise errors.Permanent(f"key {path}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise errors.Permanent(f"key {path}: it is no public key in PEM form (as `cosign public-key` prints)") from None
    if not isinstance(found, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise errors.Permanent(f"key {path}: expected ECDSA, RSA or Ed25519")
    return found


def problem(found: base.Signature, keys: Iterable[Any], digests: Iterable[str], identity: str) -> str:
    """Why a signature does not count for the image that has ``digests`` (its manifest's, its index's) and that is
    called ``identity`` (registry/path); empty if it does."""
    if not any(_fits(key, found) for key in keys):
        return "it is of none of the keys"
    try:
        critical = msgspec.json.decode(found.payload, type=_Payload).critical
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "what is signed is no statement about an image"
    if critical.type != _TYPE:
        return "what is signed is a statement of another type"
    if critical.image.digest not in digests:
        return "what is signed is another image"
    try:
        named = references.parse(critical.identity.docker_reference).name
    except errors.Invalid:
        return "what is signed names no image"
    return "" if named == identity else f"what is signed is called {named}"


def _fits(key: Any, found: base.Signature) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(found.signature, found.payload, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(found.signature, found.payload, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(found.signature, found.payload)
    except InvalidSignature:
        return False
    return True

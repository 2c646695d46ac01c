"""Signs images as cosign does, with the `cryptography` package, and puts the signatures beside them in a registry."""

from __future__ import annotations

import base64
import json
import pathlib
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reconciler.drivers.registry import base, manifests, signatures
from reconciler.testing import images

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def make(kind: str = "ecdsa") -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def write_public(key: Key, path: pathlib.Path) -> str:
    """The path of the PEM file."""
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(path)


def payload(name: str, digest: str, **changes: Any) -> bytes:
    """The statement that the image ``digest`` is called ``name``."""
    critical = {
        "identity": {"docker-reference": name},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return json.dumps({"critical": critical | changes, "optional": None}).encode()


def sign(key: Key, statement: bytes) -> base.Signature:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return base.Signature(statement, key.sign(statement, ec.ECDSA(hashes.SHA256())))
    if isinstance(key, rsa.RSAPrivateKey):
        return base.Signature(statement, key.sign(statement, padding.PKCS1v15(), hashes.SHA256()))
    return base.Signature(statement, key.sign(statement))


def image(found: list[base.Signature]) -> images.Image:
    """As it is stored under ``signatures.tag``."""
    config = b"{}"
    layers = [
        {"mediaType": signatures.PAYLOAD, "digest": images.digest(each.payload), "size": len(each.payload),
         "annotations": {signatures.ANNOTATION: base64.b64encode(each.signature).decode()}}
        for each in found
    ]  # fmt: skip
    document = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": images.digest(config),
                   "size": len(config)},
        "layers": layers,
    }  # fmt: skip
    blobs = {images.digest(data): data for data in (config, *(each.payload for each in found))}
    return images.Image(json.dumps(document).encode(), manifests.OCI_MANIFEST, blobs)


def push(address: str, path: str, digest: str, found: list[base.Signature]) -> None:
    images.push(address, path, signatures.tag(digest), image(found))

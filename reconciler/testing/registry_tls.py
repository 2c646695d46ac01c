"""Registries with TLS: an authority of the tests' own, its certificates, and Debian's docker-registry with them."""

from __future__ import annotations

import contextlib
import pathlib
import ssl
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.testing import images

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Pair(NamedTuple):
    """PEM files of a certificate and its key."""

    cert: pathlib.Path
    key: pathlib.Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    """Makes certificates that its own, ``cert``, proves."""

    def __init__(self, directory: pathlib.Path, name: str = "authority") -> None:
        self._directory = directory
        self.cert, self.key = directory / f"{name}.crt", directory / f"{name}.key"
        _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN=pydock tests {name}", "-keyout", self.key,
                 "-out", self.cert)  # fmt: skip

    def issue(self, name: str, names: str = "IP:127.0.0.1,DNS:localhost", days: int = 2) -> Pair:
        """A certificate for ``names`` (subjectAltName); with negative ``days`` one that has expired."""
        made = Pair(self._directory / f"{name}.cert", self._directory / f"{name}.key")
        request, extension = made.cert.with_suffix(".csr"), made.cert.with_suffix(".ext")
        extension.write_text(f"subjectAltName={names}\n")
        _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
                 "-days", str(days), "-extfile", extension, "-out", made.cert)  # fmt: skip
        return made


@contextlib.contextmanager
def serving(open_registry: images.Server, pair: Pair, clients: pathlib.Path | None = None) -> Iterator[images.Server]:
    """A second registry over the data of ``open_registry``, with TLS; with ``clients``, it wants a certificate that
    this authority proves."""
    tls = f"  tls:\n    certificate: {pair.cert}\n    key: {pair.key}\n"
    if clients is not None:
        tls += f"    clientcas: [{clients}]\n"
    server = images.start_registry(open_registry.directory, tls=tls)
    try:
        yield server
    finally:
        server.stop()


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

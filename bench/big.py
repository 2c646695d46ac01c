"""The big image: three layers, 232 MB packed and 28,000 files, as an OCI layout on the disk.

A system as debootstrap makes it, 20,000 small files, and 200 MB half of which is random: much metadata, many files, and
much data, as images of the field have them in turn. Nothing of it is kept in memory.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import zstandard

from bench import apart
from reconciler.drivers.registry import manifests

_RELEASE = "bookworm"
_FILES, _IN_A_DIRECTORY = 20_000, 100
#: bytes
_LARGEST = 12_800
_MEBIBYTE = 1 << 20
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_TAG = "org.opencontainers.image.ref.name"
_CONFIG = "application/vnd.oci.image.config.v1+json"


class Layer(NamedTuple):
    descriptor: dict[str, Any]
    diff_id: str


class Layout:
    """An OCI layout that is being made: ``layer`` adds to the image, ``close`` writes what describes it."""

    def __init__(self, directory: Path) -> None:
        self._blobs = directory / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)
        self.directory = directory

    def layer(self, chunks: Iterable[bytes], packing: str = "gzip") -> Layer:
        """The layer whose tar archive comes in ``chunks``; ``packing`` is gzip, zstd or nothing."""
        aside = self._blobs / "aside"
        diff = hashlib.sha256()
        with open(aside, "wb") as raw:
            with contextlib.ExitStack() as stack:
                file = stack.enter_context(_packed(raw, packing)) if packing else raw
                for chunk in chunks:
                    diff.update(chunk)
                    file.write(chunk)
        return Layer(self._named(aside, f"{_LAYER}+{packing}" if packing else _LAYER), f"sha256:{diff.hexdigest()}")

    def repacked(self, layer: Layer, packing: str) -> Layer:
        """A layer of gzip, packed otherwise."""
        with gzip.open(self._blobs / layer.descriptor["digest"].removeprefix("sha256:")) as file:
            return self.layer(iter(lambda: file.read(_MEBIBYTE), b""), packing)

    def push(self, repository: str) -> None:
        """All images, as they are, to a registry without TLS."""
        for entry in json.loads((self.directory / "index.json").read_text())["manifests"]:
            tag = entry["annotations"][_TAG]
            words = ("-q", "--preserve-digests", "--dest-tls-verify=false")
            places = (f"oci:{self.directory}:{tag}", f"docker://{repository}:{tag}")
            subprocess.run(["skopeo", "copy", *words, *places], check=True, capture_output=True)

    def image(self, tag: str, layers: Sequence[Layer]) -> None:
        """Adds an image of these layers."""
        platform = manifests.host_platform(os.uname().machine)
        config = {
            "os": platform.os,
            "architecture": platform.architecture,
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST,
            "config": self._document(config, _CONFIG),
            "layers": [layer.descriptor for layer in layers],
        }
        entry = self._document(manifest, manifests.OCI_MANIFEST)
        path = self.directory / "index.json"
        index: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
        if path.exists():
            index = json.loads(path.read_text())
        index["manifests"].append({**entry, "annotations": {_TAG: tag}})
        path.write_text(json.dumps(index))
        (self.directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def _document(self, document: dict[str, Any], media_type: str) -> dict[str, Any]:
        aside = self._blobs / "aside"
        aside.write_text(json.dumps(document))
        return self._named(aside, media_type)

    def _named(self, aside: Path, media_type: str) -> dict[str, Any]:
        with open(aside, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.rename(aside, self._blobs / digest)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": (self._blobs / digest).stat().st_size}


def make(directory: Path) -> Layout:
    """Images ``three`` (the big one), ``zstd`` (the same), ``other`` (its two lower layers and another on top) and
    ``huge`` (one layer of 2 GB, not packed)."""
    layout = Layout(directory)
    lower = [layout.layer(_system(directory / "system")), layout.layer(_small())]
    three = [*lower, layout.layer(_half_random(1))]
    layout.image("three", three)
    layout.image("zstd", [layout.repacked(layer, "zstd") for layer in three])
    layout.image("other", [*lower, layout.layer(_half_random(2, 20))])
    layout.image("huge", [layout.layer(_random(3, 2000), packing="")])
    return layout


def _packed(raw: IO[bytes], packing: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    if packing == "zstd":
        return cast(IO[bytes], zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False))
    return cast(IO[bytes], gzip.GzipFile("", "wb", 6, raw, mtime=0))


def _system(work: Path) -> Iterator[bytes]:
    try:
        command = apart.with_network("debootstrap", "--variant=minbase", _RELEASE, str(work))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"debootstrap: {done.stdout[-500:]}{done.stderr[-500:]}")
        for package in (work / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        words = ("--sort=name", "--numeric-owner", "--xattrs", "--format=pax", "-cf", "-", ".")
        command = ["tar", "-C", str(work), *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while chunk := process.stdout.read(_MEBIBYTE):
                yield chunk
        if process.returncode != 0:
            raise AssertionError(f"tar ended with {process.returncode}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _small() -> Iterator[bytes]:
    """Files one half of which is random."""
    dice = random.Random(0)
    for number in range(_FILES):
        directory = f"srv/small/{number // _IN_A_DIRECTORY:03}"
        if number % _IN_A_DIRECTORY == 0:
            yield _head(directory, tarfile.DIRTYPE, 0, 0o755)
        half = dice.randrange(_LARGEST // 2)
        yield _head(f"{directory}/{number:05}", tarfile.REGTYPE, 2 * half)
        yield dice.randbytes(half) + b"x" * half + b"\0" * (-2 * half % tarfile.BLOCKSIZE)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


def _half_random(seed: int, mebibytes: int = 200) -> Iterator[bytes]:
    dice = random.Random(seed)
    yield _head(f"srv/half-{seed}", tarfile.REGTYPE, mebibytes * _MEBIBYTE)
    for _ in range(mebibytes // 2):
        yield dice.randbytes(_MEBIBYTE)
        yield b"half of it says nothing new\n"[:28] * (_MEBIBYTE // 28) + b"." * (_MEBIBYTE % 28)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


def _random(seed: int, mebibytes: int) -> Iterator[bytes]:
    dice = random.Random(seed)
    yield _head("srv/huge", tarfile.REGTYPE, mebibytes * _MEBIBYTE)
    for _ in range(mebibytes):
        yield dice.randbytes(_MEBIBYTE)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


def _head(name: str, kind: bytes, size: int, mode: int = 0o644) -> bytes:
    found = tarfile.TarInfo(name)
    found.type, found.size, found.mode, found.mtime = kind, size, mode, 1_700_000_000
    return found.tobuf(tarfile.PAX_FORMAT)

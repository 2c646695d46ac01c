"""Talking to nftables: text in, JSON out.

``Library`` calls libnftables in this process (one element 0.1 ms), ``Command`` forks ``nft`` where the library is
missing (12 ms). Text, not JSON, goes in: nft 1.0.6 cannot read its own JSON of maps with concatenated values.
"""

from __future__ import annotations

import ctypes
import shutil
from typing import Protocol

from reconciler import errors
from reconciler.drivers import commands

#: seconds that the nft command may take (measured: 12 ms, and 0.3 s for 10,000 elements)
TIMEOUT = 30.0
_LIBRARY = "libnftables.so.1"
_SEARCHED = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
_STATELESS, _JSON = 1 << 2, 1 << 4


class NftError(OSError):
    """What nft says of commands that it did not carry out (none of a text's commands then was)."""


class Nft(Protocol):
    """One user at a time. The network namespace is that of the thread which opened it."""

    name: str

    def run(self, text: str) -> None:
        """Carries out all commands of ``text`` in one transaction. Raises ``NftError``."""

    def read(self, text: str) -> str:
        """Carries out a list command and returns its JSON. Raises ``NftError``."""

    def close(self) -> None: ...


class Library:
    """libnftables by ctypes."""

    name = "libnftables"

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(_LIBRARY)
        self._declare()
        self._context = self._lib.nft_ctx_new(0)
        if not self._context:
            raise errors.Permanent("libnftables gives no context")
        self._lib.nft_ctx_buffer_output(self._context)
        self._lib.nft_ctx_buffer_error(self._context)

    def _declare(self) -> None:
        lib = self._lib
        lib.nft_ctx_new.restype = ctypes.c_void_p
        lib.nft_ctx_new.argtypes = [ctypes.c_uint32]
        for function in (lib.nft_ctx_free, lib.nft_ctx_buffer_output, lib.nft_ctx_buffer_error):
            function.argtypes = [ctypes.c_void_p]
        for function in (lib.nft_ctx_get_output_buffer, lib.nft_ctx_get_error_buffer):
            function.argtypes = [ctypes.c_void_p]
            function.restype = ctypes.c_char_p
        lib.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]

    def run(self, text: str) -> None:
        self._call(text, 0)

    def read(self, text: str) -> str:
        return self._call(text, _JSON | _STATELESS)

    def _call(self, text: str, flags: int) -> str:
        self._lib.nft_ctx_output_set_flags(self._context, flags)
        failed = self._lib.nft_run_cmd_from_buffer(self._context, text.encode())
        # Each of the two empties its buffer, so both are read every time.
        output = self._lib.nft_ctx_get_output_buffer(self._context) or b""
        words = self._lib.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise NftError(words.decode(errors="replace").strip() or "nftables refused without a word")
        return str(output.decode())

    def close(self) -> None:
        if self._context:
            self._lib.nft_ctx_free(self._context)
            self._context = None


class Command:
    """The nft command."""

    name = "nft command"

    def __init__(self, path: str) -> None:
        self._path = path

    def run(self, text: str) -> None:
        self._call(["-f", "-"], text)

    def read(self, text: str) -> str:
        # As arguments: told to write JSON, nft takes what comes by -f for JSON too.
        return self._call(["-j", "-s", *text.split()], "")

    def _call(self, arguments: list[str], text: str) -> str:
        command = [self._path, *arguments]
        try:
            # others wait for the firewall meanwhile
            status, output, words = commands.run(command, TIMEOUT, text)
        except TimeoutError as error:
            raise NftError(str(error)) from None
        if status:
            raise NftError(words.strip() or f"nft ended with status {status}")
        return output

    def close(self) -> None:
        """Holds nothing."""


def open_nft() -> Nft:
    """The library, or else the command. Raises ``Permanent`` when there is neither."""
    try:
        return Library()
    except OSError as error:
        path = shutil.which("nft", path=_SEARCHED)
        if path is None:
            raise errors.Permanent(
                f"nftables is needed and was not found: {error}; no nft command either (Debian: apt install nftables)"
            ) from error
        return Command(path)

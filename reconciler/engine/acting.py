"""Which login a registry is asked with."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from reconciler import errors
from reconciler.drivers.registry.base import Registry
from reconciler.engine.parts import Parts
from reconciler.model.credentials import Credentials
from reconciler.model.references import Reference

log = logging.getLogger("pydock.logins")


@contextlib.contextmanager
def acting(parts: Parts, reference: Reference, given: Credentials | None, *, own: bool) -> Iterator[Registry]:
    """The registry driver with the login that came with the request, or else the one that the host keeps.

    ``own``: it is for a pull of the host itself, for which people log in on the host. A login that is kept but
    cannot be read is an error only where the registry wants one: others' images are still pulled.
    """
    kept, problem = None, ""
    if given is None:
        try:
            kept = parts.logins.find(reference)
        except errors.Permanent as error:
            problem = error.message
            log.warning("%s", problem)
    login = given or kept
    try:
        yield parts.registry if login is None else parts.registry.acting(reference.registry, login)
    except errors.LoginNeeded as error:
        # the driver's sentence ends with the command that helps a person's own pulls
        error.args = (f"{error.message}{' --on-host' if own else ''}{f' ({problem})' if problem else ''}",)
        raise

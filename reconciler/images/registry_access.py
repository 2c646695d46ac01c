"""The registry driver as one pull uses it: with the login that it was given, or that the host keeps."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from reconciler import errors
from reconciler.drivers.registry.base import Registry
from reconciler.images.service import ImageService
from reconciler.model.credentials import Credentials
from reconciler.model.references import Reference

log = logging.getLogger("pydock.logins")


@contextlib.contextmanager
def acting(service: ImageService, reference: Reference, given: Credentials | None, *, own: bool) -> Iterator[Registry]:
    """The registry driver with the login that came with the request, or else the one that the host keeps.

    ``own``: it is for a pull of the host itself, for which people log in on the host. A login that is kept but
    cannot be read is an error only where the registry wants one: others' images are still pulled.
    """
    kept, problem = None, ""
    if given is None:
        try:
            kept = service.logins.find(reference)
        except errors.Permanent as error:
            problem = error.message
            log.warning("%s", problem)
    login = given or kept
    try:
        yield service.registry if login is None else service.registry.acting(reference.registry, login)
    except errors.LoginNeeded as error:
        # the driver's sentence may end with the command that helps a person's own pulls
        on_host = " --on-host" if own and error.message.endswith(f"pydock login {reference.registry}") else ""
        error.args = (f"{error.message}{on_host}{f' ({problem})' if problem else ''}",)
        raise

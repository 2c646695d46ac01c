"""The subjects, one row each, and all that they declare."""

from __future__ import annotations

import importlib

from reconciler.requests.declaration import Ask

#: files of ``reconciler.requests``
SUBJECTS = (
    "objects",
    "containers",
    "records",
    "sources",
    "images",
    "archives",
    "registry",
    "logins",
    "system",
    "service",
)


def _declared() -> dict[str, Ask]:
    found: dict[str, Ask] = {}
    for subject in SUBJECTS:
        for ask in importlib.import_module(f"reconciler.requests.{subject}").ASKS:
            if ask.name in found:
                raise ValueError(f"{subject}: {ask.name} is declared twice")
            found[ask.name] = ask
    return found


#: job name → its declaration: the allow list of the API
ASKS: dict[str, Ask] = _declared()

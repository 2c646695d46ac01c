"""Logins asked for at the terminal, verified by the server, and kept."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from reconciler import errors
from reconciler.cli import logins, report, session
from reconciler.model import references
from reconciler.model.credentials import Credentials

T = TypeVar("T")


def with_login(run: session.Session, registry: str, ask: Callable[[Credentials | None], T]) -> T:
    """What ``ask`` returns with the login that is kept. If the registry wants another, somebody at the terminal is
    asked for it."""
    kept = logins.usable(registry)
    try:
        return ask(kept)
    except errors.LoginNeeded as error:
        if not possible():
            raise
        report.line(error.message)
        login = ask_for(registry, usual=kept.username if kept else "")
        enter(run, registry, login)
        return ask(login)


def possible() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def ask_for(registry: str, username: str = "", usual: str = "") -> Credentials:
    """Asks for a password, and for a name unless ``username`` is given; an empty answer means the name ``usual``."""
    shown = "Docker Hub" if registry == references.DEFAULT_REGISTRY else registry
    print(f"Login for {shown}", file=sys.stderr)
    name = username or click.prompt("Username", default=usual or None, err=True)
    return logins.make(str(name), str(click.prompt("Password", hide_input=True, err=True)))


def enter(run: session.Session, registry: str, credentials: Credentials) -> None:
    """Has the server ask the registry, and keeps the login if it is right. Raises ``LoginNeeded`` if it is not."""
    run.client.login(registry, credentials)
    file = logins.keep(registry, credentials)
    if file:
        report.line(
            f"warning: the login is stored unencrypted in {file}: a credential helper, named there as credsStore, "
            "would keep it safer"
        )
    print("Login succeeded", file=sys.stderr)

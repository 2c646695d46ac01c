"""Asks for logins at the terminal, has the server verify them, and stores them."""

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
    """Calls ``ask`` with the stored login, if there is one. If the registry wants another, it is asked for at the
    terminal, and ``ask`` is called again."""
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
    """Whether standard input is a terminal, so that somebody can be asked."""
    return sys.stdin.isatty()


def ask_for(registry: str, username: str = "", usual: str = "") -> Credentials:
    """Asks for a password, and for a name unless ``username`` is given; an empty answer means the name ``usual``."""
    shown = "Docker Hub" if registry == references.DEFAULT_REGISTRY else registry
    print(f"Login for {shown}", file=sys.stderr)
    name = username or click.prompt("Username", default=usual or None, err=True)
    return logins.make(str(name), str(click.prompt("Password", hide_input=True, err=True)))


def enter(run: session.Session, registry: str, credentials: Credentials) -> None:
    """Has the server try a login at the registry, and stores it. Raises ``LoginNeeded`` if the registry refuses it."""
    run.client.login(registry, credentials)
    file = logins.keep(registry, credentials)
    if file:
        report.line(
            f"warning: the login is stored unencrypted in {file}: a credential helper, named there as credsStore, "
            "would keep it safer"
        )
    print("Login succeeded", file=sys.stderr)

"""``pydock login`` and ``pydock logout``: passwords for registries, kept as docker keeps them."""

from __future__ import annotations

import sys

import click

from reconciler import errors
from reconciler.cli import asking, group, logins, report, session
from reconciler.model import references
from reconciler.model.credentials import Credentials

#: bytes of a password on standard input, with the end of its line
_MOST = 64 << 10


@group.verb(
    "login",
    "pydock login registry.example:5000",
    "pass show registry | pydock login -u me --password-stdin ghcr.io",
)
@click.argument("registry", metavar="[REGISTRY]", default=references.DEFAULT_REGISTRY)
@click.option("-u", "--username", metavar="NAME", default="", help="Who logs in; asked for if not given.")
@click.option(
    "-p", "--password", metavar="PASSWORD", default="", help="The password, for every user of this host to see."
)
@click.option("--password-stdin", "piped", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def login(run: session.Session, registry: str, username: str, password: str, piped: bool) -> None:
    """Log in to a registry, Docker Hub if none is named.

    The server asks the registry whether it takes the login. It is kept in docker's config.json, or by the credential
    helper that is named there, and not by the server.
    """
    registry = references.parse_registry(registry)
    given = _given(username, password, piped)
    if given is not None or username:
        asking.enter(run, registry, given or _asked(registry, username))
        return
    kept = _kept(registry)
    if kept is not None and _still_good(run, registry, kept):
        return
    asking.enter(run, registry, _asked(registry, usual=kept.username if kept else ""))


@group.verb("logout", "pydock logout registry.example:5000")
@click.argument("registry", metavar="[REGISTRY]", default=references.DEFAULT_REGISTRY)
@click.pass_obj
def logout(run: session.Session, registry: str) -> None:
    """Forget the login for a registry, Docker Hub if none is named."""
    registry = references.parse_registry(registry)
    had = logins.forget(registry)
    print(f"{'Removed the login' if had else 'There is no login'} for {registry}", file=sys.stderr)


def _given(username: str, password: str, piped: bool) -> Credentials | None:
    """The login of the command line and standard input, if it is whole."""
    if password and piped:
        raise click.UsageError("--password and --password-stdin exclude each other.")
    if not username and (password or piped):
        raise click.UsageError("A password needs a name: --username.")
    if password:
        report.line("warning: a password on the command line can be seen by others: --password-stdin is safer")
        return logins.make(username, password)
    return logins.make(username, _piped()) if piped else None


def _piped() -> str:
    data = sys.stdin.buffer.read(_MOST + 1)
    try:
        password = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise errors.Invalid("the password on standard input is not UTF-8") from None
    if not password:
        raise errors.Invalid("there is no password on standard input")
    return password


def _asked(registry: str, username: str = "", usual: str = "") -> Credentials:
    if not asking.possible():
        raise click.UsageError("There is no terminal to ask at: give --username and --password-stdin.")
    return asking.ask(registry, username, usual)


def _kept(registry: str) -> Credentials | None:
    try:
        return logins.find(registry)
    except errors.Permanent as error:
        report.line(f"warning: {error.message}")
        return None


def _still_good(run: session.Session, registry: str, kept: Credentials) -> bool:
    try:
        run.client.login(registry, kept)
    except errors.LoginNeeded as error:
        if not asking.possible():
            raise
        report.line(error.message)
        return False
    print(f"Login succeeded with the one that is kept, of {kept.username}", file=sys.stderr)
    return True

"""``pydock login`` and ``pydock logout``: passwords for registries, kept as docker keeps them or by the server."""

from __future__ import annotations

import sys

import click

from reconciler import errors
from reconciler.cli import asking, columns, group, logins, report, session, table, times
from reconciler.model import references
from reconciler.model.credentials import Credentials

#: bytes of a password on standard input, with the end of its line
_MOST = 64 << 10


@group.verb(
    "login",
    "pydock login registry.example:5000",
    "pass show registry | pydock login -u me --password-stdin ghcr.io",
    "pydock login --on-host registry.example/team",
    "pydock login --on-host --list",
)
@click.argument("registry", metavar="[REGISTRY]", default="")
@click.option("-u", "--username", metavar="NAME", default="", help="The user name; asked for if not given.")
@click.option(
    "-p", "--password", metavar="PASSWORD", default="", help="The password; every user of this host can see it."
)
@click.option("--password-stdin", "piped", is_flag=True, help="Read the password from standard input.")
@click.option("--on-host", is_flag=True, help="Keep it on the server, for its own pulls: REGISTRY[/REPOSITORY].")
@click.option("--list", "listing", is_flag=True, help="With --on-host: show what the server keeps logins for.")
@click.pass_obj
def login(
    run: session.Session, registry: str, username: str, password: str, piped: bool, on_host: bool, listing: bool
) -> None:
    """Log in to a registry, Docker Hub if none is named.

    The server asks the registry whether it takes the login. It is kept in docker's config.json, or by the credential
    helper that is named there, and not by the server. With --on-host the server keeps it, encrypted, for the images of
    manifests and for pulls that bring no login of their own; where several are kept, the longest name that an image's
    begins with counts.
    """
    if listing:
        _list(run, on_host, bool(registry or username or password or piped))
    elif on_host:
        scope = references.parse_scope(_needed(registry))
        _on_host(run, scope, _given(username, password, piped) or _asked(scope, username))
    else:
        _here(run, references.parse_registry(registry or references.DEFAULT_REGISTRY), username, password, piped)


@group.verb("logout", "pydock logout registry.example:5000", "pydock logout --on-host registry.example/team")
@click.argument("registry", metavar="[REGISTRY]", default="")
@click.option("--on-host", is_flag=True, help="Forget the login that the server keeps: REGISTRY[/REPOSITORY].")
@click.pass_obj
def logout(run: session.Session, registry: str, on_host: bool) -> None:
    """Forget the login for a registry, Docker Hub if none is named."""
    if on_host:
        name = references.parse_scope(_needed(registry))
        had = run.client.logout_on_host(name)
    else:
        name = references.parse_registry(registry or references.DEFAULT_REGISTRY)
        had = logins.forget(name)
    print(f"{'Removed the login' if had else 'There is no login'} for {name}", file=sys.stderr)


def _here(run: session.Session, registry: str, username: str, password: str, piped: bool) -> None:
    given = _given(username, password, piped)
    if given is not None or username:
        asking.enter(run, registry, given or _asked(registry, username))
        return
    kept = logins.usable(registry)
    if kept is not None and _still_good(run, registry, kept):
        return
    asking.enter(run, registry, _asked(registry, usual=kept.username if kept else ""))


def _on_host(run: session.Session, scope: str, credentials: Credentials) -> None:
    run.client.login_on_host(scope, credentials)
    print(f"Login succeeded; the server keeps it for {scope}", file=sys.stderr)


def _list(run: session.Session, on_host: bool, more: bool) -> None:
    if not on_host or more:
        raise click.UsageError("--list goes with --on-host, and with nothing else.")
    found = run.client.logins()
    if not found:
        print("The server keeps no logins.", file=sys.stderr)
        return
    rows = [
        (str(each["scope"]), str(each["username"] or columns.NONE), times.since(each["since"]), str(each["problem"]))
        for each in found
    ]
    sys.stdout.write(table.render(("REGISTRY", "USERNAME", "AGE", "PROBLEM"), rows))


def _needed(registry: str) -> str:
    if not registry:
        raise click.UsageError("--on-host needs a name: REGISTRY[/REPOSITORY].")
    return registry


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


def _piped() -> bytes:
    """Without the end of its line."""
    data = sys.stdin.buffer.read(_MOST + 1).removesuffix(b"\n").removesuffix(b"\r")
    if not data:
        raise errors.Invalid("there is no password on standard input")
    return data


def _asked(registry: str, username: str = "", usual: str = "") -> Credentials:
    if not asking.possible():
        raise click.UsageError("There is no terminal to ask at: give --username and --password-stdin.")
    return asking.ask_for(registry, username, usual)


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

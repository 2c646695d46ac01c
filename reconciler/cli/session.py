"""What all verbs share of the command line: which server, which namespace, and the client made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler import errors
from reconciler.cli import naming, targets
from reconciler.client import address
from reconciler.model import kinds

if TYPE_CHECKING:
    from reconciler.client import client as api

F = TypeVar("F", bound=Callable[..., Any])
HOST_VARIABLE = "PYDOCK_HOST"


class Session:
    """One run of ``pydock``."""

    def __init__(self) -> None:
        self._hosts: list[str] = []
        self._client: api.Client | None = None
        self.namespace = kinds.DEFAULT_NAMESPACE
        self._chosen = False

    def choose_namespace(self, name: str) -> None:
        """``-n``"""
        self.namespace, self._chosen = name, True

    def scope(self, target: targets.Target) -> str:
        """The namespace to ask for a target in; empty for kinds that have none. Raises ``errors.Invalid`` when the
        target is written with another namespace than that of ``-n``, as kubectl does."""
        if not target.kind.namespaced:
            return ""
        if self._chosen and target.namespace not in ("", self.namespace):
            raise errors.Invalid(
                f"the namespace of {target} is not that of -n, which is {self.namespace!r}: leave -n out, or give "
                f"-n {target.namespace}"
            )
        return target.namespace or self.namespace

    def shown(self, kind: kinds.Kind, namespace: str, name: str) -> targets.Target:
        """An object as it is named to people: with its namespace where that is not the command line's."""
        return targets.Target(kind, name, "" if namespace == self.namespace or not kind.namespaced else namespace)

    def use_hosts(self, hosts: Sequence[str]) -> None:
        self._hosts.extend(hosts)
        if len(self._hosts) > 1:
            raise click.UsageError("More than one -H was given: pydock speaks to one server at a time.")
        self.path()

    def path(self) -> str:
        """The server's socket. Raises ``click.UsageError`` for a host that is none."""
        host = self._hosts[0] if self._hosts else os.environ.get(HOST_VARIABLE) or address.DEFAULT
        try:
            return address.parse(host)
        except errors.Invalid as error:
            raise click.UsageError(error.message) from None

    @property
    def client(self) -> api.Client:
        if self._client is None:
            from reconciler.client import client as api

            self._client = api.Client(self.path())
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _hosts(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> None:
    context.ensure_object(Session).use_hosts([text.removeprefix("=") for text in value])


def _namespace(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    name = value.removeprefix("=")
    if wrong := naming.problem(name):
        raise click.BadParameter(f"{wrong}.")
    context.ensure_object(Session).choose_namespace(name)


def host_option(function: F) -> F:
    """``-H``, in front of the verb or after it."""
    return click.option(
        "-H",
        "--host",
        multiple=True,
        metavar="HOST",
        callback=_hosts,
        expose_value=False,
        help=f"The server: unix:///PATH or /PATH.  [default: {address.DEFAULT}]",
    )(function)


def namespace_option(function: F) -> F:
    """``-n``, in front of the verb or after it."""
    return click.option(
        "-n",
        "--namespace",
        metavar="NAME",
        callback=_namespace,
        expose_value=False,
        help=f"The namespace of containers and networks.  [default: {kinds.DEFAULT_NAMESPACE}]",
    )(function)

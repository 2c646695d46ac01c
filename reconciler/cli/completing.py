"""What the shell may offer: kinds and the names of objects. Silent when the server cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler import errors
from reconciler.cli import session, targets
from reconciler.model import kinds

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def objects(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """A kind first, then names of that kind; ``KIND/`` gives its names too."""
    before: tuple[str, ...] = context.params.get(parameter.name or "") or ()
    if "/" in incomplete:
        word, _, _ = incomplete.partition("/")
        return _items([f"{word}/{name}" for name in _names(context, word)], incomplete)
    if not before:
        return _items([*(kind.plural for kind in kinds.KINDS), targets.ALL], incomplete)
    return _items(_names(context, before[0]), incomplete)


def slashed(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """One object as ``KIND/NAME``."""
    if "/" not in incomplete:
        return _items([f"{kind.singular}/" for kind in kinds.KINDS], incomplete)
    return objects(context, parameter, incomplete)


def containers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of containers."""
    return _items(_names(context, kinds.CONTAINER.plural), incomplete)


def sources(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of sources."""
    try:
        found = context.ensure_object(session.Session).client.sources()
    except (errors.PydockError, click.UsageError):
        return []
    return _items([str(source["name"]) for source in found], incomplete)


def images(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """References of the images on the host."""
    try:
        found = context.ensure_object(session.Session).client.images()
    except (errors.PydockError, click.UsageError):
        return []
    return _items([str(each["reference"]) for each in found if each["reference"]], incomplete)


def _names(context: click.Context, word: str) -> list[str]:
    run = context.ensure_object(session.Session)
    try:
        kind = kinds.find(word)
        found = run.client.list(kind, run.namespace if kind.namespaced else "").items
    except (errors.PydockError, click.UsageError):
        return []
    return [str(obj["metadata"]["name"]) for obj in found]


def _items(words: list[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in words if word.startswith(incomplete)]

"""``pydock search``: what a registry has."""

from __future__ import annotations

import functools
import sys

import click

from reconciler import errors
from reconciler.cli import asking, group, session, table
from reconciler.model import references


@group.verb(
    "search",
    "pydock search nginx",
    "pydock search registry.example:5000/web",
    "pydock search --list-tags registry.example:5000/team/web",
)
@click.argument("term", metavar="[REGISTRY/]TERM")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=25, show_default=True, help="Show at most this many results."
)
@click.option("--list-tags", is_flag=True, help="List the tags of the repository TERM instead.")
@click.pass_obj
def search(run: session.Session, term: str, limit: int, list_tags: bool) -> None:
    """Ask a registry for repositories, or for the tags of one.

    Without REGISTRY, Docker Hub is searched. A registry that has no search is asked for a list of its repositories,
    which not every registry gives. A login for it is taken from docker's config.json, as `pydock pull` does.
    """
    if list_tags:
        repository = references.parse_repository(term)
        tags = asking.with_login(run, repository.registry, functools.partial(run.client.tags, term))
        rows = [(repository.name, tag) for tag in tags]
        sys.stdout.write(table.render(("NAME", "TAG"), rows))
        return
    registry, word = references.split_search(term)
    hits = asking.with_login(run, registry, functools.partial(run.client.search, registry, word, limit))
    if not hits:
        raise errors.NotFound(f"registry {registry} finds nothing for {word!r}")
    rows_of_hits = [
        (str(hit["name"]), str(hit["stars"] or ""), "yes" if hit["official"] else "", str(hit["description"]))
        for hit in hits
    ]
    sys.stdout.write(table.render(("NAME", "STARS", "OFFICIAL", "DESCRIPTION"), rows_of_hits))

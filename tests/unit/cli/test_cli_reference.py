from __future__ import annotations

import sys
import types
from pathlib import Path

import click
import pytest

from reconciler.cli import group, invoking, reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"

#: a whole verb over a job that the client has a call for
VERB = """
import click
from reconciler.cli import group, session, targets

@group.verb("hello", "pydock hello web")
@session.namespace_option
@click.argument("names", nargs=-1)
@click.pass_obj
def hello(run, names):
    "Say hello."
    for target in targets.containers(names):
        print(run.client.get(target.kind, run.scope(target), target.name)["metadata"]["name"])
"""


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == reference.render(), "run: python -m reconciler.cli.reference > docs/reference/cli.md"


def test_every_verb_is_there_with_its_options() -> None:
    page = reference.render()
    for name in (*group.VERBS, "source ls", "source ack"):
        assert f"## `pydock {name}`" in page
    assert "130  interrupted by Ctrl-C" in page
    assert "`--dry-run client\\|server\\|none`" in page


def test_a_verb_is_one_file_and_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("reconciler.cli.verbs.hello")
    exec(VERB, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(group.VERBS, "hello", "hello")
    assert "## `pydock hello`" in reference.render()
    assert "hello" in group.pydock.list_commands(click.Context(group.pydock))
    assert invoking.run(["hello", "web", "--help"]) == 0

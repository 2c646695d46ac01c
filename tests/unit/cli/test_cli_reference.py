from __future__ import annotations

from pathlib import Path

from reconciler.cli import group, reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == reference.render(), "run: python -m reconciler.cli.reference > docs/reference/cli.md"


def test_every_verb_is_there_with_its_options() -> None:
    page = reference.render()
    for name in (*group.VERBS, "source ls", "source ack"):
        assert f"## `pydock {name}`" in page
    assert "130  interrupted by Ctrl-C" in page
    assert "`--dry-run client\\|server\\|none`" in page

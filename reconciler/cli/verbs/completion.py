"""``pydock completion``: the shell's script that completes our command lines."""

from __future__ import annotations

import sys

import click

from reconciler.cli import group


@group.verb("completion", 'eval "$(pydock completion bash)"', "pydock completion zsh > ~/.zfunc/_pydock", offline=True)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script of a shell's completion."""
    from click import shell_completion

    found = shell_completion.get_completion_class(shell)
    assert found is not None
    sys.stdout.write(found(group.pydock, {}, "pydock", "_PYDOCK_COMPLETE").source() + "\n")

"""The top command: it loads a verb's module only when that verb is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import click

from reconciler.cli import exits, session

_PACKAGE = "reconciler.cli.verbs"
#: verb → its module; the order is that of ``pydock --help``
VERBS: dict[str, str] = {
    "apply": "apply",
    "diff": "diff",
    "get": "get",
    "describe": "describe",
    "delete": "delete",
    "stop": "act",
    "start": "act",
    "restart": "act",
    "kill": "kill",
    "logs": "logs",
    "wait": "wait",
    "events": "events",
    "jobs": "jobs",
    "validate": "validate",
    "pull": "pull",
    "push": "push",
    "search": "search",
    "commit": "commit",
    "login": "login",
    "logout": "login",
    "image": "image",
    "images": "image",
    "system": "system",
    "source": "source",
    "version": "version",
    "completion": "completion",
}


class Bare(click.Option):
    """An option whose value may be left out, and otherwise stands behind ``=``, as that of kubectl's --dry-run."""

    def __init__(self, *names: Any, bare: str, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        #: the value when none is written
        self.bare = bare


class Verb(click.Command):
    """A verb whose switches also take values as kubectl's do: ``--wait=false``, ``--dry-run=client``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [plain for argument in args for plain in self._plain(argument)])

    def _plain(self, argument: str) -> list[str]:
        name, equals, value = argument.partition("=")
        option = self._option(name)
        if isinstance(option, Bare) and not equals:
            return [f"{name}={option.bare}"]
        if option is None or not option.is_flag or value not in ("true", "false") or not equals:
            return [argument]
        return [name] if value == "true" else list(option.secondary_opts[:1])

    def _option(self, name: str) -> click.Option | None:
        options = (found for found in self.params if isinstance(found, click.Option))
        return next((option for option in options if name.startswith("--") and name in option.opts), None)


def verb(name: str, *examples: str, offline: bool = False) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a function the verb ``name``; ``examples`` end its help, and it has ``-H`` unless it is ``offline``."""
    epilog = "\n".join(["\b", "Examples:", *(f"  {example}" for example in examples)]) if examples else None

    def decorate(function: Callable[..., Any]) -> click.Command:
        command: click.Command = click.command(name, cls=Verb, epilog=epilog)(
            function if offline else session.host_option(function)
        )
        return command

    return decorate


class Verbs(click.Group):
    """Looks verbs up in ``VERBS``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"{_PACKAGE}.{VERBS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        import reconciler

        click.echo(f"pydock {reconciler.__version__}")
        context.exit()


@click.group(
    cls=Verbs,
    epilog=exits.EPILOG,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@session.host_option
@session.namespace_option
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def pydock(context: click.Context) -> None:
    """Keep the containers of a host the way their manifests say."""
    context.call_on_close(context.ensure_object(session.Session).close)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())

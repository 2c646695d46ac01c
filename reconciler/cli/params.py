"""Types of options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar

import click

from reconciler import errors
from reconciler.cli import completing, group, times

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_MANAGER = "pydock"
TABLES = ("wide", "name")
DOCUMENTS = ("json", "yaml")
_JSONPATH = "jsonpath="


class Format(NamedTuple):
    """What ``-o`` asks for; ``template`` is that of jsonpath. ``name`` empty is the ordinary table."""

    name: str = ""
    template: str = ""


#: the ordinary table
TABLE = Format()


class _Output(click.ParamType[Format]):
    name = "FORMAT"

    def __init__(self, choices: tuple[str, ...], jsonpath: bool = False) -> None:
        self._choices = choices
        self._jsonpath = jsonpath

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Format:
        if isinstance(value, Format):
            return value
        text = str(value).removeprefix("=")
        if self._jsonpath and text.startswith(_JSONPATH):
            return Format("jsonpath", text.removeprefix(_JSONPATH))
        if text not in self._choices:
            self.fail(f"{text!r} is not one of {', '.join(self._names())}.", param, ctx)
        return Format(text)

    def _names(self) -> tuple[str, ...]:
        return (*self._choices, *([f"{_JSONPATH}TEMPLATE"] if self._jsonpath else []))

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "|".join(self._names())

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(choice) for choice in self._choices if choice.startswith(incomplete)]


class _Duration(click.ParamType[float]):
    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else times.seconds(str(value).removeprefix("="))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class _Selector(click.ParamType[str]):
    name = "SELECTOR"

    def __init__(self, fields: bool = False) -> None:
        self._fields = fields

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).removeprefix("=")
        if not text:
            return text
        from reconciler.model import selectors

        try:
            _ = selectors.parse_fields(text) if self._fields else selectors.parse(text)
        except errors.Invalid as error:
            self.fail(f"{error.message}.", param, ctx)
        return text


class _DryRun(click.ParamType[str]):
    name = "STAGE"
    _WORDS: ClassVar = {"none": "", "false": "", "client": "client", "server": "server", "true": "server"}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "":
            return ""
        if value not in self._WORDS:
            self.fail(f"{value!r} is not one of client, server, none.", param, ctx)
        return self._WORDS[value]

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "client|server|none"


#: for ``get``: tables too
OBJECTS = _Output((*TABLES, *DOCUMENTS), jsonpath=True)
#: for what has one form for people and two for programs
PLAIN = _Output(DOCUMENTS)
#: seconds, written as ``30``, ``30s`` or ``1m30s``
DURATION = _Duration()
LABELS = _Selector()
FIELDS = _Selector(fields=True)


def files_option(function: F) -> F:
    """``-f``, once or several times."""
    return click.option(
        "-f", "--filename", "names", multiple=True, required=True, metavar="FILE|DIR|-", help="The manifests."
    )(function)


def manager_option(function: F) -> F:
    """``--manager``, by kubectl's name too."""
    return click.option(
        "--manager",
        "--field-manager",
        default=DEFAULT_MANAGER,
        show_default=True,
        metavar="NAME",
        help="The name that owns the fields.",
    )(function)


def grace_options(function: F) -> F:
    """``--now``, ``--force`` and ``--grace-period``: see ``grace``."""
    period = click.option(
        "--grace-period",
        type=click.IntRange(-1),
        metavar="SECONDS",
        help="Kill a process that has not ended by then; -1 is what its spec says.",
    )
    now = click.option("--now", is_flag=True, help="The same as --grace-period=1.")
    return now(
        click.option("--force", is_flag=True, help="The same as --grace-period=0: kill at once.")(period(function))
    )


def grace(now: bool, force: bool, period: int | None) -> int | None:
    """Seconds that a process is given to end; None: as its spec says. Raises ``click.UsageError``."""
    given = None if period is None or period < 0 else period
    if now and (given is not None or force):
        raise click.UsageError("--now cannot be mixed with --grace-period or --force.")
    if force and given:
        raise click.UsageError("--force kills at once: it cannot be mixed with another --grace-period than 0.")
    return 1 if now else 0 if force else given


def min_ready_option(function: F) -> F:
    """``--min-ready``"""
    return click.option(
        "--min-ready",
        type=DURATION,
        default="2s",
        show_default=True,
        metavar="DURATION",
        help="How long a process must have run to count as ready; five times as long after a restart.",
    )(function)


def dry_run_option(help: str) -> Callable[[F], F]:
    """``--dry-run[=client|server|none]``; empty for none, ``server`` when no value is written."""
    return click.option("--dry-run", cls=group.Bare, bare="server", type=_DryRun(), default="", help=help)


def timeout_option(default: str, zero: str = "is for ever") -> Callable[[F], F]:
    """``--timeout``"""
    return click.option(
        "--timeout",
        type=DURATION,
        default=default,
        show_default=True,
        metavar="DURATION",
        help=f"Wait no longer than this; 0 {zero}.",
    )


def about_options(function: F) -> F:
    """``--for`` and ``--limit`` of what lists records."""
    limit = click.option("--limit", type=click.IntRange(1), metavar="N", help="Show at most N.")
    about = click.option(
        "--for",
        "about",
        metavar="KIND/NAME",
        default="",
        shell_complete=completing.slashed,
        help="Show only those of one object.",
    )
    return about(limit(function))

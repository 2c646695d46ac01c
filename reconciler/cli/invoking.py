"""Runs one verb and turns whatever happens into sentences and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from reconciler import errors
from reconciler.cli import exits, group, report

_COMPLETE = "_PYDOCK_COMPLETE"


def run(arguments: Sequence[str]) -> int:
    """Runs ``pydock ARGUMENTS…``; the exit status."""
    if _COMPLETE in os.environ:
        group.pydock.main(list(arguments), prog_name="pydock", complete_var=_COMPLETE)
    try:
        status = _invoke(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return exits.BROKEN_PIPE
    except OSError as error:
        _forget_output()
        report.line(f"cannot write the output: {(error.strerror or str(error)).lower()}")
        return exits.FAILED


def _invoke(arguments: Sequence[str]) -> int:
    try:
        with group.pydock.make_context("pydock", list(arguments)) as context:
            group.pydock.invoke(context)
            return exits.OK
    except click.exceptions.Exit as exit:
        return exit.exit_code
    except click.Abort:
        return exits.INTERRUPTED
    except click.UsageError as error:
        _misused(error)
        return exits.USAGE
    except (click.ClickException, errors.PydockError) as error:
        report.error(error)
        return exits.FAILED
    except OSError:
        raise  # what we read and whom we ask say their own errors: this is the output
    except Exception as error:
        if os.environ.get("PYDOCK_DEBUG"):
            raise
        report.line(f"this is a defect of pydock: {type(error).__name__}: {error} (PYDOCK_DEBUG=1 shows where)")
        return exits.FAILED


def _misused(error: click.UsageError) -> None:
    report.line(error.format_message())
    if error.ctx is not None:
        report.line(f"see '{error.ctx.command_path} --help'")


def _forget_output() -> None:
    """What is left of the output cannot be written: let later flushes go nowhere instead of complaining."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)

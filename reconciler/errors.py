"""The few error classes of pydock, split by what a caller does with them.

``Invalid``     the input is wrong: show it, do not try again. ``NotFound``    the thing named does not exist.
``Conflict``    the state moved on, or somebody else owns it: read again, then decide. ``Outdated`` what a step was
planned from has changed: nothing was done; plan again. ``Expired``     a watch or a page asks for a revision that was
compacted away: list again (HTTP 410). ``Forbidden``   the caller may not ask for this. ``LoginNeeded`` a registry wants
a login, or another one: ask for it, then try again. ``Temporary``   worth another try after ``delay`` seconds.
``Permanent``   will fail again until somebody changes something.

A class's docstring is its default message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing wrong with an input.

    ``field`` is a dotted path such as ``spec.ports[0].hostPort`` (empty for the whole document);
    ``file``, ``line`` and ``column`` (both from 1) say where it stands, ``line`` 0 when unknown.
    """

    message: str
    field: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line or "", self.column or "") if part)
        return ": ".join(part for part in (where, self.field, self.message) if part)


class PydockError(Exception):
    """something went wrong"""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self.args[0])


class Invalid(PydockError):
    """the input is not valid"""

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message or "; ".join(str(problem) for problem in self.problems))


class NotFound(PydockError):
    """no such object"""


class Conflict(PydockError):
    """the object was changed or is owned by somebody else"""


class Outdated(Conflict):
    """the plan is out of date"""


class Expired(PydockError):
    """the requested revision is too old"""


class Forbidden(PydockError):
    """not allowed"""


class LoginNeeded(Forbidden):
    """a login is needed"""


class Temporary(PydockError):
    """temporarily unavailable"""

    def __init__(self, message: str = "", delay: float = 1.0) -> None:
        super().__init__(message)
        self.delay = delay


class Permanent(PydockError):
    """failed"""

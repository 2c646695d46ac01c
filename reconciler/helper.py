"""The one entry point of helper processes: ``python -m reconciler.helper NAME …``. Not for people.

Light on purpose: it imports nothing but the helper that is asked for.
"""

from __future__ import annotations

import importlib
import sys

#: name → module with ``main(arguments) -> exit status``
HELPERS: dict[str, str] = {
    "extract": "reconciler.drivers.graph.extract_helper",
    "digest": "reconciler.drivers.graph.digest_helper",
}


def command(name: str, *arguments: str) -> list[str]:
    """The argv that runs a helper: isolated from the environment and the working directory."""
    return [sys.executable, "-I", "-m", "reconciler.helper", name, *arguments]


def main(argv: list[str]) -> int:
    """Runs the helper that ``argv`` names; 2 if there is none such."""
    module = HELPERS.get(argv[0]) if argv else None
    if module is None:
        sys.stderr.write(f"this runs pydock's helpers, and is not for people: expected one of {', '.join(HELPERS)}\n")
        return 2
    return int(importlib.import_module(module).main(argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

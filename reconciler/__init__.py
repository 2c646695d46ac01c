"""pydock: keeps a host's containers the way its manifests say.

The packages below are the rooms of ``docs/architecture.md``; imports run downward only
(``lint-imports`` checks it).
"""

__version__ = "0.1.0"

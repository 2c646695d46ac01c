"""Text to typed resources: guarded parsing, schemas, problems with their places, declarative merging.

Pure: text or parsed values in, facts out. Nothing here opens a manifest, asks a clock or logs; only the schemas that
pydock ships are read, once.

``load`` takes a whole file, ``check`` one parsed document, ``parse_json`` and ``parse_yaml_body`` the body of a
request. ``prepare`` spares the first check its wait for jsonschema.
"""

from __future__ import annotations

from reconciler.manifest.checking import check, effective
from reconciler.manifest.loading import Loaded, Located, load, parse_json, parse_yaml_body
from reconciler.manifest.schema import prepare

__all__ = ["Loaded", "Located", "check", "effective", "load", "parse_json", "parse_yaml_body", "prepare"]

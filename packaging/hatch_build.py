"""Build hook: writes the commit into the wheel, so that an installed pydock can say which one it is."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install asks git itself; a build outside a checkout knows no commit."""
        if version == "editable":
            return
        command = ["git", "-C", self.root, "rev-parse", "HEAD"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            file = Path(tempfile.mkdtemp(prefix="pydock-build-")) / "COMMIT"
            file.write_text(asked.stdout)
            build_data["force_include"][str(file)] = "reconciler/COMMIT"

"""A root file system to run: busybox with its applets and the files an image usually has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:Web:/home/web:/bin/sh\n"
GROUP = "root:x:0:\nweb:x:1001:\nlogs:x:2000:web,other\n"


def make(directory: Path) -> Path:
    """Unpacks busybox-static (Debian) into ``directory``; returns it."""
    programs = directory / "bin"
    programs.mkdir(parents=True)
    shutil.copy2("/bin/busybox", programs / "busybox")
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in set(applets) - {"busybox"}:
        (programs / name).symlink_to("busybox")
    for name in ("etc", "tmp", "root", "home/web"):
        (directory / name).mkdir(parents=True)
    # others than root have to get in
    directory.chmod(0o755)
    (directory / "etc/passwd").write_text(PASSWD)
    (directory / "etc/group").write_text(GROUP)
    return directory

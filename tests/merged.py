"""What overlayfs shows of some directories: run as a program, it mounts them in a namespace of its own and lists.

python -m tests.merged UPPERMOST:…:LOWEST      prints JSON: path → [kind and mode, owner, group, content]
"""

import ctypes
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x4000 | 0x40000

Listing = dict[str, list[object]]


def listing(root: Path) -> Listing:
    """Every path below `root` with what a container would see of it."""
    found: Listing = {}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = Path(directory, name)
            about = path.lstat()
            content: object = None
            if stat.S_ISREG(about.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            elif stat.S_ISLNK(about.st_mode):
                content = os.readlink(path)
            found[str(path.relative_to(root))] = [about.st_mode, about.st_uid, about.st_gid, content]
    return found


def merged(layers: Sequence[Path], at: Path) -> Listing:
    """What a container on these layers (the uppermost first) would see; `at` is an empty directory to mount on."""
    if len(layers) == 1:
        return listing(layers[0])
    output = subprocess.run(
        [sys.executable, "-m", "tests.merged", ":".join(map(str, layers)), str(at)],
        check=True,
        capture_output=True,
        cwd=Path(__file__).parent.parent,
    ).stdout
    found: Listing = json.loads(output)
    return found


def main(layers: str, at: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"lowerdir={layers}".encode()
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC_PRIVATE, None):
        sys.exit(os.strerror(ctypes.get_errno()))
    if libc.mount(b"overlay", at.encode(), b"overlay", 0, options):
        sys.exit(os.strerror(ctypes.get_errno()))
    print(json.dumps(listing(Path(at))))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Where the static program is, and a sealed copy of it to execute.

`bin/corten` lies beside `corten-python`, the script it starts us by, and beside the interpreter of a virtual
environment. Containers are only ever started from a memfd that nobody can write to (CVE-2019-5736). The program makes
such a copy of itself when it finds that it runs from a file; who launches often keeps one and saves the 0.3 ms.
"""

from __future__ import annotations

import fcntl
import os
import sys

from corten.model.errors import FailedPrecondition

__all__ = ["path", "sealed"]

MFD_EXEC = 0x10
F_ADD_SEALS = 1033
SEAL_ALL = 0xF  # no seal, shrink, grow, write


def path() -> str:
    """The program's path: CORTEN_PROGRAM if set, else beside our script, else beside the interpreter.

    Raises FailedPrecondition when it is nowhere.
    """
    if named := os.environ.get("CORTEN_PROGRAM"):
        return named
    places = [os.path.dirname(sys.executable), f"{sys.prefix}/bin"]
    script = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    if os.path.basename(script) == "corten-python":
        places.insert(0, os.path.dirname(os.path.abspath(script)))
    for place in places:
        candidate = f"{place}/corten"
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    raise FailedPrecondition(
        f"cannot find the program `corten` in {', '.join(dict.fromkeys(places))}",
        hint="reinstall corten, or set CORTEN_PROGRAM to its path",
    )


def sealed(source: str = "") -> int:
    """A descriptor of a sealed memfd with the program (at `path()` unless `source` names another one); execute it as
    /proc/self/fd/N. The caller closes it."""
    try:  # Since 6.3 a memfd says whether it may be executed; before, the flag is unknown.
        fd = os.memfd_create("corten", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | MFD_EXEC)
    except OSError:
        fd = os.memfd_create("corten", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        _copy(source or path(), fd)
        fcntl.fcntl(fd, F_ADD_SEALS, SEAL_ALL)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _copy(source: str, target: int) -> None:
    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while os.sendfile(target, fd, None, 1 << 30):
            pass
    finally:
        os.close(fd)

"""Map ranges of subordinate ids for an ordinary user, by the set-user-ID programs newuidmap and newgidmap.

The kernel lets a user map only the own id. The programs of Debian's package uidmap map the ranges that /etc/subuid and
/etc/subgid grant as well; they check that themselves.
"""

from __future__ import annotations

import os

from corten.model.errors import FailedPrecondition, NotFound

__all__ = ["map_users"]


def map_users(pid: int, uid_map: str, gid_map: str) -> None:
    """Write both maps of the process's user namespace. Raises NotFound where a program is missing."""
    _run("newuidmap", pid, uid_map)
    _run("newgidmap", pid, gid_map)


def _run(program: str, pid: int, mapping: str) -> None:
    argv = [program, str(pid), *mapping.split()]
    try:
        child = os.posix_spawnp(program, argv, os.environ)
    except FileNotFoundError:
        hint = "install it (Debian: apt install uidmap), or map only your own id"
        raise NotFound(f"cannot map ids: {program} is not installed", hint=hint) from None
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        hint = f"see what /etc/sub{program[3:6]} grants"
        raise FailedPrecondition(f"cannot map ids: {program} {mapping.strip()} ended with {status}", hint=hint)

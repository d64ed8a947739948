"""User namespaces: whether they can be made, by whom, and what stands in the way."""

from __future__ import annotations

import os
import shutil

from corten.cli.doctor import trial
from corten.cli.doctor.finding import NOTE, OK, WARN, Finding, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["look"]

# A file that may forbid them, the value that does, and how to change it.
_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=28633"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "an AppArmor profile for corten with `userns,`, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


def look() -> Iterator[Finding]:
    failure = trial.try_out(_make_and_map)
    if failure:
        yield Finding(
            "user namespaces", WARN, f"cannot make one: {failure}", "; ".join(_obstacles()) or "see user_namespaces(7)"
        )
    else:
        yield Finding("user namespaces", OK, "can be made and mapped")
        for obstacle in _obstacles() if not os.geteuid() else ():
            yield Finding("user namespaces", NOTE, "users who are not root cannot make them", obstacle)
    yield from _ranges()


def _make_and_map() -> None:
    uid, gid = os.geteuid(), os.getegid()
    trial.unshare(trial.NEW_USER)
    for path, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{path}", "w") as file:
            file.write(text)


def _obstacles() -> list[str]:
    return [mend for path, forbids, mend in _SWITCHES if read(path) == forbids]


def _ranges() -> Iterator[Finding]:
    """The ids that a user who is not root may map, and the programs that map them."""
    import pwd

    name = pwd.getpwuid(os.geteuid()).pw_name
    keys = (f"{name}:", f"{os.geteuid()}:")
    ranges = [
        line for path in ("/etc/subuid", "/etc/subgid") for line in read(path).splitlines() if line.startswith(keys)
    ]
    helpers = [program for program in ("newuidmap", "newgidmap") if not shutil.which(program)]
    level = NOTE if not os.geteuid() else WARN
    if helpers:
        mend = "apt install uidmap, or the package of your distribution that holds them"
        yield Finding(
            "user namespaces", level, f"{' and '.join(helpers)} not found: rootless containers have one user", mend
        )
    if len(ranges) < 2:
        mend = f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
        yield Finding(
            "user namespaces", level, f"no subordinate ids for {name}: rootless containers have one user", mend
        )

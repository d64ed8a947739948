"""Containers for maintainer scripts: how `image bootstrap` lets packages be set up, by our own runtime.

As root a container has the capabilities that dpkg needs and no more. An ordinary user's container has a user
namespace over the ranges of /etc/subuid and /etc/subgid, since packages own files as more than one user.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from corten.images.bootstrap import Job
from corten.kernel import program
from corten.model.errors import FailedPrecondition
from corten.model.runtime_spec import RuntimeSpec
from corten.runtime.template import config
from corten.wire.codec import dumps

__all__ = ["run"]

PACKAGES = "/dev/packages"
SHOWN_LINES = 15
CAPABILITIES = [
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETFCAP", "CAP_SETGID"),
    *("CAP_SETUID", "CAP_SYS_CHROOT"),
]
FULL = 65536


def run(job: Job) -> None:
    """Run the job in a container of its own and wait; its output is shown only when it fails."""
    with tempfile.TemporaryDirectory(prefix="corten-scripts-") as bundle, tempfile.TemporaryFile() as log:
        Path(bundle, "config.json").write_text(dumps(spec_of(job)))
        name = f"bootstrap-{secrets.token_hex(4)}"
        words = [program.path(), "runtime", "--root", f"{bundle}/state", "run", "--bundle", bundle, name]
        out = job.out if job.out >= 0 else log.fileno()
        status = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out, stderr=log, check=False).returncode
        if status:
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").splitlines()[-SHOWN_LINES:]
            raise FailedPrecondition(f"bootstrap: {job.argv[0]} ended with {status}:\n" + "\n".join(lines))


def spec_of(job: Job) -> RuntimeSpec:
    """The container of a job: its tree as root, writable; the packages; no network; no privileges beyond dpkg's."""
    spec = config(rootless=os.geteuid() != 0)
    spec["root"] = {"path": str(job.root), "readonly": False}
    spec["process"].update(
        {
            "terminal": False,
            "args": list(job.argv),
            "env": list(job.environment),
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
        }
    )
    spec["mounts"].append(
        {
            "destination": PACKAGES,
            "type": "bind",
            "source": str(job.packages),
            "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
        }
    )
    if os.geteuid():
        _map_ranges(spec["linux"])
    return spec


def _map_ranges(linux: Any) -> None:
    """Root inside is the caller, every other id one of the caller's subordinate ones; and no network either."""
    linux["namespaces"].append({"type": "network"})
    for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
        first, count = _range(f"/etc/sub{kind}")
        linux[f"{kind}Mappings"] = [
            {"containerID": 0, "hostID": own, "size": 1},
            {"containerID": 1, "hostID": first, "size": min(count, FULL - 1)},
        ]


def _range(path: str) -> tuple[int, int]:
    """The first range of subordinate ids that the caller has in `path` (subuid(5))."""
    import pwd

    names = (pwd.getpwuid(os.geteuid()).pw_name, str(os.geteuid()))
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if name in names and first.isdecimal() and count.isdecimal():
            return int(first), int(count)
    raise FailedPrecondition(
        f"bootstrap minbase: {names[0]} has no ids in {path}, and packages own files as more than one user",
        hint=f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {names[0]}; or run it as root",
    )

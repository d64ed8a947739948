"""Intel RDT of a container that exists: change its share of caches and memory bandwidth, and take its group away.

The plan makes the group (`compiler.settings.intel_rdt`): a directory of the resctrl filesystem, named by ``closID`` or
else by the container. One that the configuration names belongs to somebody else and outlives the container
(config-linux.md, "IntelRdt"); its monitoring group is the container's own in any case.

>>> group = Group("/sys/fs/resctrl", spec, "web")
>>> group.update(["L3:0=f0"], pids=[4711])
"""

from __future__ import annotations

import os

from corten.model.errors import FailedPrecondition, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from corten.model.runtime_spec import RuntimeSpec

__all__ = ["Group", "schema"]

_NO_RESCTRL = "mount it with: mount -t resctrl resctrl /sys/fs/resctrl (needs a processor with RDT)"


class Group:
    """The container's group below `root`, the mounted filesystem, or "" where there is none."""

    def __init__(self, root: str, spec: RuntimeSpec, id: str) -> None:
        wanted = (spec.get("linux") or {}).get("intelRdt")
        self._root = root
        self._id = id
        self._configured = wanted is not None
        self._shared = bool(wanted and wanted.get("closID"))
        self._monitored = bool(wanted and wanted.get("enableMonitoring"))
        self.path = f"{root}/{(wanted.get('closID') if wanted else '') or id}"

    def update(self, schemata: Iterable[str], pids: Iterable[int]) -> None:
        """Write these lines of the schemata; a container without a group gets one first. Raises FailedPrecondition."""
        if not self._root:
            raise FailedPrecondition("cannot change Intel RDT: the resctrl filesystem is not mounted", hint=_NO_RESCTRL)
        try:
            if not os.path.isdir(self.path):
                os.mkdir(self.path, 0o755)
                for pid in pids:
                    _write(f"{self.path}/tasks", str(pid))
            for line in schemata:
                _write(f"{self.path}/schemata", f"{line}\n")
        except OSError as error:
            hint = f"the kernel's reason: {_reason(self._root)}"
            message = f"cannot write Intel RDT schemata below {self.path}: {str(error.strerror).lower()}"
            raise FailedPrecondition(message, hint=hint, place="/linux/intelRdt") from error

    def remove(self) -> None:
        """Take away what is the container's own; its processes have ended, so no task is left in there."""
        if not self._root:
            return
        if self._shared and self._monitored:
            _remove(f"{self.path}/mon_groups/{self._id}")
        if not self._shared:
            _remove(self.path)


def schema(text: str, kind: str) -> str:
    """A value of ``--l3-cache-schema`` or ``--mem-bw-schema``: one line of the resource that the flag is about."""
    resource = text.partition(":")[0].strip()
    good = resource.startswith("L3") if kind == "l3-cache-schema" else resource == "MB"
    if not good or "\n" in text or "=" not in text:
        raise InvalidArgument(f"--{kind} {text!r} is not such a schema", hint="such as L3:0=f0;1=f, or MB:0=20;1=70")
    return text


def _remove(path: str) -> None:
    try:  # noqa: SIM105 contextlib is not for the delete path
        os.rmdir(path)
    except FileNotFoundError:
        pass


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _reason(root: str) -> str:
    try:
        with open(f"{root}/info/last_cmd_status") as file:
            return file.read().strip()
    except OSError:
        return "not told"

"""Checkpoint and restore by CRIU, where it is installed: what it is told about a container.

CRIU saves the processes of a container from outside into a directory of images, and makes them again from those. What
belongs to the host it cannot save: bind mounts are *external* (named by where they are mounted, and given again at
the restore), and so are the pipes of the standard streams. Beside CRIU's own images stands ``corten.json`` with these.

The functions here only make command lines and read what is there; `migration` runs them.
"""

from __future__ import annotations

import os

from corten.model.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from corten.model.runtime_spec import RuntimeSpec

__all__ = ["CGROUP_MODES", "Images", "dump", "external_mounts", "found", "restore", "sources", "streams"]

CGROUP_MODES = ("soft", "full", "strict", "ignore")
# Our flags that CRIU has too, under its own name, for both verbs; and those of the dump alone.
_BOTH = {
    "tcp-established": "--tcp-established",
    "ext-unix-sk": "--ext-unix-sk",
    "shell-job": "--shell-job",
    "file-locks": "--file-locks",
    "auto-dedup": "--auto-dedup",
    "lazy-pages": "--lazy-pages",
}
_DUMP = {**_BOTH, "link-remap": "--link-remap", "tcp-skip-in-flight": "--skip-in-flight", "leave-running": "-R"}
_NAMESPACES = {"network": "net"}


class Images:
    """Where the images are, and where CRIU writes its log."""

    __slots__ = ("directory", "parent", "work")

    def __init__(self, directory: str, work: str, parent: str = "") -> None:
        self.directory = os.path.abspath(directory)
        self.work = os.path.abspath(work)
        self.parent = parent

    def words(self, log: str) -> list[str]:
        found = ["--images-dir", self.directory, "--work-dir", self.work, "--log-file", log, "-v3"]
        return [*found, "--prev-images-dir", self.parent] if self.parent else found


def found(given: str) -> str:
    """The program's path: `given`, or that on PATH. Raises NotFound."""
    import shutil

    path = shutil.which(given or "criu")
    if path is None:
        hint = "install it (Debian: apt install criu), or say where it is with --criu"
        raise NotFound(f"cannot checkpoint or restore: {given or 'criu'} is not installed", hint=hint)
    return path


def dump(pid: int, images: Images, flags: Mapping[str, str], *, freezer: str, saved: Mapping[str, Any]) -> list[str]:
    """The words behind ``criu`` that save the tree of processes below `pid`; `flags` are our command's."""
    pre = "pre-dump" in flags
    words = ["pre-dump" if pre else "dump", "--tree", str(pid), *images.words("dump.log")]
    words += _common(flags, {name: word for name, word in _DUMP.items() if not (pre and name == "leave-running")})
    words += ["--track-mem"] if pre else []
    if server := flags.get("page-server"):
        address, _, port = server.rpartition(":")
        if not address or not port.isdecimal():
            raise InvalidArgument(f"--page-server {server!r} must be ADDRESS:PORT")
        words += ["--page-server", "--address", address, "--port", port]
    if descriptor := flags.get("status-fd"):
        words += ["--status-fd", descriptor]
    words += ["--freeze-cgroup", freezer] if freezer else []
    for key in saved["mounts"]:
        words += ["--external", f"mnt[{key}]:{_name(key)}"]
    for key in saved["streams"]:
        words += ["--external", key] if key.startswith("file") else []
    return words


def restore(
    images: Images, flags: Mapping[str, str], *, root: str, pid_file: str, saved: Mapping[str, Any]
) -> list[str]:
    """The words that make the processes again, as children of whoever runs CRIU; `saved` is corten.json."""
    words = ["restore", *images.words("restore.log"), "--root", root, "--pidfile", pid_file]
    words += ["--restore-detached", "--restore-sibling", *_common(flags, {**_BOTH, "tcp-close": "--tcp-close"})]
    for flag in ("lsm-profile", "lsm-mount-context"):
        words += [f"--{flag}", flags[flag]] if flags.get(flag) else []
    for key, source in saved["mounts"].items():
        words += ["--external", f"mnt[{_name(key)}]:{source}"]
    for number, key in enumerate(saved["streams"]):
        words += ["--inherit-fd", f"fd[{number}]:{key}"] if key else []
    return words


def external_mounts(mountinfo: str) -> list[str]:
    """Where the container has mounts of the host's: of a filesystem that it has nowhere whole (proc(5), mountinfo)."""
    entries = [line.split(" ") for line in mountinfo.splitlines() if " - cgroup" not in line]  # those CRIU knows
    own = {fields[2] for fields in entries if fields[3] == "/" and fields[4] != "/"}
    return [fields[4] for fields in entries if fields[4] != "/" and fields[2] not in own]


def streams(pid: int) -> list[str]:
    """CRIU's names of what the standard streams are: all of them are the host's, and given again at the restore."""
    return [_stream(f"/proc/{pid}", number) for number in (0, 1, 2)]


def _stream(process: str, number: int) -> str:
    try:
        target = os.readlink(f"{process}/fd/{number}")
        if target.startswith("pipe:"):
            return target
        if not target.startswith("/"):
            return ""  # a socket, which CRIU saves itself or refuses by name
        with open(f"{process}/fdinfo/{number}") as file:
            facts = dict(line.split(":", 1) for line in file if ":" in line)
        inode = os.stat(f"{process}/fd/{number}").st_ino
    except FileNotFoundError:
        return ""  # closed
    return f"file[{int(facts['mnt_id']):x}:{inode:x}]"


def sources(spec: RuntimeSpec, bundle: str, externals: list[str]) -> dict[str, str]:
    """What is to be mounted there again: a bind mount's source, or the null device that hides a file."""
    binds = {mount["destination"]: mount.get("source") or "" for mount in spec.get("mounts") or ()}
    devices = {device["path"] for device in (spec.get("linux") or {}).get("devices") or ()}
    found: dict[str, str] = {}
    for place in externals:
        source = binds.get(place, "")
        if source:
            found[place] = os.path.join(bundle, source)
        else:
            found[place] = place if place in devices or place.startswith("/dev/") else "/dev/null"
    return found


def _common(flags: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    words = [word for name, word in known.items() if name in flags]
    mode = flags.get("manage-cgroups-mode") or "soft"
    if mode not in CGROUP_MODES:
        hint = f"one of {', '.join(CGROUP_MODES)}"
        raise InvalidArgument(f"Invalid manage-cgroups-mode value: {mode!r}", hint=hint)
    words.append(f"--manage-cgroups={mode}")
    if kind := flags.get("empty-ns"):
        if kind not in _NAMESPACES:
            raise InvalidArgument(f"namespace {kind!r} is not supported by --empty-ns", hint="only network is")
        words += ["--empty-ns", _NAMESPACES[kind]]
    return words


def _name(key: str) -> str:
    """CRIU's key of an external mount: any text without its own brackets and colons."""
    return key.translate({ord(character): "_" for character in "[]:"})

"""A small Debian whose packages are truly installed: unpacked and set up by its own dpkg, in containers.

The way of debootstrap, without its chroot:

    1. the files of the base packages are laid out as they are, so that dpkg, its shell and its libc can run;
    2. dpkg unpacks them anew, in the order of their Pre-Depends, and runs their scripts (`--configure --pending`);
    3. the packages asked for beside them follow, group by group;
    4. the tree comes back as a tar, and whatever differs from run to run is taken out.

Each dpkg runs in a container without network and with no file of the host but the packages, read-only. Who makes
these containers is the caller's: a `Run`. Whatever a script writes with today's date in it, or by chance, is either
dropped (logs, caches, backups, locks) or set to the release's date (`chage` in /etc/shadow, all modification times).
"""

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple, Protocol

from corten import layers
from corten.images.bootstrap import deb, variants
from corten.images.bootstrap.index import Package
from corten.images.bootstrap.rootfs import Rootfs
from corten.images.bootstrap.selection import Selection
from corten.layers import source

__all__ = ["Job", "Run", "install"]

DEBS = "/dev/packages"
DAY = 86400
# What scripts and dpkg leave behind that differs from run to run, or that belongs to a machine and not to an image.
DROPPED = (
    "etc/hostname",
    "etc/resolv.conf",
    "usr/sbin/policy-rc.d",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/extended_states.lock",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/log/alternatives.log",
    "var/log/dpkg.log",
)
EMPTIED = ("run/", "tmp/", "var/tmp/", "var/lib/apt/lists/", "var/cache/apt/", "var/log/apt/")
BACKUPS = ("var/lib/dpkg/", "var/cache/debconf/")
ACCOUNT_BACKUPS = tuple(f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid"))
DPKG = ("dpkg", "--force-unsafe-io", "--force-confold", "--force-confdef")
# Nothing may start a service while an image is made (the policy layer of invoke-rc.d).
POLICY = b"#!/bin/sh\nexit 101\n"
# What the runtime mounts over these is not the image's.
MOUNTED = {"proc": 0o555, "sys": 0o555, "dev": 0o755}
PACK = (
    *("tar", "--create", "--one-file-system", "--sort=name", "--numeric-owner", "--format=pax"),
    *("--xattrs", "--xattrs-include=security.*", *(f"--exclude=./{name}" for name in MOUNTED), "--directory=/", "."),
)


class Job(NamedTuple):
    """A program to run in a container of the tree `root`, with the directory `packages` read-only at DEBS.

    Its output goes to the descriptor `out` when there is one, else into the error that a failure raises.
    """

    root: Path
    packages: Path
    argv: tuple[str, ...]
    environment: tuple[str, ...]
    out: int = -1


class Run(Protocol):
    """Runs a job to its end; raises `FailedPrecondition` with the last lines of its output when it fails."""

    def __call__(self, job: Job, /) -> None: ...


def install(selection: Selection, paths: dict[str, Path], run: Run, progress: Callable[[str], None]) -> Rootfs:
    """The tree of an installed minbase; `paths` are the packages' files by name, all in one directory."""
    with ExitStack() as stack:
        work = Path(tempfile.mkdtemp(prefix="corten-bootstrap-"))
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        installation = Installation(selection, paths, work / "root", run, progress)
        stack.callback(installation.remove)
        installation.lay_out()
        for number, stage in enumerate(selection.stages):
            installation.install(stage, first=number == 0)
        root = installation.packed()
    clean(root)
    write_sources(root, selection.sources)
    return root


class Installation:
    """One tree while it is being installed."""

    def __init__(
        self,
        selection: Selection,
        paths: dict[str, Path],
        root: Path,
        run: Run,
        progress: Callable[[str], None],
    ) -> None:
        self.selection = selection
        self.paths = paths
        self.root = root
        self.run = run
        self.progress = progress
        self.packages = next(iter(paths.values())).parent
        root.mkdir()

    def lay_out(self) -> None:
        """The first stage's files, and the little that its first scripts expect to find."""
        tree = Rootfs(self.selection.date, merged_usr=True)
        for one in self.selection.stages[0]:
            with deb.files(self.paths[one.name]) as archive:
                tree.add_archive(archive, lambda _: True)
        for account in ("passwd", "group"):
            if master := tree.read(f"usr/share/base-passwd/{account}.master"):
                tree.add_file(f"etc/{account}", master)
        tree.add_file("var/lib/dpkg/status", b"")
        tree.add_file("usr/sbin/policy-rc.d", POLICY, 0o755)
        for path in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", *MOUNTED):
            tree.add_directory(path)
        tree.add_directory("tmp", 0o1777)
        if tree.read("usr/bin/mawk") and "usr/bin/awk" not in tree.entries:
            tree.add_link("usr/bin/awk", "mawk")
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with closing(source.of_stream(io.BytesIO(tree.tar()))) as stream:
                layers.apply(stream, handle, owners=os.geteuid() == 0)
        finally:
            os.close(handle)
        if os.geteuid():
            self.give_away(tree)

    def give_away(self, tree: Rootfs) -> None:
        """Directories keep the owner they had when dpkg comes; those we could not chown get theirs inside."""
        owners: dict[str, list[str]] = {}
        for path, entry in tree.entries.items():
            if entry.isdir() and (entry.uid or entry.gid):
                owners.setdefault(f"{entry.uid}:{entry.gid}", []).append(f"/{path}")
        for owner, paths in sorted(owners.items()):
            self.do("chown", owner, *paths)

    def install(self, stage: Sequence[Package], *, first: bool) -> None:
        """Unpack a stage, then set it up; within the first, dependencies are circles that only force opens."""
        force = ("--force-depends",) if first else ()
        self.progress(f"unpack {len(stage)} packages")
        self.do(*DPKG, *force, "--unpack", *(f"{DEBS}/{self.paths[one.name].name}" for one in stage))
        self.progress("set up")
        self.do(*DPKG, "--configure", "--pending")

    def packed(self) -> Rootfs:
        """The whole tree, read as the container sees it: with its own ids, whoever owns the files outside."""
        self.progress("pack")
        tree = Rootfs(self.selection.date, merged_usr=False)
        with tempfile.TemporaryFile() as file:
            self.do(*PACK, out=file.fileno())
            file.seek(0)
            with tarfile.open(fileobj=file) as archive:
                tree.add_archive(archive, lambda _: True)
        return tree

    def remove(self) -> None:
        """Let the container remove what only its ids may; an ordinary user could not."""
        if os.geteuid() and (self.root / "usr/bin/find").exists():
            self.do("sh", "-c", "find / -xdev -depth -mindepth 1 -delete 2>/dev/null; :")

    def do(self, *argv: str, out: int = -1) -> None:
        environment = (
            variants.PATH,
            "DEBIAN_FRONTEND=noninteractive",
            "DEBCONF_NONINTERACTIVE_SEEN=true",
            "HOME=/root",
            "LC_ALL=C",
            "TZ=UTC",
            f"SOURCE_DATE_EPOCH={self.selection.date}",
        )
        self.run(Job(self.root, self.packages, argv, environment, out))


def clean(root: Rootfs) -> None:
    """Take out what no two runs have in common, and what belongs to a machine."""
    for path in list(root.entries):
        backup = path.startswith(BACKUPS) and path.endswith(("-old", "-new"))
        if path in DROPPED or path in ACCOUNT_BACKUPS or backup or path.startswith(EMPTIED):
            root.drop(path)
    for path in [*root.below("var/log"), "etc/machine-id"]:
        if path in root.entries:
            root.bodies[path], root.entries[path].size = b"", 0
    if shadow := root.read("etc/shadow"):
        root.bodies["etc/shadow"] = body = b"".join(dated(line, root.date) for line in shadow.splitlines(keepends=True))
        root.entries["etc/shadow"].size = len(body)
    root.add_directory("tmp", 0o1777)
    root.add_directory("var/tmp", 0o1777)
    for path, mode in MOUNTED.items():
        root.add_directory(path, mode)
    for path in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "run/lock"):
        root.add_directory(path, 0o1777 if path == "run/lock" else 0o755)


def dated(line: bytes, date: int) -> bytes:
    """A line of /etc/shadow whose password was last changed on the release's day (shadow(5), field 3)."""
    fields = line.split(b":")
    if len(fields) > 2 and fields[2].isdigit():
        fields[2] = str(date // DAY).encode()
    return b":".join(fields)


def write_sources(root: Rootfs, sources: Sequence[str]) -> None:
    """Where the image's own apt finds its packages: where these came from, unless that was a directory."""
    if lines := [f"deb {source} main\n" for source in sources if source.startswith("http")]:
        root.add_file("etc/apt/sources.list", "".join(lines).encode())

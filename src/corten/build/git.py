"""Files of a git repository, by the `git` program where it is installed.

What comes is hostile, and so may be what the engine's own user has set up: git runs with no configuration but ours, no
hooks, no prompts, and over the network only (never a path of this machine, never a helper program of an address's
choosing).

    init → fetch one commit (all of them, where the server gives no single one) → checkout → submodules
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from corten.build.repository import Repository, redacted
from corten.kernel import rooted, tree
from corten.model.cancel import Cancel
from corten.model.errors import DataLoss, FailedPrecondition, NotFound, Unavailable

__all__ = ["below", "checkout"]

PROTOCOLS = "http:https:git:ssh"
SETTINGS = (
    "advice.detachedHead=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "credential.helper=",
    "gc.auto=0",
    "init.defaultBranch=main",
    "init.templateDir=",
    "maintenance.auto=false",
    "protocol.file.allow=never",
    "protocol.ext.allow=never",
    "safe.directory=*",
)
SSH = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o ForwardAgent=no -o ClearAllForwardings=yes"
SHOWN = 2000


def checkout(repository: Repository, place: Path, cancel: Cancel, *, keep: bool, expected: str = "") -> str:
    """Put the files of `repository` into the empty directory `place`; returns the commit.

    Every file has the time of the commit, so that the same commit gives the same layer. `keep` leaves `.git` there.
    `expected` is what the commit's name must begin with; DataLoss when it does not.
    """
    git = Git(repository.url, place, cancel)
    git.run("init", "-q", ".")
    commit = fetched(git, repository)
    if not commit.startswith(expected):
        shown = f"its commit is {commit}, --checksum says {expected}"
        raise DataLoss(f"cannot fetch {redacted(repository.url)}: {shown}")
    git.run("checkout", "-q", "--force", "--detach", commit)
    if (place / ".gitmodules").is_file():
        git.run("remote", "add", "origin", repository.url)  # what relative addresses of submodules stand on
        git.run("submodule", "update", "-q", "--init", "--recursive", "--depth=1")
    moment = int(git.run("show", "-s", "--format=%ct", commit))
    if not keep:
        drop_git(place)
    settle(place, moment)
    return commit


def fetched(git: "Git", repository: Repository) -> str:
    """Bring the commit here, alone if the server can do that; returns its full name."""
    url, ref = repository.url, repository.ref
    try:
        git.run("fetch", "-q", "--no-tags", "--depth=1", "--", url, ref or "HEAD")
        return git.run("rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
    except Unavailable:
        git.run("fetch", "-q", "--", url, "HEAD", "refs/heads/*:refs/remotes/origin/*", "refs/tags/*:refs/tags/*")
    for name in (f"refs/remotes/origin/{ref}", f"refs/tags/{ref}", ref) if ref else ("FETCH_HEAD",):
        with suppress(Unavailable):
            return git.run("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").splitlines()[-1]
    cause = f"cannot fetch {redacted(url)}: it has no branch, tag or commit {ref}"
    raise NotFound(cause, hint="after # stands the reference, then : and a directory")


class Git:
    """The program, at work in one directory for one repository."""

    def __init__(self, url: str, place: Path, cancel: Cancel) -> None:
        self.name = redacted(url)
        program = shutil.which("git")
        if program is None:
            hint = "install git where the engine runs, or clone the repository and build the directory"
            raise FailedPrecondition(f"cannot fetch {self.name}: the program git is not installed", hint=hint)
        self.command = [program, *(word for setting in SETTINGS for word in ("-c", setting))]
        self.place = place
        self.cancel = cancel

    def run(self, *words: str) -> str:
        """Its output; Unavailable with its own words when it fails."""
        self.cancel.check()
        with TemporaryFile() as out, TemporaryFile() as errors:
            process = subprocess.Popen(
                [*self.command, *words],
                cwd=self.place,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                umask=0o022,
                start_new_session=True,
            )
            self.cancel.on_set(lambda: stop(process))
            status = process.wait()
            self.cancel.check()
            if status:
                said = redacted(tail(errors)) or f"it ended with {status}"
                cause = f"cannot fetch {self.name}: git {words[0]}: {said}"
                raise Unavailable(cause, hint="is the address right, and open to everybody?")
            out.seek(0)
            return out.read().decode(errors="replace")


def environment() -> Mapping[str, str]:
    """What git gets to know: the way to programs and proxies, and a home for ssh alone."""
    passed = ("PATH", "HOME", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
    kept = {name: os.environ[name] for one in passed for name in (one, one.upper()) if name in os.environ}
    return {
        **kept,
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_ASKPASS": "/bin/false",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_COMMAND": SSH,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End git and the helpers that it has started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def tail(file: IO[bytes]) -> str:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), SHOWN, max(0, size - SHOWN)).decode(errors="replace").strip()


def drop_git(place: Path) -> None:
    """Remove `.git`, the repository's own and (a file there) those of its submodules."""
    with suppress(FileNotFoundError):
        tree.remove(place / ".git")
    for directory, _, files in os.walk(place):
        if ".git" in files:
            os.unlink(os.path.join(directory, ".git"))


def settle(place: Path, moment: int) -> None:
    """Give every file the same time."""
    for directory, names, files in os.walk(place, topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(directory, name), (moment, moment), follow_symlinks=False)
    os.utime(place, (moment, moment))


def below(place: Path, directory: str) -> Path:
    """The wanted part of what was checked out: links on the way to it end inside."""
    root = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            found = rooted.open(root, directory or ".", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            raise NotFound(f"{directory!r} is no directory of the git repository: {error.strerror}") from None
        try:
            return Path(os.readlink(f"/proc/self/fd/{found}"))
        finally:
            os.close(found)
    finally:
        os.close(root)

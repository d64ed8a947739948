"""`corten build`: a context and a Dockerfile to the engine, an image back.

The context is packed here, without what `.dockerignore` leaves out, and sent while it is packed; the engine's
answers are shown as they come.
"""

from __future__ import annotations

import os
from posix import isatty

from corten.cli import values
from corten.cli.archives import chunks_of, open_input
from corten.cli.container import readers
from corten.cli.container.lifecycle import FORCE
from corten.cli.flags import number, switch, text, texts, value
from corten.cli.human import size
from corten.cli.image.names import check_name
from corten.cli.image.output import Output, deliver, read_output, secrets_header
from corten.cli.progress import show_board, show_progress, show_raw
from corten.cli.table import Command, Fault
from corten.cli.values import filter_pair, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session
    from corten.client.connection import Response

__all__ = ["BUILD", "PRUNE"]

_STDIN_DOCKERFILE = ".dockerfile.stdin"
_OUTSIDE_DOCKERFILE = ".dockerfile.outside"
_NUMBERS = {
    "cpu-period": "cpuperiod", "cpu-quota": "cpuquota", "cpu-shares": "cpushares",
    "memory": "memory", "memory-swap": "memswap", "shm-size": "shmsize",
}  # fmt: skip
_TEXTS = {
    "cgroup-parent": "cgroupparent", "cpuset-cpus": "cpusetcpus", "cpuset-mems": "cpusetmems", "isolation": "isolation",
    "network": "networkmode", "platform": "platform", "target": "target",
}  # fmt: skip
_PROGRESS = ("auto", "plain", "quiet", "rawjson", "tty")
_SWITCHES = {"no-cache": "nocache", "pull": "pull", "force-rm": "forcerm", "quiet": "q"}


def _run(session: Session, options: Options, words: list[str]) -> int:
    for name in options.texts("tag"):
        check_name(name, f'invalid argument "{name}" for "-t, --tag" flag: ')
    how = _progress(options)
    if options.on("squash"):
        raise Fault('"--squash" is only supported on a Docker daemon with experimental features enabled')
    query, body = _query(options), _Context(words[0], options.text("file"))
    outputs: list[Output] = list(options.value("output"))
    headers = {"Content-Type": "application/x-tar", **_logins(), **secrets_header(options.texts("secret"))}
    query.update(body.query)
    chunks = body.chunks() if body.chunks is not None else None
    if chunks is not None and options.on("compress"):
        chunks = _compressed(chunks)
    if how in ("tty", "rawjson"):
        query["status"] = "1"
    answer = session.engine.request("POST", "/build", query=query, body=chunks, headers=headers).check()
    quiet = how == "quiet"
    on_stdout = any(output.kind == "tar" and not output.place for output in outputs)
    found = _show(answer, how, to_stderr=on_stdout)
    image = next((aux["ID"] for aux in reversed(found) if "ID" in aux), "")
    if path := options.text("iidfile"):
        if not image:
            raise Fault(f"cannot write {path}: server did not provide an image ID")
        with open(path, "w", encoding="utf-8") as file:
            file.write(image)
    for output in outputs:
        deliver(session, image, output, keep=bool(options.text("iidfile")))
    if quiet and image:
        session.say(image)
    return 0


def _progress(options: Options) -> str:
    """How the build is shown: what was asked for, and for `auto` what stdout is."""
    how = options.text("progress")
    if how not in _PROGRESS:
        raise Fault(f"invalid progress mode {how}", hint=f"use one of {', '.join(_PROGRESS)}")
    if options.on("quiet"):
        return "quiet"
    return how if how != "auto" else "tty" if isatty(1) else "plain"


def _show(answer: Response, how: str, *, to_stderr: bool) -> list[Any]:
    if how == "tty":
        return show_board(answer, to_stderr=to_stderr)
    if how == "rawjson":
        return show_raw(answer)
    return show_progress(answer, quiet=how == "quiet", to_stderr=to_stderr)


def _compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zlib

    packer = zlib.compressobj(wbits=31)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _logins() -> dict[str, str]:
    """All our logins, for the base images: a build may pull from anywhere."""
    from corten.cli.image.login import all_logins_header

    return {"X-Registry-Config": all_logins_header()}


def _query(options: Options) -> dict[str, str | list[str] | None]:
    from corten.wire.codec import dumps

    arguments = {
        item.partition("=")[0]: item.partition("=")[2] if "=" in item else None for item in options.texts("build-arg")
    }
    query: dict[str, str | list[str] | None] = {
        "version": "1",
        "t": options.texts("tag") or None,
        "extrahosts": options.texts("add-host") or None,
        "cachefrom": dumps(options.texts("cache-from")),
        "buildargs": dumps(arguments),
        "labels": dumps(values.pairs(options.texts("label"))),
        "ulimits": dumps(options.texts("ulimit")) if options.given("ulimit") else None,
        "securityopt": options.texts("security-opt") or None,
        "rm": None if options.on("rm") else "0",
    }
    query.update({key: str(options.number(flag)) for flag, key in _NUMBERS.items() if options.given(flag)})
    query.update({key: options.text(flag) for flag, key in _TEXTS.items() if options.text(flag) not in ("", "default")})
    query.update({key: "1" for flag, key in _SWITCHES.items() if options.on(flag)})
    if place := options.text("cache-dir"):
        os.makedirs(place, exist_ok=True)
        query["cachedir"] = os.path.abspath(place)
    return query


class _Context:
    """What is built from: a directory here, a tar or a Dockerfile on stdin, or an address that the engine fetches."""

    def __init__(self, where: str, dockerfile: str) -> None:
        self.query: dict[str, str | list[str] | None] = {"dockerfile": dockerfile or "Dockerfile"}
        self._dockerfile = dockerfile
        self._where = where
        self.chunks = self._from_stdin if where == "-" else self._from_directory
        if where.startswith(("http://", "https://", "git://", "ssh://", "git@", "github.com/")):
            self.query["remote"] = where
            self.chunks = None  # type: ignore[assignment]
        elif where == "-" and dockerfile == "-":
            raise Fault("invalid argument: can't use stdin for both build context and dockerfile")
        elif where != "-":
            self._check_directory()

    def _check_directory(self) -> None:
        if not os.path.exists(self._where):
            raise Fault(f'unable to prepare context: path "{self._where}" not found')
        if not os.path.isdir(self._where):
            raise Fault(f"unable to prepare context: context must be a directory: {os.path.abspath(self._where)}")
        self._root = os.path.realpath(self._where)
        self.query["dockerfile"] = self._name_dockerfile()

    def _name_dockerfile(self) -> str:
        """How the engine finds the Dockerfile in the context; one from elsewhere travels under a name of its own."""
        if self._dockerfile == "-":
            return _STDIN_DOCKERFILE
        path = self._dockerfile or os.path.join(self._root, "Dockerfile")
        if not os.path.exists(path) and os.path.exists(os.path.join(self._root, path)):
            path = os.path.join(self._root, path)
        if not os.path.exists(path):
            missing = f"lstat {os.path.abspath(path)}: no such file or directory"
            raise Fault(f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: {missing}")
        self._path = os.path.realpath(path)
        inside = os.path.relpath(self._path, self._root)
        return _OUTSIDE_DOCKERFILE if inside.startswith("..") else inside

    def _from_directory(self) -> Iterator[bytes]:
        from corten.cli.image.ignore import Ignored, read_patterns
        from corten.cli.packing import Packing

        name = str(self.query["dockerfile"])
        patterns = read_patterns(self._ignore_file(f"{name}.dockerignore") or self._ignore_file(".dockerignore"))
        kept = ["!.dockerignore", f"!{name}", f"!{name}.dockerignore"]
        ignored = Ignored([*patterns, *kept] if patterns else [])
        packing = Packing(self._root, "", keeps=lambda path, _: ignored.keeps(path))
        yield from self._extra(name)
        yield from packing.chunks()

    def _ignore_file(self, name: str) -> str:
        try:
            with open(os.path.join(self._root, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _extra(self, name: str) -> Iterator[bytes]:
        """A Dockerfile that is not in the context's directory."""
        if name not in (_STDIN_DOCKERFILE, _OUTSIDE_DOCKERFILE):
            return
        descriptor = 0 if name == _STDIN_DOCKERFILE else open_input(self._path)
        content = b"".join(chunks_of(descriptor))
        yield _entry(name, content)

    def _from_stdin(self) -> Iterable[bytes]:
        """A tar as it is; anything else is a Dockerfile, alone in its context."""
        stream = chunks_of(0)
        head = b""
        while len(head) < 512 and (chunk := next(stream, b"")):
            head += chunk
        if head[257:262] == b"ustar" or head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:5] == b"\xfd7zXZ":
            yield head
            yield from stream
            return
        content = head + b"".join(stream)
        yield _entry(self._dockerfile or "Dockerfile", content) + bytes(1024)


def _entry(name: str, content: bytes) -> bytes:
    """One file as tar bytes."""
    from corten.wire import tar

    header = tar.encode(tar.Entry(os.fsencode(name), tar.REGULAR, size=len(content)))
    return header + content + bytes(tar.padding(len(content)))


BUILD = Command(
    "build, image build, builder build",
    "[OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    _run,
    least=1,
    most=1,
    flags=(
        texts("add-host", "", "Add a line to /etc/hosts, HOST:IP", read=readers.extra_host),
        texts("build-arg", "", "Set a build argument", read=readers.variable),
        text("cache-dir", "", "Directory that keeps layers and cache mounts as plain files, for CI"),
        texts("cache-from", "", "Images to take cached layers from", kind="strings", read=values.csv),
        text("cgroup-parent", "", "Cgroup below which RUN's are made"),
        switch("compress", "", "Compress the context on its way", hidden=True),
        number("cpu-period", "", "Length of a CFS period in microseconds"),
        number("cpu-quota", "", "CPU time in each CFS period in microseconds"),
        number("cpu-shares", "c", "Share of CPU time against others"),
        text("cpuset-cpus", "", "CPUs that RUN may use (0-3, 0,1)"),
        text("cpuset-mems", "", "Memory nodes that RUN may use (0-3, 0,1)"),
        switch("disable-content-trust", "", "Skip the verification of images", default=True, hidden=True),
        text("file", "f", "The Dockerfile, in place of PATH/Dockerfile"),
        switch("force-rm", "", "Remove intermediate containers after a failure too"),
        text("iidfile", "", "Write the image's id to this file"),
        text("isolation", "", "Isolation technology (default is the only one on Linux)"),
        texts("label", "", "Add a label", read=readers.label),
        texts("output", "o", "Where the files go: DIR, -, or type=local|tar|image,dest=…", read=read_output),
        value("memory", "m", "Most memory for RUN", "bytes", values.memory, 0),
        value("memory-swap", "", "Most memory and swap together, -1 for no limit", "bytes", values.memory_swap, 0),
        text("network", "", "Network for RUN", "default"),
        switch("no-cache", "", "Build every step anew"),
        text("platform", "", "Platform to build for"),
        text("progress", "", "How it is shown (auto, plain, quiet, rawjson, tty)", "auto"),
        switch("pull", "", "Look for newer base images"),
        switch("quiet", "q", "Print only the image's id"),
        switch("rm", "", "Remove intermediate containers after success", default=True),
        texts("secret", "", "A secret for RUN: id=NAME,src=FILE or id=NAME,env=VARIABLE"),
        texts("security-opt", "", "Security option for RUN", kind="strings", read=values.csv),
        value("shm-size", "", "Size of /dev/shm for RUN", "bytes", values.memory, 0),
        switch("squash", "", "Squash the new layers into one", hidden=True),
        texts("tag", "t", "Name of the image, NAME[:TAG]"),
        text("target", "", "Stage to build"),
        texts("ulimit", "", "Set a limit for RUN, NAME=SOFT[:HARD]", kind="ulimit", read=readers.ulimit),
    ),
)


def _prune(session: Session, options: Options, _: list[str]) -> int:
    if not options.on("force"):
        kind = "all" if options.on("all") else "all dangling"
        if not session.confirm(f"WARNING! This will remove {kind} build cache. Are you sure you want to continue?"):
            return 0
    query = {
        "all": "1" if options.on("all") else None,
        "keep-storage": str(options.number("keep-storage")) if options.given("keep-storage") else None,
        "filters": filters(options.texts("filter")),
    }
    answer = session.post("/build/prune", query).json()
    if answer.get("CachesDeleted"):
        session.say("Deleted build cache objects:", *answer["CachesDeleted"], "")
    session.say(f"Total reclaimed space: {size(answer['SpaceReclaimed'])}")
    return 0


PRUNE = Command(
    "builder prune",
    "[OPTIONS]",
    "Remove the build cache",
    _prune,
    flags=(
        switch("all", "a", "Also what images still use"),
        texts("filter", "", "Only what meets a condition, such as until=24h", kind="filter", read=filter_pair),
        FORCE,
        value("keep-storage", "", "Bytes of it to keep", "bytes", values.memory, 0),
    ),
)

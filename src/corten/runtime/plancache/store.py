"""Keep a compilation: compile once more with marked values, prove that it may be kept, write the entry.

Nothing here may hurt a launch that has already come up: a reason, a full disk or a directory of somebody else only
means that the next launch is compiled again.
"""

from __future__ import annotations

import os

from corten.model.errors import CortenError
from corten.runtime import record as records
from corten.runtime.compiler import compile, compile_exec
from corten.runtime.plancache import holes as holes_of
from corten.runtime.plancache import pieces, reasons, template
from corten.runtime.plancache.entry import Entry
from corten.runtime.plancache.host import Witnessed
from corten.runtime.plancache.values import BUNDLE, DOCUMENT_HOLES, HOLES, ID, PID, PROGRAM, START, Number, Value
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from corten.plan.step import LaunchPlan
    from corten.runtime.compiler import Options
    from corten.runtime.plancache.entry import Patch
    from corten.runtime.plancache.front import Handed
    from corten.runtime.plancache.holes import Hole

    Compile = Callable[[Witnessed, list[str], bool], LaunchPlan]

__all__ = ["Launched", "keep_exec", "keep_launch"]

DIRECTORY = "/run/corten-plans"
VARIANTS = 8
_MOST = 256
_LARGEST = 1 << 20
_LARGEST_WITNESS = 4000
_CONSOLE, _PIPES, _EXEC = 2, 0x70, 128
_ALL = 0xFF
# Another value for each hole, of another length, that meets the same conditions.
_OTHER = "corten-other-value/"


class Launched:
    """A launch that has come up, as `keep_launch` needs it: its record is `container._record`'s."""

    def __init__(self, id: str, bundle: str, options: Options, record: dict[str, Any]) -> None:
        self.id = id
        self.bundle = bundle
        self.options = options
        self.record = record


def keep_launch(handed: Handed, launched: Launched, directory: int = -1) -> str:
    """Keep the plan of this launch, and the template of an exec in it: in the cache, and in the container's `directory`
    for its own. The reason why it is not kept, or ""."""
    spec = codec.loads(handed.document)
    cache = _cache()
    if cache < 0:
        return "nowhere"
    if (spec.get("hooks") or {}) and any(spec["hooks"].values()):
        return "hooks"
    if not all(map(_is_plain, (launched.id, launched.bundle))):
        return "plain"
    holes = holes_of.in_config(handed.document, spec)

    def compiled(host: Witnessed, warnings: list[str], other: bool) -> LaunchPlan:
        marked, id, bundle = _marked(handed.document, holes, launched, other)
        return compile(marked, host, bundle=bundle, id=id, options=launched.options, warnings=warnings)

    found = _Found(compiled, handed)
    if found.reason:
        return found.reason
    exec_ = _exec_template(handed, launched, holes)
    user = (spec.get("process") or {}).get("user") or {}
    numbers = {slot: number for number, slot in found.plan.inherit}
    entry = Entry(
        key=handed.key.text,
        wanted=_wanted(handed.options, user),
        document=handed.document,
        holes=holes,
        witnesses=found.witnesses,
        plan=found.code,
        patches=found.patches,
        fds=(numbers.get("start", 0), numbers.get("console", 0)),
        record=(pieces.flags(launched.record), 2 + len(holes)),
        state_pieces=pieces.of_state(launched, holes),
        record_pieces=pieces.of_record(launched, holes, found.host.layout),
        exec=exec_,
    )
    if exec_ and directory >= 0:
        _keep_values(directory, launched.record, holes, found.host)
        _write(directory, f"argv-{handed.key_name:016x}.0", exec_)
    return _keep(cache, f"{handed.name:016x}", entry.encode())


def keep_exec(handed: Handed, config: bytes, options: Options, record: dict[str, Any], directory: int) -> str:
    """Keep the plan of an exec whose process came as a document, in the container's `directory`; `config` and `record`
    are the container's own. The reason why it is not kept, or ""."""
    process, spec = codec.loads(handed.document), codec.loads(config)
    holes = holes_of.in_config(config, spec)
    arguments = holes_of.in_process(handed.document, process)

    def compiled(host: Witnessed, warnings: list[str], other: bool) -> LaunchPlan:
        words = [f"{_OTHER}{n}" for n in range(len(arguments))]
        raw = holes_of.fill(handed.document, arguments, words) if other else handed.document
        document = codec.loads(raw)
        holes_of.mark(document, arguments, DOCUMENT_HOLES)
        marked = {**codec.loads(codec.dumps(spec)), "process": document}
        own = [hole for hole in holes if hole.pointer[0] != "process"]
        _mark_some(marked, own, holes)
        return _compiled_exec(marked, host, record["id"], record["pid"], record["start"], options, warnings, other)

    found = _Found(compiled, handed)
    if found.reason:
        return found.reason
    if not _keep_values(directory, record, holes, found.host):
        return "size"
    entry = Entry(
        key=handed.key.text,
        wanted=_wanted(handed.options, process.get("user") or {}),
        document=handed.document,
        holes=arguments,
        witnesses=found.witnesses,
        plan=found.code,
        patches=found.patches,
        fds=(0, {slot: number for number, slot in found.plan.inherit}.get("console", 0)),
    )
    return _keep(directory, f"process-{handed.name:016x}", entry.encode())


class _Found:
    """A compilation with marked values: why it is not kept, or what of it is."""

    def __init__(self, compiled: Compile, handed: Handed) -> None:
        warnings: list[str] = []
        self.host = Witnessed()
        self.plan = compiled(self.host, warnings, False)
        self.code = b""
        self.patches: list[Patch] = []
        self.reason = reasons.of_plan(self.plan, warnings, console=bool(handed.options & _CONSOLE))
        self.reason = self.reason or reasons.of_host(self.host, handed.key)
        if self.reason:
            return
        if not template.same(self.plan, compiled(self.host, warnings, True)):
            self.reason = "value"
            return
        from corten.plan.rules import check

        if check(self.plan, machine=self.host.machine):
            self.reason = "rules"
            return
        self.witnesses = self.host.witnesses()
        if any(len(witness.data) > _LARGEST_WITNESS for witness in self.witnesses):
            self.reason = "size"
            return
        self.code, self.patches = template.made(self.plan)


def _exec_template(handed: Handed, launched: Launched, holes: list[Hole]) -> bytes:
    """What `exec ID WORD...` runs in a container of this configuration; nothing where that cannot be kept."""
    from corten.runtime.compiler import Options

    options = Options(new_keyring=launched.options.new_keyring, cgroup_fallback=launched.options.cgroup_fallback)

    def compiled(host: Witnessed, warnings: list[str], other: bool) -> LaunchPlan:
        marked, id, _ = _marked(handed.document, holes, launched, other)
        process = {**marked["process"], "args": [Value.of(_OTHER if other else "program", PROGRAM)], "terminal": False}
        process.pop("consoleSize", None)
        spec = {**marked, "process": process}
        return _compiled_exec(spec, host, id, 2, 2, options, warnings, other)

    spec = codec.loads(handed.document)
    user = (spec.get("process") or {}).get("user") or {}
    if user.get("uid", 0):
        return b""  # whose streams are given to that user: which ones are pipes, each exec must see for itself
    try:
        found = _Found(compiled, handed)
    except CortenError:
        return b""
    if found.reason:
        return b""
    return Entry(
        key=handed.key.text,
        wanted=(_EXEC, _ALL & ~_PIPES),
        document=b"",
        holes=(),
        witnesses=found.witnesses,
        plan=found.code,
        patches=found.patches,
    ).encode()


def _compiled_exec(
    spec: Any, host: Witnessed, id: str, pid: int, start: int, options: Options, warnings: list[str], other: bool
) -> LaunchPlan:
    number = Number.of(pid + other, PID), Number.of(start + other, START)
    name = Value.of(f"{_OTHER[:-1]}" if other else id, ID)
    return compile_exec(spec, host, id=name, pid=number[0], start=number[1], options=options, warnings=warnings)


def _marked(document: bytes, holes: list[Hole], launched: Launched, other: bool) -> tuple[Any, Value, Value]:
    """The configuration with its values marked, and the id and bundle; with `other`, all of them are other ones."""
    raw = document
    id, bundle = launched.id, launched.bundle
    if other:
        raw = holes_of.fill(document, holes, [_other(hole, n) for n, hole in enumerate(holes)])
        id, bundle = _OTHER[:-1], f"/{_OTHER}bundle"
    spec = codec.loads(raw)
    holes_of.mark(spec, holes, HOLES)
    return spec, Value.of(id, ID), Value.of(bundle, BUNDLE)


def _other(hole: Hole, n: int) -> str:
    return f"{hole.prefix}{'/' if hole.flags & holes_of.ABSOLUTE else ''}{_OTHER}{n}"


def _keep_values(directory: int, record: dict[str, Any], holes: list[Hole], host: Witnessed) -> bool:
    """Into the container's record, the values that its exec templates take."""
    try:
        fd = os.open(records.NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    try:
        flags = records.flags_of(os.read(fd, records.LARGEST))
    finally:
        os.close(fd)
    values = (record["id"], record["bundle"], *(hole.text for hole in holes))
    data = records.encode(record, values, host.layout, flags)
    if data:
        _write(directory, records.NAME, data)
    return bool(data)


def _mark_some(spec: Any, some: list[Hole], holes: list[Hole]) -> None:
    for hole in some:
        holes_of.mark(spec, [hole], HOLES + holes.index(hole))


def _wanted(options: int, user: Any) -> tuple[int, int]:
    """The options that an entry wants, and which of them count: pipes only where they are given to a user."""
    mask = _ALL if user.get("uid", 0) else _ALL & ~_PIPES
    return options & mask, mask


def _is_plain(text: str) -> bool:
    return holes_of.is_plain(text, 0 if "/" not in text else holes_of.ABSOLUTE) or not set(text) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-"
    )


def _cache() -> int:
    """The cache's directory, made if missing; -1 where it is not ours alone."""
    path = os.environ.get("CORTEN_PLAN_CACHE") or DIRECTORY
    try:
        if not os.path.lexists(path):
            os.mkdir(path, 0o700)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1
    st = os.fstat(fd)
    if st.st_uid == os.geteuid() and not st.st_mode & 0o077:
        return fd
    os.close(fd)
    return -1


def _keep(directory: int, name: str, data: bytes) -> str:
    """Write an entry under the first free name of its kind; when all are taken, in the place of the oldest."""
    if len(data) > _LARGEST:
        return "size"
    _make_room(directory, "process-" if name.startswith("process-") else "")
    ages: list[tuple[int, str]] = []
    for variant in range(VARIANTS):
        try:
            st = os.stat(f"{name}.{variant}", dir_fd=directory, follow_symlinks=False)
        except OSError:
            ages = [(0, f"{name}.{variant}")]
            break
        ages.append((st.st_mtime_ns, f"{name}.{variant}"))
    _write(directory, min(ages)[1], data)
    return ""


def _make_room(directory: int, kind: str) -> None:
    """Remove the older half when there are too many of a kind: what nobody starts any more goes first. A container's
    directory holds other files too, hence the `kind`, with which names begin."""
    names = [name for name in os.listdir(directory) if name.startswith(kind) and not name.startswith(".")]
    if len(names) < _MOST:
        return
    ages = []
    for name in names:
        try:
            ages.append((os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime_ns, name))
        except FileNotFoundError:
            continue
    for _, name in sorted(ages)[: _MOST // 2]:
        try:
            os.unlink(name, dir_fd=directory)
        except OSError:
            return


def _write(directory: int, name: str, data: bytes) -> None:
    """A reader sees the whole file or none; a second writer's is as good as ours."""
    fresh = f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(fresh, flags, 0o600, dir_fd=directory)
    except OSError:
        return
    try:
        whole = os.write(fd, data) == len(data)
    except OSError:
        whole = False
    finally:
        os.close(fd)
    try:
        if whole:
            os.rename(fresh, name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            os.unlink(fresh, dir_fd=directory)
    except OSError:
        return

"""From the launcher to a command, in as little time as Python allows.

Three things are saved. The compiled modules of our commands lie in one file, so that a start opens one and not
thirty. Garbage is collected rarely, since a command makes little. And at the end the process just ends: taking the
interpreter down in order costs as much as what most commands do.

On the file: Python finds each module by listing directories and reading its `.pyc`, a sixth of a millisecond each and
more than most modules then take to run. The *archive* holds copies of the `.pyc` files of all modules that commands
have imported so far, and lies beside them in `__pycache__`. A copy is used only while it is what Python itself would
use: made by this very interpreter, from a source of the same size and time. What is missing or stale is imported as
ever, and the archive is written anew when the command ends, if its place can be written to.

    archive = magic | u32 length of the table | table | the .pyc files one after the other
    table   = marshal of {module: (is a package, offset, length)}

Modules are read one by one from the open file: whoever has imported everything, as an engine has, makes the archive
megabytes long, of which a command wants a twentieth.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import dumps, loads
from posix import O_CLOEXEC, O_RDONLY, _exit, getpid, pread, replace, stat, unlink, write
from posix import open as open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, ModuleType
    from typing import Any, NoReturn

__all__ = ["Archive", "read", "start"]

_HEADER = 16  # of a .pyc: magic, flags, time and size of the source (PEP 552)
_PACKAGE = "corten"
_TABLE = 1 << 15  # read at once: the table of some four hundred modules
_RARELY = 100_000  # allocations between two collections; `serve`, which lives long, sets it back


def start(program: str) -> NoReturn:
    """Be the process of one command line: `corten` or `corten-runtime`, with the words of sys.argv."""
    import gc

    gc.set_threshold(_RARELY)
    name, _, handed = program.partition("@")  # the descriptor of what the static program has read already
    sys.argv[0] = name
    archive = read(__file__.removesuffix(f"/{_PACKAGE}/start.py"))
    sys.meta_path.insert(0, archive)
    status = 1
    try:
        status = _main(name, int(handed or -1))(sys.argv[1:])
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    archive.keep()
    _end(status)


def _main(program: str, handed: int) -> Callable[[list[str]], int]:
    if program == "corten-runtime":
        from corten.runtime.command import main as runtime

        return lambda argv: runtime(argv, handed)
    from corten.cli.command import main

    return main


def _end(status: int) -> NoReturn:
    """Write what is still to be written, and end; what cannot be written is an error."""
    try:
        sys.stdout.flush()
    except OSError as error:
        status = status or 1
        write(2, f"corten: cannot write: {error.strerror}\n".encode())
    sys.stderr.flush()
    _exit(status)


class Archive:
    """The archive at `path` of the sources below `root`; also the finder that serves modules from it."""

    def __init__(self, path: str, root: str, file: int) -> None:
        self._path = path
        self._root = root
        self._file = file
        self._table: dict[str, tuple[bool, int, int]] = {}
        self._served: set[str] = set()
        self._base = 0
        if file >= 0:
            self._read_table()

    def _read_table(self) -> None:
        start = len(MAGIC_NUMBER) + 4
        head = pread(self._file, _TABLE, 0)
        if head[: len(MAGIC_NUMBER)] != MAGIC_NUMBER:
            return
        end = start + int.from_bytes(head[start - 4 : start], "little")
        if end > len(head):
            head += pread(self._file, end - len(head), len(head))
        try:
            self._table = loads(memoryview(head)[start:end])
        except (EOFError, TypeError, ValueError):
            return  # cut short: as good as none
        self._base = end

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """The module from the archive; None leaves it to the finders that ask the file system."""
        entry = self._table.get(name)
        if entry is None:
            return None
        is_package, offset, length = entry
        base = f"{self._root}/{name.replace('.', '/')}"
        source = f"{base}/__init__.py" if is_package else f"{base}.py"
        compiled = pread(self._file, length, self._base + offset)
        if len(compiled) != length or not _is_current(compiled[:_HEADER], source):
            return None
        self._served.add(name)
        loader: Any = _Loader(memoryview(compiled)[_HEADER:], source)
        spec = ModuleSpec(name, loader, origin=source, is_package=is_package)
        spec.has_location = True
        spec.cached = _compiled_path(source)
        if is_package and spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(base)
        return spec

    def keep(self) -> None:
        """Write the archive anew when modules were imported that it does not serve."""
        loaded = [name for name in sys.modules if name == _PACKAGE or name.startswith(_PACKAGE + ".")]
        if all(name in self._served or name in (__name__, _PACKAGE) for name in loaded):
            return
        wanted = dict.fromkeys((*self._table, *loaded))
        entries = {name: entry for name in wanted if (entry := self._compiled(name)) is not None}
        try:
            _write(self._path, entries)
        except OSError:
            return  # a place that is not ours to write: the next start is no faster, and no worse

    def _compiled(self, name: str) -> tuple[bool, bytes] | None:
        """Whether a module is a package, and its current .pyc."""
        base = f"{self._root}/{name.replace('.', '/')}"
        for source, is_package in ((f"{base}.py", False), (f"{base}/__init__.py", True)):
            try:
                with open(_compiled_path(source), "rb") as file:
                    content = file.read()
            except OSError:
                continue
            if _is_current(content[:_HEADER], source):
                return is_package, content
        return None


class _Loader:
    """Runs one module's code."""

    def __init__(self, code: memoryview, source: str) -> None:
        self._code = code
        self._source = source

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002 - the default module will do
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(loads(self._code), module.__dict__)

    def get_code(self, _name: str) -> CodeType:
        code: CodeType = loads(self._code)
        return code

    def get_source(self, _name: str) -> str:
        with open(self._source, encoding="utf-8") as file:
            return file.read()

    def get_filename(self, _name: str) -> str:
        return self._source


def read(root: str) -> Archive:
    """The archive of the sources below `root`; an empty one where there is none yet."""
    path = f"{root}/{_PACKAGE}/__pycache__/start.{sys.implementation.cache_tag}"
    try:
        return Archive(path, root, open_file(path, O_RDONLY | O_CLOEXEC))
    except OSError:
        return Archive(path, root, -1)


def _is_current(header: memoryview | bytes, source: str) -> bool:
    """Whether a .pyc was made by this interpreter from the source as it is now."""
    try:
        status = stat(source)
    except OSError:
        return False
    when, size = int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF
    wanted = MAGIC_NUMBER + bytes(4) + when.to_bytes(4, "little") + size.to_bytes(4, "little")
    return bool(header == wanted)


def _compiled_path(source: str) -> str:
    directory, _, file = source.rpartition("/")
    return f"{directory}/__pycache__/{file[:-3]}.{sys.implementation.cache_tag}.pyc"


def _write(path: str, entries: dict[str, tuple[bool, bytes]]) -> None:
    table: dict[str, tuple[bool, int, int]] = {}
    offset = 0
    for name, (is_package, content) in entries.items():
        table[name] = (is_package, offset, len(content))
        offset += len(content)
    head = dumps(table)
    parts = [MAGIC_NUMBER, len(head).to_bytes(4, "little"), head, *(content for _, content in entries.values())]
    fresh = f"{path}.{getpid()}"
    try:
        with open(fresh, "xb") as file:
            file.write(b"".join(parts))
        replace(fresh, path)
    except OSError:
        _remove(fresh)
        raise


def _remove(path: str) -> None:
    try:
        unlink(path)
    except OSError:
        return  # it never came to be

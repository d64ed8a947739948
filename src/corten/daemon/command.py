"""`corten serve`: be the engine of a root.

Usage: corten serve [--root DIR] [--host unix://PATH|tcp://127.0.0.1:PORT]... [--background] [--ready-fd N]
                    [--tls | --tlsverify] [--tlscacert FILE] [--tlscert FILE] [--tlskey FILE]

`--background` is how commands start an engine that nobody started: it detaches from the terminal, writes its log
into the root, leaves when it is idle, and is content when another engine won the race. `--ready-fd` names an
inherited pipe; what goes wrong before the engine is ready is written to it, and it is closed when the engine is.
`--tls` speaks TLS on every TCP address, `--tlsverify` asks clients for a certificate of `--tlscacert` too; without
names the files are ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH or ~/.docker, as dockerd has them.
"""

import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Mapping
from types import ModuleType
from typing import NamedTuple

from corten.api.http.certificates import Certificates
from corten.daemon.listening import answers, listen_tcp, listen_unix
from corten.daemon.lock import EngineLock
from corten.daemon.notify import FIRST_FD, passed_sockets
from corten.model import roots as model_roots
from corten.model.errors import AlreadyExists, CortenError, InvalidArgument
from corten.model.roots import Roots

__all__ = ["main"]

LOG_LIMIT = 10 << 20
LAST_PORT = 65535
PEM = {"--tlscacert": "ca.pem", "--tlscert": "cert.pem", "--tlskey": "key.pem"}  # each file's name where none is given
PATIENCE, PAUSE = 20.0, 0.01  # a predecessor that is leaving needs a moment
log = logging.getLogger("corten.daemon")


class Options(NamedTuple):
    roots: Roots
    hosts: tuple[str, ...] = ()
    background: bool = False
    ready_fd: int | None = None
    tls: bool = False
    verify: bool = False
    files: tuple[tuple[str, str], ...] = ()


def main(argv: list[str]) -> int:
    """Run the engine; the process's exit code."""
    if "-h" in argv or "--help" in argv:
        print((__doc__ or "").strip())
        return 0
    tell = sys.stderr.fileno()
    try:
        options = parse(argv)
        tell = tell if options.ready_fd is None else options.ready_fd
        return _serve(options)
    except OSError as error:
        os.write(tell, f"corten: cannot start the engine: {error}\n".encode())
    except CortenError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        os.write(tell, f"corten: {error.message}{hint}\n".encode())
    return 1


def parse(argv: list[str]) -> Options:
    """Read the command line; `InvalidArgument` for what it does not know."""
    options = Options(model_roots.of(os.environ, os.geteuid()))
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name in ("--background", "-h", "--help"):
            options = options._replace(background=options.background or name == "--background")
            continue
        if name in ("--tls", "--tlsverify"):
            wished = value not in ("false", "0")
            options = options._replace(tls=wished) if name == "--tls" else options._replace(verify=wished)
            continue
        if name not in ("--root", "--host", "-H", "--ready-fd", *PEM):
            raise InvalidArgument(f"serve does not know {word}", hint="see: corten serve --help")
        value = value if equals else next(words, "")
        if name == "--root":
            options = options._replace(roots=model_roots.below(os.path.abspath(value)))
        elif name == "--ready-fd":
            options = options._replace(ready_fd=descriptor(value))
        elif name in PEM:
            options = options._replace(files=(*options.files, (name, os.path.abspath(value))))
        else:
            options = options._replace(hosts=(*options.hosts, value))
    return options


def certificates(options: Options, environ: Mapping[str, str]) -> Certificates | None:
    """The files of TLS on TCP, by name or from dockerd's place for them; None without TLS."""
    if not (options.tls or options.verify):
        return None
    home = environ.get("DOCKER_CERT_PATH") or os.path.join(environ.get("HOME", "/root"), ".docker")
    files = {flag: os.path.join(home, name) for flag, name in PEM.items()} | dict(options.files)
    return Certificates(files["--tlscert"], files["--tlskey"], files["--tlscacert"] if options.verify else "")


def descriptor(text: str) -> int:
    """The number of `--ready-fd`."""
    if not text.isdecimal() or int(text) < FIRST_FD:
        raise InvalidArgument(f"cannot use {text!r} as --ready-fd", hint=f"an inherited descriptor, {FIRST_FD} or more")
    return int(text)


def _serve(options: Options) -> int:
    passed = passed_sockets(os.environ)
    if options.background:
        _detach(FIRST_FD, options.ready_fd)
    roots = options.roots
    _make_directories(roots)
    lock = _lock(roots, patient=options.background)
    if lock is None:
        return 0
    _open_log(roots if options.background else None)
    sockets = passed or [listen_unix(roots.socket)]
    files = certificates(options, os.environ)
    sockets += [_listen(host, files) for host in options.hosts]
    asyncio = _asyncio_alone()
    from corten.daemon.process import Process, Settings  # after the race is won: it loads the whole engine

    process = Process(Settings(roots, sockets, not passed, options.background, lambda: _ready(options), files))
    try:
        asyncio.run(process.run())
    except CortenError:
        raise
    except Exception:
        log.exception("the engine breaks off")
        raise
    lock.release()
    logging.shutdown()
    os._exit(0)  # a thread that still waits for a client must not keep the process


def _asyncio_alone() -> ModuleType:
    """asyncio without ssl, which it loads for TLS transports: an engine on a unix socket has none, and starts 8 ms
    sooner. Whoever speaks TLS on blocking sockets (pulls) still loads ssl for itself.
    """
    if "ssl" in sys.modules:  # we listen with TLS
        import asyncio

        return asyncio
    sys.modules["ssl"] = None  # type: ignore[assignment]
    import asyncio

    del sys.modules["ssl"]
    return asyncio


def _lock(roots: Roots, *, patient: bool) -> EngineLock | None:
    """The lock of `roots`; None when an engine that answers holds it and we were started just in case."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return EngineLock(roots.lock)
        except AlreadyExists:
            if not patient or time.monotonic() > deadline:
                raise
        if answers(roots.socket):
            return None
        time.sleep(PAUSE)


def _detach(first: int, ready: int | None) -> None:
    """Hold nothing of whoever started us: neither its directory nor its descriptors nor its umask."""
    os.umask(0o022)
    os.chdir("/")
    middle = first if ready is None else ready
    os.closerange(first, middle)
    os.closerange(middle + (ready is not None), os.sysconf("SC_OPEN_MAX"))


def _make_directories(roots: Roots) -> None:
    for path in (roots.data, roots.run, os.path.dirname(roots.socket)):
        os.makedirs(path, mode=0o700, exist_ok=True)


def _open_log(roots: Roots | None) -> None:
    if roots is not None:
        _rotate(roots.log)
        fd = os.open(roots.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)


def _rotate(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size > LOG_LIMIT:
            os.rename(path, f"{path}.1")


def _listen(host: str, files: Certificates | None = None) -> socket.socket:
    scheme, _, address = host.partition("://")
    if scheme == "unix":
        return listen_unix(os.path.abspath(address))
    name, _, port = address.rpartition(":")
    if scheme != "tcp" or not port.isdecimal() or int(port) > LAST_PORT:
        raise InvalidArgument(f"cannot listen on {host}", hint="unix://PATH or tcp://127.0.0.1:PORT")
    if files is not None:
        from corten.api.http import tls  # here, because asyncio is to load without ssl

        tls.context(files)  # a file that cannot be read is told before anything is started
    return listen_tcp(name.strip("[]"), int(port), verified=bool(files and files.authority))


def _ready(options: Options) -> None:
    if options.ready_fd is not None:
        os.close(options.ready_fd)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`corten registry serve`: a registry in the foreground.

Usage: corten registry serve --listen HOST:PORT --root DIR [--tls-cert FILE --tls-key FILE] [--htpasswd FILE]

Without `--htpasswd` everybody who reaches the port may push, pull and delete; without TLS everybody on the way may
read and change what goes by. Both are said on the log when the port is not a loopback one. An hour apart, and when
it starts, it frees what no repository names.
"""

import asyncio
import ipaddress
import logging
import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import NamedTuple

from corten.api.http.server import Server
from corten.api.lanes import Lanes
from corten.api.registry import Distribution
from corten.daemon.notify import notify
from corten.model.errors import CortenError, InvalidArgument
from corten.registry import Passwords, Registry

__all__ = ["main"]

COLLECT_EVERY = 3600.0
GRACE = 10.0
BACKLOG = 4096
LAST_PORT = 65535
log = logging.getLogger("corten.registry")


class Options(NamedTuple):
    listen: str
    root: Path
    tls: tuple[str, str] | None
    htpasswd: Path | None
    ready_fd: int | None


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    try:
        asyncio.run(_serve(parse(argv)))
    except OSError as error:
        print(f"corten: cannot serve the registry: {error}", file=sys.stderr)
        return 1
    except CortenError as error:
        print(f"corten: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return 1
    logging.shutdown()
    os._exit(0)  # a thread that still waits for a client must not keep the process


def parse(argv: list[str]) -> Options:
    """Read the command line; `InvalidArgument` for what it does not know or misses."""
    given: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("--listen", "--root", "--tls-cert", "--tls-key", "--htpasswd", "--ready-fd"):
            raise InvalidArgument(f"registry serve does not know {word}", hint="see: corten registry serve --help")
        given[name] = value if equals else next(words, "")
    for name in ("--listen", "--root"):
        if not given.get(name):
            raise InvalidArgument(f"registry serve needs {name}", hint="see: corten registry serve --help")
    if ("--tls-cert" in given) != ("--tls-key" in given):
        raise InvalidArgument("registry serve needs --tls-cert and --tls-key together")
    tls = (given["--tls-cert"], given["--tls-key"]) if "--tls-cert" in given else None
    htpasswd = Path(given["--htpasswd"]) if "--htpasswd" in given else None
    ready = given.get("--ready-fd")
    if ready is not None and not ready.isdecimal():
        raise InvalidArgument(f"cannot use {ready!r} as --ready-fd", hint="the number of an inherited descriptor")
    return Options(
        given["--listen"], Path(os.path.abspath(given["--root"])), tls, htpasswd, int(ready) if ready else None
    )


async def _serve(options: Options) -> None:
    sock = _listen(options.listen)
    tls = _tls(options.tls) if options.tls else None
    passwords = Passwords.read(options.htpasswd) if options.htpasswd else None
    registry = Registry.open(options.root)
    lanes = Lanes()
    server = Server(Distribution(registry, lanes, passwords))
    await server.listen(sock, tls)
    host, port = sock.getsockname()[:2]
    _say(f"{host}:{port}", ipaddress.ip_address(host).is_loopback, tls is not None, passwords is not None)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if options.ready_fd is not None:
        os.write(options.ready_fd, f"{port}\n".encode())
        os.close(options.ready_fd)
    notify("READY=1", os.environ)
    await _collect_until(stop, registry)
    notify("STOPPING=1", os.environ)
    await server.close(GRACE)
    lanes.close()
    registry.close()


async def _collect_until(stop: asyncio.Event, registry: Registry) -> None:
    while not stop.is_set():
        freed = await asyncio.to_thread(registry.collect)
        if freed:
            log.info("freed %d bytes that no repository names", freed)
        try:
            await asyncio.wait_for(stop.wait(), COLLECT_EVERY)
        except TimeoutError:
            continue


def _listen(text: str) -> socket.socket:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > LAST_PORT:
        raise InvalidArgument(
            f"cannot listen on {text}", hint="HOST:PORT, for instance 127.0.0.1:5000; port 0 picks one"
        )
    try:
        address = ipaddress.ip_address({"": "0.0.0.0", "localhost": "127.0.0.1"}.get(host, host.strip("[]")))
    except ValueError:
        raise InvalidArgument(f"cannot listen on {text}: the host must be an IP address") from None
    sock = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((str(address), int(port)))
    sock.listen(BACKLOG)
    return sock


def _tls(files: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(*files)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(
            f"read certificate {files[0]} and key {files[1]}: {error}", hint="both must be PEM, and belong together"
        ) from error
    return context


def _say(address: str, loopback: bool, tls: bool, passwords: bool) -> None:
    log.info("ready: %s://%s", "https" if tls else "http", address)
    if not loopback and not passwords:
        log.warning("everybody who reaches %s may push, pull and delete: --htpasswd FILE asks for a password", address)
    if not loopback and not tls:
        log.warning("what goes over %s is not encrypted: --tls-cert and --tls-key turn that on", address)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

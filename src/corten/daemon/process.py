"""The running engine: from a taken lock to a clean end.

Whoever waits for readiness (a command that started us, a service manager) is told as soon as the engine answers.
On SIGTERM new clients are refused, what is being answered may end, and containers stay alive: their monitors need
no engine. An engine that a command started leaves by itself when it has had no client and no running container for
a while; `serve` never does.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple

from corten.api import story
from corten.api.browsers import guarded
from corten.api.dispatch import Dispatcher
from corten.api.docker import routes
from corten.api.http.certificates import Certificates
from corten.api.http.connection import App
from corten.api.http.server import Server
from corten.api.lanes import Lanes
from corten.api.router import Router
from corten.daemon import config as configuration
from corten.daemon.compose import compose, parts
from corten.daemon.listening import unlink_own
from corten.daemon.notify import notify
from corten.engine import Engine
from corten.model.errors import CortenError
from corten.model.roots import Roots

__all__ = ["Process", "Settings"]

IDLE_CHECK = 1.0
LAST_CALL = 0.05  # how long a client that found the socket just before it was taken away has to arrive
log = logging.getLogger("corten.daemon")


class Settings(NamedTuple):
    """How this engine was started."""

    roots: Roots
    sockets: list[socket.socket]
    own_socket: bool
    may_idle: bool
    ready: Callable[[], None]
    certificates: Certificates | None = None


class Process:
    """One engine's life in this process; `run` returns when it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._config = configuration.load(settings.roots.config)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        self._set_log_level()
        engine = await asyncio.to_thread(self._compose)
        lanes = Lanes()
        app = Dispatcher(engine, Router([*routes(), *story.ROUTES]), lanes)
        self._engine, self._server = engine, Server(app)
        self._catch_signals()
        for sock in self._settings.sockets:
            await self._listen(sock, app)
        self._settings.ready()
        notify("READY=1", os.environ)
        log.info("ready: %s", self._settings.roots.socket)
        await self._until_the_end()
        notify("STOPPING=1", os.environ)
        await self._close(lanes)

    async def _listen(self, sock: socket.socket, app: App) -> None:
        """On TCP web pages are kept out; with certificates it is TLS alone."""
        files = self._settings.certificates
        if sock.family == socket.AF_UNIX:
            await self._server.listen(sock)
        elif files is None:
            await self._server.listen(sock, app=guarded(app))
        else:
            from corten.api.http import tls

            named = guarded(app, any_name=bool(files.authority))
            await self._server.listen_tls(sock, tls.context(files), named)

    def _compose(self) -> Engine:
        return compose(self._settings.roots, parts(self._settings.roots, self._config), self._config)

    async def _until_the_end(self) -> None:
        if not self._settings.may_idle:
            await self._stop.wait()
            return
        quiet = 0.0
        while not self._stop.is_set():
            try:
                await asyncio.wait_for(self._stop.wait(), IDLE_CHECK)
            except TimeoutError:
                quiet = quiet + IDLE_CHECK if self._is_idle() else 0
            if quiet >= self._config.idle_timeout and await self._taken_leave():
                return

    def _is_idle(self) -> bool:
        return not self._server.clients and not self._engine.running()

    async def _taken_leave(self) -> bool:
        """Hide the socket, wait for a client that was already on its way, and come back if one arrives."""
        path = self._settings.roots.socket
        hidden = f"{path}.leaving"
        os.rename(path, hidden)
        await asyncio.sleep(LAST_CALL)
        if self._is_idle():
            os.unlink(hidden)
            log.info("leaving: no client and no running container for %d s", self._config.idle_timeout)
            return True
        os.rename(hidden, path)
        return False

    async def _close(self, lanes: Lanes) -> None:
        if self._settings.own_socket:
            unlink_own(self._settings.roots.socket)
        await self._server.close(self._config.shutdown_timeout)
        lanes.close()
        await asyncio.to_thread(self._engine.close)
        log.info("stopped; containers go on")

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        """Read the configuration again; a faulty one is reported and the old one stays."""
        notify("RELOADING=1", os.environ)
        try:
            self._config = configuration.load(self._settings.roots.config)
            self._set_log_level()
            log.info("configuration reloaded: %s", self._config)
        except CortenError as error:
            log.error("configuration kept: %s", error)
        notify("READY=1", os.environ)

    def _set_log_level(self) -> None:
        logging.getLogger("corten").setLevel(logging.DEBUG if self._config.debug else logging.INFO)

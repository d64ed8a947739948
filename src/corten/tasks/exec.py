"""A further process in a running container."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress

from corten.model.errors import Conflict, CortenError
from corten.plan import LaunchPlan
from corten.runtime.launch import Launch
from corten.tasks.config import ExecConfig
from corten.tasks.connection import Connection
from corten.tasks.foreign import Foreign
from corten.tasks.process import Controller, Process, refuse_rows
from corten.tasks.protocol import FLAGS
from corten.tasks.spawn import plan_file
from corten.tasks.watcher import Watcher

__all__ = ["Exec"]


class Exec(Process):
    """Made by `Task.exec`, running from `start` on.

    Its output waits until a client is attached, or `release` says that none will be: so a program that cannot be
    executed has an error instead of a stream, and one that ends at once loses nothing.
    """

    def __init__(
        self,
        connection: Connection,
        watcher: Watcher,
        config: ExecConfig,
        plan: LaunchPlan,
        program: int,
        register: Callable[["Exec"], None],
        foreign: Foreign | None = None,
    ) -> None:
        super().__init__(connection, watcher, terminal=config.terminal, open_stdin=config.open_stdin)
        self.id = config.id
        self._config = config
        self._plan = plan
        self._program = program
        self._register = register
        self._foreign = foreign

    def start(self, controller: Controller = refuse_rows) -> None:
        """Launch it; returns when its program runs. Raises what the failing row means, and nothing is left then."""
        if self.number >= 0:
            raise Conflict(f"exec {self.id} has been started already")
        with self._spawn() as control:
            launch = Launch(self._plan, control, 0)
            try:
                launch.until("", controller)
            except BaseException:
                self._give_up()
                raise
            finally:
                self._started(launch)
        if self._foreign:
            try:
                self._foreign.begun(self, self.id)
            except BaseException:
                self._give_up()
                raise

    def release(self) -> None:
        """Nobody will attach: the output is dropped from now on."""
        self._connection.request("ATTACH", target=self.number)

    def forget(self) -> None:
        """Let go of its handle, when nobody will ask for it any more. The process goes on."""
        self._close_handle()

    def _spawn(self) -> socket.socket:
        """Have the monitor spawn the launcher; returns our end of the control socket."""
        config = self._config
        rows, columns = config.console_size
        chosen = {"TERMINAL": config.terminal, "STDIN": config.open_stdin, "DISCARD": config.detached}
        flags = sum(FLAGS[name] for name, wanted in chosen.items() if wanted)
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        plan = plan_file(self._plan)
        try:
            fds = (self._program, plan, theirs.fileno())
            self.number = self._connection.request("EXEC", fds, flags=flags, rows=rows, cols=columns)
        except BaseException:
            control.close()
            raise
        finally:
            theirs.close()
            os.close(plan)
        self._register(self)
        return control

    def _started(self, launch: Launch) -> None:
        """Keep the handle, unless the end has been told already."""
        self.pid, self.pidfd = launch.pid, launch.pidfd
        if self._exit is not None:
            self._close_handle()

    def _give_up(self) -> None:
        with suppress(CortenError):  # it is gone already, which is what we want
            self.release()

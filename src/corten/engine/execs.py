"""`exec`: further processes in a running container. One is created, started once, and can be looked at until the
container ends.

Exec records live in memory: they mean nothing without the process they describe. The exit code is stored before the
client's stream closes, since the command line asks for it right after.
"""

import os
import secrets
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from corten import tasks
from corten.engine import attach, links, specification, validation
from corten.engine.launchfailure import EXECUTING, explained
from corten.engine.record import Container
from corten.engine.requests import ExecStart
from corten.engine.services import Services, event
from corten.engine.specification import process_environment
from corten.model.container import ExecConfig
from corten.model.errors import Conflict, CortenError, InvalidArgument, NotFound
from corten.model.runtime_spec import Process
from corten.spec import capabilities, security, user
from corten.wire import stdcopy

__all__ = ["Execs"]

KEPT_AFTER_EXIT = 300.0  # seconds, and then until the next exec is made
NOT_RUN = 126


class Instance:
    """One exec. `exit_code` is None until it has ended."""

    def __init__(self, container: Container, config: ExecConfig) -> None:
        self.id = secrets.token_hex(32)
        self.container = container
        self.config = config
        self.exec: tasks.Exec | None = None
        self.started = False
        self.running = False
        self.exit_code: int | None = None
        self.ended: Future[int] = Future()


class Execs:
    """All execs of the engine. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, Instance] = {}
        self._over: deque[tuple[float, str]] = deque()

    def bind(self, services: Services) -> None:
        """The services come after construction, since they name this object."""
        self._services = services

    def create(self, reference: str, config: ExecConfig) -> str:
        """Announce an exec; Conflict when the container does not run."""
        container = self._services.catalog.find(reference)
        check(container, config)
        instance = Instance(container, config)
        with self._lock:
            self._drop_old()
            self._by_id[instance.id] = instance
        self._tell(instance, f"exec_create: {' '.join(config.cmd or ())}")
        return instance.id

    def start(self, id: str, how: ExecStart, take: attach.Take | None = None) -> None:
        """Start it; with `take` its streams are joined to the client's connection, else they are dropped."""
        instance = self.find(id)
        check(instance.container, instance.config)
        with self._lock:
            if instance.started:
                verb = "is already running" if instance.running else "has already run"
                raise Conflict(f"Error: Exec command {id} {verb}")
            instance.started = True
        fd = -1
        try:
            fd, early = take(tty=how.tty) if take is not None and not how.detach else (-1, b"")
            self._launch(instance, how, fd, early)
        except BaseException:
            if not instance.running:  # whatever kept it from running, it will never end by itself
                self._ended(instance, NOT_RUN)
            raise
        finally:
            if fd >= 0:
                os.close(fd)

    def _launch(self, instance: Instance, how: ExecStart, fd: int, early: bytes) -> None:
        container, config = instance.container, instance.config
        with container.lock:
            check(container, config)
            assert container.task is not None
            process = self._process(container, config, how)
            settings = tasks.ExecConfig(
                id=instance.id,
                terminal=config.tty,
                open_stdin=config.attach_stdin,
                detached=fd < 0,
                console_size=how.console_size or config.console_size or (0, 0),
            )
            try:
                instance.exec = container.task.exec(process, settings)
                instance.exec.start()
            except (CortenError, OSError) as error:
                failure = explained(error, prefix=EXECUTING)
                self._ended(instance, failure.exit_code)
                raise failure.error from error
            instance.running = True
        self._tell(instance, f"exec_start: {' '.join(config.cmd or ())}")
        # Its output waits for the client; only then may its end be told.
        try:
            if fd >= 0:
                instance.exec.attach(fd, streams(config, how), early)
        except CortenError:
            with suppress(CortenError):
                instance.exec.release()  # or its output would wait for ever
            raise
        finally:
            instance.exec.subscribe(partial(self._exited, instance))

    def _process(self, container: Container, config: ExecConfig, how: ExecStart) -> Process:
        """The OCI process object: the container's own, with what the exec says otherwise."""
        settings, record = self._services.settings, container.record
        privileged = config.privileged or record.host.privileged
        held = specification.granted(record.host, settings.bounding)
        if privileged:
            held = [name for name in capabilities.ALL if name in settings.bounding]
        who = self._identity(container, config)
        environment = environment_of(container, config, who, links.environment(self._services, container))
        size = how.console_size or config.console_size
        validation.check_size(*(size or (0, 0)))
        process: Process = {
            "terminal": config.tty,
            "args": list(config.cmd or ()),
            "env": environment,
            "cwd": config.working_dir or record.config.working_dir or "/",
            "user": {"uid": who.uid, "gid": who.gid, "additionalGids": list(who.groups)},
            "capabilities": {"bounding": held, "permitted": held, "effective": held, "inheritable": [], "ambient": []},
            "noNewPrivileges": security.parse(record.host.security_opt or ()).no_new_privileges,
        }
        if size and all(size) and config.tty:
            process["consoleSize"] = {"height": size[0], "width": size[1]}
        return process

    def _identity(self, container: Container, config: ExecConfig) -> user.Identity:
        assert container.task is not None
        root = container.task.root_fd()
        try:
            wanted = config.user or container.record.config.user
            return user.lookup(root, wanted, container.record.host.group_add or ())
        finally:
            os.close(root)

    def _exited(self, instance: Instance, exit: tasks.Exit) -> None:
        self._services.exits.submit(self._ended, instance, exit.code)

    def _ended(self, instance: Instance, code: int) -> None:
        with self._lock:
            if instance.exit_code is not None:
                return
            instance.exit_code, instance.running = code, False
            self._over.append((time.monotonic(), instance.id))
        instance.ended.set_result(code)
        self._tell(instance, "exec_die", exitCode=str(code))

    def _drop_old(self) -> None:
        """Forget what ended long ago. Done here and not by timers, each of which would be a thread for minutes."""
        while self._over and self._over[0][0] < time.monotonic() - KEPT_AFTER_EXIT:
            self._by_id.pop(self._over.popleft()[1], None)

    def _drop(self, id: str) -> None:
        with self._lock:
            self._by_id.pop(id, None)

    def _tell(self, instance: Instance, action: str, **attributes: str) -> None:
        container = instance.container
        happened = event(container, action, execID=instance.id, **attributes)
        with self._services.database.write(durable=False) as tx:
            tx.emit(happened)

    def run(self, container: Container, config: ExecConfig, *, timeout: float, most: int) -> tuple[int, bytes]:
        """Run one to its end and answer its exit code and the first `most` bytes of output (health checks).

        Raises TimeoutError after killing it.
        """
        config = ExecConfig(cmd=config.cmd, user=config.user, attach_stdout=True, attach_stderr=True)
        instance = self.find(self.create(container.id, config))
        ours, theirs = socket.socketpair()
        with ours:
            instance.started = True
            with theirs:  # the monitor has its own copy: when that is closed, the output has ended
                self._launch(instance, ExecStart(), theirs.fileno(), b"")
            output = Collected(ours, most)
            try:
                code = instance.ended.result(timeout)
            except TimeoutError:
                if instance.exec is not None:
                    instance.exec.kill(9)
                raise
            return code, output.finish()

    def find(self, id: str) -> Instance:
        instance = self._by_id.get(id)
        if instance is None:
            raise NotFound(f"No such exec instance: {id}")
        return instance

    def resize(self, id: str, height: int, width: int) -> None:
        instance = self.find(id)
        if instance.exec is None or not instance.running:
            raise Conflict(f"cannot resize a stopped exec: {id}")
        validation.check_size(height, width)
        instance.exec.resize(height, width)

    def inspect(self, id: str) -> dict[str, Any]:
        """An exec as Docker's API shows it."""
        instance = self.find(id)
        if instance.running and instance.exec is not None and (exit := instance.exec.exit()) is not None:
            # The monitor knows the exit before the client sees the end of its stream, and asks right then.
            self._ended(instance, exit.code)
        config = instance.config
        command = config.cmd or ("",)
        return {
            "ID": instance.id,
            "Running": instance.running,
            "ExitCode": instance.exit_code,
            "ProcessConfig": {
                "tty": config.tty,
                "entrypoint": command[0],
                "arguments": list(command[1:]),
                "privileged": config.privileged,
                **({"user": config.user} if config.user else {}),
            },
            "OpenStdin": config.attach_stdin,
            "OpenStderr": config.attach_stderr,
            "OpenStdout": config.attach_stdout,
            "CanRemove": instance.exit_code is not None,
            "ContainerID": instance.container.id,
            "DetachKeys": config.detach_keys,
            "Pid": instance.exec.pid if instance.exec is not None else 0,
        }

    def ids_of(self, container: Container) -> list[str]:
        """The execs of a container that have not ended."""
        with self._lock:
            return [i.id for i in self._by_id.values() if i.container is container and i.exit_code is None]

    def forget(self, container: Container) -> None:
        """The container has ended, and all of its processes with it."""
        with self._lock:
            gone = [i for i in self._by_id.values() if i.container is container]
        for instance in gone:
            if instance.running:
                self._ended(instance, 137)
            elif not instance.started:
                self._drop(instance.id)


class Collected:
    """Reads a stdcopy stream to its end on a thread, keeping the first bytes of output."""

    def __init__(self, sock: socket.socket, most: int) -> None:
        self._sock, self._most, self._data = sock, most, bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while data := self._sock.recv(1 << 16):
            if len(self._data) < self._most + 8 * 512:
                self._data += data

    def finish(self) -> bytes:
        """The output; what a grandchild still holds open is not waited for."""
        self._thread.join(1.0)
        return b"".join(payload for _, payload in stdcopy.Decoder().feed(bytes(self._data)))[: self._most]


def streams(config: ExecConfig, how: ExecStart) -> tasks.AttachOptions:
    """What passes between the exec and its client."""
    return tasks.AttachOptions(
        stdin=config.attach_stdin,
        stdout=config.attach_stdout,
        stderr=config.attach_stderr,
        multiplex=not how.tty,
        detach_keys=attach.detach_sequence(config.detach_keys) if config.tty else b"",
    )


def check(container: Container, config: ExecConfig) -> None:
    if not config.cmd:
        raise InvalidArgument("No exec command specified")
    with container.lock:  # a start under way is over then: see `Container.is_up`
        status = container.state.status
    if status == "paused":
        raise Conflict(f"container {container.id} is paused, unpause the container before exec")
    if status == "restarting":
        raise Conflict(f"container {container.id} is restarting, wait until the container is running")
    if status != "running" or container.task is None:
        raise Conflict(f"container {container.id} is not running")


def environment_of(container: Container, config: ExecConfig, who: user.Identity, linked: tuple[str, ...]) -> list[str]:
    """The container's variables, over them the exec's own; TERM with a terminal, HOME of the user."""
    base = process_environment(container.record.config, container.hostname, linked)
    merged = {entry.partition("=")[0]: entry for entry in base}
    if config.tty:
        merged.setdefault("TERM", "TERM=xterm")
    for entry in config.env or ():
        name, equals, _ = entry.partition("=")
        if equals:
            merged[name] = entry
        else:
            merged.pop(name, None)
    merged.setdefault("HOME", f"HOME={who.home}")
    return list(merged.values())

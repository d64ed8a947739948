"""The Python SDK: an engine's nouns as objects, each method one endpoint.

Values come and go as Docker's JSON (dicts with its names), so what the API reference says is what one writes:

>>> engine = Engine.connect()
>>> container = engine.containers.create({"Image": "busybox", "Cmd": ["echo", "hi"]}, name="greeter")
>>> container.start()
>>> container.wait()
0
>>> container.logs()
(b'hi\\n', b'')

Errors are `EngineError` with the engine's own words. Calls block; an `Engine` keeps one connection for questions and
dials a further one for each stream, so several streams may be read at once, each by one thread.
"""

from __future__ import annotations

from os import environ, geteuid

from corten.client.address import Address
from corten.client.connection import Connection
from corten.model import roots
from corten.wire.codec import dumps, loads
from corten.wire.stdcopy import STDERR, STDOUT, Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from corten.client.connection import Query, Stream

    Wishes = Mapping[str, list[str]]
    Rows = list[dict[str, Any]]  # named out here, because the nouns have a method `list`
    Removed = list[dict[str, str]]

__all__ = ["Container", "Containers", "Engine", "Exec", "Images", "Networks", "Volumes"]


class Engine:
    """An engine at an address; it is not asked anything before the first method is called."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._connection = Connection(address)
        self.containers = Containers(self)
        self.images = Images(self)
        self.volumes = Volumes(self)
        self.networks = Networks(self)

    @classmethod
    def connect(cls, host: str = "") -> Engine:
        """The engine that `host`, CORTEN_HOST, CORTEN_ROOT or DOCKER_HOST names, in this order, else one's own.

        One's own engine is started when nobody listens there.
        """
        if named := host or environ.get("CORTEN_HOST"):
            return cls(Address(named))
        if "CORTEN_ROOT" not in environ and (named := environ.get("DOCKER_HOST")):
            return cls(Address(named))
        own = roots.of(environ, geteuid())
        from corten.client.starting import answers, start_engine

        if not answers(own.socket):
            start_engine(own)
        return cls(Address("unix://" + own.socket))

    def version(self) -> dict[str, Any]:
        return self.ask("GET", "/version")  # type: ignore[no-any-return]

    def info(self) -> dict[str, Any]:
        return self.ask("GET", "/info")  # type: ignore[no-any-return]

    def events(self, *, since: str = "", until: str = "", filters: Wishes | None = None) -> Iterator[Any]:
        """What happens, as it happens; the iteration ends at `until`, or when the iterator is closed."""
        query = {"since": since, "until": until, "filters": dumps(filters or {})}
        return self.stream("GET", "/events", query)

    def close(self) -> None:
        self._connection.close()

    # What the nouns are made of

    def ask(self, method: str, path: str, query: Query | None = None, body: object = None) -> Any:
        """One request on the kept connection; its JSON value, None when there is none."""
        response = self._connection.request(method, path, query=query, body=body).check()
        content = response.read()
        return None if not content else loads(content)

    def stream(self, method: str, path: str, query: Query | None = None, body: object = None) -> Iterator[Any]:
        """A request on a connection of its own whose answer is one JSON value after another."""
        yield from Connection(self.address).request(method, path, query=query, body=body).check().lines()

    def download(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """The bytes of an answer as they arrive."""
        yield from Connection(self.address).request("GET", path, query=query).check().chunks()

    def hijack(self, path: str, query: Query | None = None, body: object = None) -> Stream:
        """A raw two-way stream; the caller closes it."""
        return Connection(self.address).hijack(path, query=query, body=body)


class Containers:
    """All containers of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, *, all: bool = False, filters: Wishes | None = None) -> Rows:
        query = {"all": str(int(all)), "filters": dumps(filters or {})}
        return self._engine.ask("GET", "/containers/json", query)  # type: ignore[no-any-return]

    def get(self, reference: str) -> Container:
        """The container of an id, a name or a unique start of an id; `EngineError` 404 when there is none."""
        return Container(self._engine, self._engine.ask("GET", f"/containers/{reference}/json")["Id"])

    def create(self, config: Mapping[str, Any], *, name: str = "", platform: str = "") -> Container:
        """`config` is the body of ``POST /containers/create``."""
        query = {"name": name or None, "platform": platform or None}
        made = self._engine.ask("POST", "/containers/create", query, dict(config))
        return Container(self._engine, made["Id"], made["Warnings"])

    def run(self, config: Mapping[str, Any], *, name: str = "") -> Container:
        """Create and start."""
        container = self.create(config, name=name)
        container.start()
        return container

    def prune(self, filters: Wishes | None = None) -> dict[str, Any]:
        return self._engine.ask("POST", "/containers/prune", {"filters": dumps(filters or {})})  # type: ignore[no-any-return]


class Container:
    """One container; `warnings` is what the engine said when it was created."""

    def __init__(self, engine: Engine, identity: str, warnings: Iterable[str] = ()) -> None:
        self._engine = engine
        self.id = identity
        self.warnings = tuple(warnings)

    def inspect(self) -> dict[str, Any]:
        return self._ask("GET", "json")  # type: ignore[no-any-return]

    def start(self) -> None:
        self._ask("POST", "start")

    def stop(self, timeout: int | None = None) -> None:
        """Ask to end, and after `timeout` seconds (the container's own when None) kill."""
        self._ask("POST", "stop", {"t": None if timeout is None else str(timeout)})

    def restart(self, timeout: int | None = None) -> None:
        self._ask("POST", "restart", {"t": None if timeout is None else str(timeout)})

    def kill(self, signal: str = "SIGKILL") -> None:
        self._ask("POST", "kill", {"signal": signal})

    def pause(self) -> None:
        self._ask("POST", "pause")

    def unpause(self) -> None:
        self._ask("POST", "unpause")

    def rename(self, name: str) -> None:
        self._ask("POST", "rename", {"name": name})

    def update(self, config: Mapping[str, Any]) -> list[str]:
        """Change limits or the restart policy; the engine's warnings."""
        return self._ask("POST", "update", body=dict(config))["Warnings"]  # type: ignore[no-any-return]

    def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        self._ask("DELETE", "", {"force": str(int(force)), "v": str(int(volumes))})

    def wait(self, condition: str = "not-running") -> int:
        """The exit code, once `condition` holds: not-running, next-exit or removed."""
        (result,) = self._engine.stream("POST", f"/containers/{self.id}/wait", {"condition": condition})
        return int(result["StatusCode"])

    def logs(
        self, *, tail: str = "all", since: str = "", until: str = "", timestamps: bool = False
    ) -> tuple[bytes, bytes]:
        """What it wrote so far to stdout and to stderr (with a terminal, all of it is the first)."""
        query = {"stdout": "1", "stderr": "1", "tail": tail, "since": since, "until": until}
        data = b"".join(
            self._engine.download(f"/containers/{self.id}/logs", {**query, "timestamps": str(int(timestamps))})
        )
        if self.inspect()["Config"]["Tty"]:
            return data, b""
        frames = Decoder().feed(data)
        return tuple(b"".join(part for stream, part in frames if stream == one) for one in (STDOUT, STDERR))  # type: ignore[return-value]

    def attach(self, *, stdin: bool = True, logs: bool = False) -> Stream:
        """A raw stream of its stdio; frames (`wire.stdcopy`) unless it has a terminal. The caller closes it."""
        query = {"stream": "1", "stdout": "1", "stderr": "1", "stdin": str(int(stdin)), "logs": str(int(logs))}
        return self._engine.hijack(f"/containers/{self.id}/attach", query)

    def exec(self, config: Mapping[str, Any]) -> Exec:
        """`config` is the body of ``POST /containers/{id}/exec``."""
        return Exec(self._engine, self._ask("POST", "exec", body=dict(config))["Id"])

    def top(self, ps_args: str = "") -> dict[str, Any]:
        return self._ask("GET", "top", {"ps_args": ps_args or None})  # type: ignore[no-any-return]

    def stats(self) -> dict[str, Any]:
        """One sample, at once."""
        return self._ask("GET", "stats", {"stream": "0", "one-shot": "1"})  # type: ignore[no-any-return]

    def changes(self) -> Rows:
        return self._ask("GET", "changes") or []

    def export(self) -> Iterator[bytes]:
        return self._engine.download(f"/containers/{self.id}/export")

    def get_archive(self, path: str) -> Iterator[bytes]:
        return self._engine.download(f"/containers/{self.id}/archive", {"path": path})

    def put_archive(self, path: str, tar: bytes | Iterable[bytes]) -> None:
        self._ask("PUT", "archive", {"path": path}, tar)

    def _ask(self, method: str, verb: str, query: Query | None = None, body: object = None) -> Any:
        return self._engine.ask(method, f"/containers/{self.id}/{verb}".rstrip("/"), query, body)


class Exec:
    """A further process in a container."""

    def __init__(self, engine: Engine, identity: str) -> None:
        self._engine = engine
        self.id = identity

    def run(self) -> tuple[bytes, int]:
        """Start it without input, wait, and return everything it wrote and its exit code."""
        terminal: bool = self.inspect()["ProcessConfig"]["tty"]
        stream = self._engine.hijack(f"/exec/{self.id}/start", body={"Tty": terminal})
        data = stream.early
        while more := stream.sock.recv(65536):
            data += more
        stream.close()
        code = self.inspect()["ExitCode"]
        return (data if terminal else b"".join(part for _, part in Decoder().feed(data))), code

    def inspect(self) -> dict[str, Any]:
        return self._engine.ask("GET", f"/exec/{self.id}/json")  # type: ignore[no-any-return]


class Images:
    """All images of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, filters: Wishes | None = None) -> Rows:
        return self._engine.ask("GET", "/images/json", {"filters": dumps(filters or {})})  # type: ignore[no-any-return]

    def get(self, name: str) -> dict[str, Any]:
        return self._engine.ask("GET", f"/images/{name}/json")  # type: ignore[no-any-return]

    def load(self, archive: bytes | Iterable[bytes]) -> Rows:
        """Load a tar as ``docker save`` or an OCI layout has it; the engine's messages."""
        return list(self._engine.stream("POST", "/images/load", body=archive))

    def save(self, *names: str) -> Iterator[bytes]:
        return self._engine.download("/images/get", {"names": [*names]})

    def tag(self, name: str, repo: str, tag: str) -> None:
        self._engine.ask("POST", f"/images/{name}/tag", {"repo": repo, "tag": tag})

    def remove(self, name: str, *, force: bool = False) -> Removed:
        return self._engine.ask("DELETE", f"/images/{name}", {"force": str(int(force))})  # type: ignore[no-any-return]


class Volumes:
    """All volumes of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> Rows:
        return self._engine.ask("GET", "/volumes")["Volumes"]  # type: ignore[no-any-return]

    def create(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return self._engine.ask("POST", "/volumes/create", body=dict(config))  # type: ignore[no-any-return]

    def remove(self, name: str, *, force: bool = False) -> None:
        self._engine.ask("DELETE", f"/volumes/{name}", {"force": str(int(force))})


class Networks:
    """All networks of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> Rows:
        return self._engine.ask("GET", "/networks")  # type: ignore[no-any-return]

    def create(self, config: Mapping[str, Any]) -> str:
        """The id of the new network."""
        return self._engine.ask("POST", "/networks/create", body=dict(config))["Id"]  # type: ignore[no-any-return]

    def get(self, reference: str) -> dict[str, Any]:
        return self._engine.ask("GET", f"/networks/{reference}")  # type: ignore[no-any-return]

    def connect(self, network: str, container: str, endpoint: Mapping[str, Any] | None = None) -> None:
        body = {"Container": container, "EndpointConfig": dict(endpoint or {})}
        self._engine.ask("POST", f"/networks/{network}/connect", body=body)

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        self._engine.ask("POST", f"/networks/{network}/disconnect", body={"Container": container, "Force": force})

    def remove(self, reference: str) -> None:
        self._engine.ask("DELETE", f"/networks/{reference}")

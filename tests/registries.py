"""Our registry, served by a thread of this process or by the command, for tests; and Debian's docker-registry."""

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from corten.api.http import Exchange, Request
from corten.api.http.server import Server
from corten.api.lanes import Lanes
from corten.api.registry import Distribution
from corten.model.digest import Digest
from corten.registry import Passwords, Registry

__all__ = ["Answer", "Client", "CommandRegistry", "DebianRegistry", "ServedRegistry", "manifest_of"]


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """One keep-alive connection."""

    def __init__(self, address: str) -> None:
        self.connection = http.client.HTTPConnection(address, timeout=20)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        self.connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def push_blob(self, repository: str, data: bytes) -> Digest:
        digest = Digest.of(data)
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data)
        assert answer.status == 201, answer
        return digest

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ServedRegistry:
    """The registry of a root, served on loopback by a thread."""

    def __init__(self, root: Path, passwords: Passwords | None = None) -> None:
        self.registry = Registry.open(root, durable=False)
        self.loop = asyncio.new_event_loop()
        self.lanes = Lanes()
        self.seen: list[Request] = []
        self._distribution = Distribution(self.registry, self.lanes, passwords)
        self.server = Server(self._answer)
        sock = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{sock.getsockname()[1]}"
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.server.listen(sock), self.loop).result()

    async def _answer(self, exchange: Exchange) -> None:
        self.seen.append(exchange.request)
        await self._distribution(exchange)

    def client(self) -> Client:
        return Client(self.address)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(1), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.lanes.close()
        self.registry.close()

    def __enter__(self) -> "ServedRegistry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CommandRegistry:
    """`corten registry serve` as a process; `port` 0 picks one."""

    def __init__(self, root: Path, *flags: str, port: int = 0, enter: tuple[str, ...] = ()) -> None:
        told, tell = os.pipe()
        command = [*enter, sys.executable, "-m", "corten.daemon.registry", "--root", str(root), f"--ready-fd={tell}"]
        self.log = root.with_suffix(".log").open("ab")
        self.process = subprocess.Popen(
            [*command, f"--listen=127.0.0.1:{port}", *flags], pass_fds=[tell], stderr=self.log
        )
        os.close(tell)
        with os.fdopen(told) as file:
            line = file.readline()
        assert line, root.with_suffix(".log").read_text()
        self.address = f"127.0.0.1:{int(line)}"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


class DebianRegistry:
    """Debian's docker-registry, with deleting turned on."""

    def __init__(self, root: Path, *, port: int = 0, enter: tuple[str, ...] = ()) -> None:
        root.mkdir(parents=True, exist_ok=True)
        if not port:
            with socket.create_server(("127.0.0.1", 0)) as sock:
                port = sock.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        settings = root / "config.yml"
        settings.write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n"
            f"  filesystem: {{rootdirectory: {root}/data}}\n  delete: {{enabled: true}}\n"
            f"http: {{addr: {self.address}}}\n"
        )
        self.log = (root / "log").open("wb")
        command = [*enter, "docker-registry", "serve", str(settings)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self._wait(enter)

    def _wait(self, enter: tuple[str, ...]) -> None:
        host, _, port = self.address.partition(":")
        knock = [*enter, sys.executable, "-c", f"import socket; socket.create_connection(('{host}', {port}))"]
        deadline = time.monotonic() + 20
        while subprocess.run(knock, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline, "docker-registry did not start"
            time.sleep(0.05)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


def manifest_of(config: Digest, layers: Mapping[Digest, int], subject: Digest | None = None, **more: object) -> bytes:
    """The bytes of an OCI manifest."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": str(config), "size": 2},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(digest), "size": size}
            for digest, size in layers.items()
        ],
        **more,
    }
    if subject:
        kind = "application/vnd.oci.image.manifest.v1+json"
        document["subject"] = {"mediaType": kind, "digest": str(subject), "size": 1}
    return msgspec.json.encode(document)

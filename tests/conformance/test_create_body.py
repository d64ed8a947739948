"""What `corten create` asks of an engine is what `docker create` asks, flag by flag.

Both commands talk to an engine that only listens: it keeps the body of `POST /containers/create` and refuses. The
bodies are compared without the fields that are empty, since both mean the same by leaving a field empty or out.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.peers import available

pytestmark = pytest.mark.skipif(not available("docker"), reason="needs docker's command")

OURS = str(Path(sys.executable).with_name("corten"))
# Empty here means something else than absent.
MEANT = {"Init", "Entrypoint", "StopTimeout", "MaskedPaths", "ReadonlyPaths"}

LINES = (Path(__file__).parent / "command_line/create.flags").read_text().split("\n")[:-1]


class Listener:
    """An engine that only listens, at a Unix socket."""

    def __init__(self, path: Path) -> None:
        self.heard: dict[str, Any] = {}
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(str(path))
        self._sock.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                headers = dict(self._headers(lines))
                body = lines.read(int(headers.get("content-length", 0)))
                creates = b"/containers/create" in line
                if creates:
                    self.heard = {"target": line.split()[1].decode(), "body": json.loads(body)}
                answer = b'{"message":"heard"}' if creates else b""
                status = "400 Bad Request" if creates else "200 OK"
                head = (
                    f"HTTP/1.1 {status}\r\nApi-Version: 1.50\r\nOstype: linux\r\nContent-Length: {len(answer)}\r\n\r\n"
                )
                connection.sendall(head.encode() + answer)

    @staticmethod
    def _headers(lines: Any) -> Iterator[tuple[str, str]]:
        while line := lines.readline().strip():
            name, _, value = line.decode().partition(":")
            yield name.lower(), value.strip()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    (tmp_path / "env").write_text("# comment\nE1=x y\nHOME\nNOT_SET_ANYWHERE\n  E2=\n\nE1=again\n")
    (tmp_path / "seccomp").write_text('{ "defaultAction": "SCMP_ACT_ALLOW",\n "n": [1, 2] }')
    made = Listener(tmp_path / "sock")
    yield made
    made.close()


def meaning(value: Any, key: str = "") -> Any:
    """The value without what is empty."""
    if isinstance(value, dict):
        kept = {name: meaning(item, name) for name, item in value.items()}
        return {name: item for name, item in kept.items() if name in MEANT or item not in (None, "", 0, False, [], {})}
    if key in ("CapAdd", "CapDrop"):  # 28.2 spells them out here, 29 and we leave that to the engine
        return [name if name in ("ALL", "all") else f"CAP_{name.upper().removeprefix('CAP_')}" for name in value or ()]
    if isinstance(value, list):
        return sorted(value) if key == "Binds" and value else [meaning(item) for item in value]
    return value


def ask(program: str, line: str, name: str, listener: Listener, place: Path) -> Any:
    flags, command = ([], shlex.split(line)) if line.startswith("sh ") else (shlex.split(line), [])
    words = [word.replace("{d}", str(place)).replace("{n}", name) for word in [*flags, "image", *command]]
    env = {**os.environ, "HOME": "/home/x"}
    listener.heard = {}
    host = ["-H", f"unix://{place}/sock"]
    done = subprocess.run(
        [program, *host, "create", *words], env=env, cwd=place, capture_output=True, text=True, check=False
    )
    assert listener.heard, f"{program}: {done.stderr}"
    body = meaning(listener.heard["body"])
    body["HostConfig"].pop("ContainerIDFile", None)
    return listener.heard["target"].partition("/containers")[2], body


@pytest.mark.parametrize("line", LINES)
def test_each_flag_asks_for_what_dockers_asks_for(line: str, listener: Listener, tmp_path: Path) -> None:
    theirs = ask("docker", line, "ref", listener, tmp_path)
    ours = ask(OURS, line, "own", listener, tmp_path)
    assert ours == theirs

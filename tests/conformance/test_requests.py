"""What our command asks of an engine is what docker's asks, flag by flag.

Both commands talk to an engine that only listens: it keeps the first request that matters and refuses it. Requests
are compared by method, path, parameters and body. What is empty counts as absent, since both mean the same by it.
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
from urllib.parse import parse_qs

import pytest

from tests.bench.peers import available
from tests.unit.cli.engine import read_request

pytestmark = pytest.mark.skipif(not available("docker"), reason="needs docker's command")

OURS = str(Path(sys.executable).with_name("corten"))
# Empty here means something else than absent.
MEANT = {"EnableIPv4", "Init", "Entrypoint", "StopTimeout", "MaskedPaths", "ReadonlyPaths"}
LINES = Path(__file__).parent / "command_line"
CREATED = (LINES / "create.flags").read_text().split("\n")[:-1]
ASKED = (LINES / "asked.lines").read_text().split("\n")[:-1]
# What a command reads before it asks for what it was called for.
FIRST = {
    "/_ping": "",
    "/containers/x/json": json.dumps(
        {
            "Id": "x",
            "Name": "/x",
            "State": {"Running": True, "Paused": False, "Restarting": False, "Status": "running"},
            "Config": {"Tty": False, "OpenStdin": True, "AttachStdin": True},
            "HostConfig": {"AutoRemove": False, "LogConfig": {"Type": "json-file"}},
        }
    ),
    "/networks/n": json.dumps({"Name": "n", "Id": "n", "Ingress": False}),
    "/info": json.dumps({"OSType": "linux", "IndexServerAddress": "https://index.docker.io/v1/"}),
}


class Listener:
    """An engine that only listens, at a Unix socket."""

    def __init__(self, path: Path, first: dict[str, str]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._first = first
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
                method, target, _, body = read_request(line, lines)
                path, _, query = target.partition("?")
                path = "/" + path.split("/", 2)[2] if path.startswith("/v1.") else path
                answer = self._first.get(path) if method in ("GET", "HEAD") else None
                if answer is None:
                    self.heard.append({"method": method, "path": path, "query": query, "body": body})
                status, text = ("200 OK", answer) if answer is not None else ("400 Bad Request", '{"message":"heard"}')
                head = f"HTTP/1.1 {status}\r\nApi-Version: 1.50\r\nOstype: linux\r\nContent-Length: {len(text)}\r\n\r\n"
                connection.sendall((head + (text if method != "HEAD" else "")).encode())


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    (tmp_path / "env").write_text("# comment\nE1=x y\nHOME\nNOT_SET_ANYWHERE\n  E2=\n\nE1=again\n")
    (tmp_path / "seccomp").write_text('{ "defaultAction": "SCMP_ACT_ALLOW",\n "n": [1, 2] }')
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "context/other").write_text("FROM scratch\n")
    made = Listener(tmp_path / "sock", FIRST)
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
        return sorted(value) if key in ("Binds", "Env") and value else [meaning(item) for item in value]
    return value


def call(program: str, words: list[str], listener: Listener, place: Path) -> dict[str, Any]:
    """The first request that matters; its body as JSON where it is some."""
    env = {**os.environ, "HOME": "/home/x", "DOCKER_BUILDKIT": "0"}
    listener.heard.clear()
    full = [program, "-H", f"unix://{place}/sock", *words]
    done = subprocess.run(full, env=env, cwd=place, input=b"secret\n", capture_output=True, timeout=20, check=False)
    assert listener.heard, f"{program}: {done.stderr.decode()}"
    return listener.heard[0]


def evened(request: dict[str, Any]) -> dict[str, Any]:
    """A request without what may differ and means the same."""
    query = {key: sorted(map(_value, values)) for key, values in parse_qs(request["query"]).items()}
    body: Any = request["body"]
    if body[:1] == b"{":
        body = meaning(json.loads(body))
        body.get("HostConfig", {}).pop("ContainerIDFile", None)
        body.pop("CheckDuplicate", None)  # for engines before API 1.44, which made two networks of one name
    elif request["path"] == "/build":
        body = b""
    kept = {key: values for key, values in query.items() if values not in (["0"], ["false"], ["{}"], ["[]"], ["null"])}
    return {
        "method": request["method"],
        "path": request["path"].replace("docker.io/library/", "").replace("docker.io/", ""),
        "query": kept,
        "body": body or None,
    }


def _value(text: str) -> str:
    """One spelling of a parameter: switches, JSON and numbers have several."""
    if text in ("true", "True"):
        return "1"
    if text[:1] in "[{":
        return json.dumps(json.loads(text), sort_keys=True)
    if text.replace(".", "", 1).isdecimal() and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("docker.io/library/", "").replace("docker.io/", "")


@pytest.mark.parametrize("line", CREATED)
def test_each_flag_of_create_asks_for_what_dockers_asks_for(line: str, listener: Listener, tmp_path: Path) -> None:
    flags, command = ([], shlex.split(line)) if line.startswith("sh ") else (shlex.split(line), [])

    def ask(program: str, name: str) -> dict[str, Any]:
        words = [word.replace("{d}", str(tmp_path)).replace("{n}", name) for word in [*flags, "image", *command]]
        return evened(call(program, ["create", *words], listener, tmp_path))

    assert ask(OURS, "own") == ask("docker", "ref")


@pytest.mark.parametrize("line", ASKED)
def test_each_command_asks_for_what_dockers_asks_for(line: str, listener: Listener, tmp_path: Path) -> None:
    def ask(program: str, name: str) -> dict[str, Any]:
        words = [word.replace("{d}", str(tmp_path)).replace("{n}", name) for word in shlex.split(line)]
        return evened(call(program, words, listener, tmp_path))

    assert ask(OURS, "own") == ask("docker", "ref")

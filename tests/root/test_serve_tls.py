"""`corten serve` on TCP: TLS as dockerd has it, with docker's own command line as the client, and no web pages."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.peers import Namespace, available
from tests.certificates import Authority
from tests.images import stand_ins
from tests.root.engines import docker_command

pytestmark = [
    pytest.mark.skipif(not available("unshare", "nsenter", "ip"), reason="needs iproute2"),
    pytest.mark.skipif(docker_command() is None, reason="needs the docker command (Debian package docker.io)"),
]

OURS = str(Path(sys.executable).with_name("corten"))
PORT = 23760
MEBIBYTE = 1 << 20


class Served:
    """An engine on a TCP port of a network namespace of its own."""

    def __init__(self, enter: list[str], root: Path, *flags: str) -> None:
        self.enter = enter
        self.root = root
        reader, writer = os.pipe()
        words = [*enter, OURS, "serve", "--root", str(root), *flags, "--ready-fd", str(writer)]
        self.process = subprocess.Popen(words, pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader, "rb") as told:
            assert told.read() == b""

    def docker(self, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        command = [*self.enter, docker_command() or "", "-H", f"tcp://127.0.0.1:{PORT}", *words]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root.parent)}
        return subprocess.run(command, input=stdin, env=env, capture_output=True, timeout=60, check=False)


@contextmanager
def served(root: Path, *flags: str) -> Iterator[Served]:
    namespace = Namespace()
    engine = Served(namespace.enter, root, *flags)
    try:
        yield engine
    finally:
        subprocess.run([*namespace.enter, OURS, "--root", str(root), "system", "reset", "--force"], check=True)
        engine.process.wait(20)
        namespace.close()


@pytest.fixture
def authority() -> Authority:
    return Authority()


def files(place: Path) -> list[str]:
    return [f"--tlscacert={place}/ca.pem", f"--tlscert={place}/cert.pem", f"--tlskey={place}/key.pem"]


def test_with_tls_docker_runs_attaches_and_half_closes_and_strangers_are_kept_out(
    scratch: Path, authority: Authority
) -> None:
    server = files(authority.directory(scratch / "server", "server"))
    client = ["--tlsverify", *files(authority.directory(scratch / "client", "client"))]
    stranger = ["--tlsverify", *files(Authority().directory(scratch / "stranger", "client"))]
    shutil.copy(scratch / "client/ca.pem", scratch / "stranger/ca.pem")
    with served(scratch / "root", "--host", f"tcp://0.0.0.0:{PORT}", "--tlsverify", *server) as engine:
        assert b"Loaded image" in engine.docker(*client, "load", stdin=stand_ins("tiny:latest")).stdout
        big = os.urandom(MEBIBYTE)
        echoed = engine.docker(*client, "run", "--rm", "-i", "tiny", "sh", "-c", "cat; sleep 0.2; echo end", stdin=big)
        assert echoed.stdout == big + b"end\n"
        engine.docker(*client, "run", "-d", "--name", "box", "tiny", "sleep", "1000")
        assert engine.docker(*client, "exec", "box", "sh", "-c", "exit 3").returncode == 3
        assert engine.docker(*client, "exec", "-i", "box", "wc", "-c", stdin=big).stdout.strip() == b"1048576"
        plain = b"sent an HTTP request to an HTTPS server"
        for words, reason in ((stranger, b"tls: "), ([], plain)):
            refused = engine.docker(*words, "ps")
            assert refused.returncode == 1
            assert reason in refused.stderr, refused.stderr


def test_tls_without_client_certificates_is_for_loopback_alone(scratch: Path, authority: Authority) -> None:
    place = authority.directory(scratch / "pem", "server")
    with served(scratch / "root", "--host", f"tcp://127.0.0.1:{PORT}", "--tls", *files(place)) as engine:
        assert engine.docker("--tls", *files(place), "version").returncode == 0
    words = [OURS, "serve", "--root", str(scratch / "open"), "--host", "tcp://0.0.0.0:0"]
    for flags in ([], ["--tls", *files(place)]):
        refused = subprocess.run([*words, *flags], capture_output=True, text=True, timeout=20, check=False)
        assert refused.returncode == 1
        assert "everybody who reaches it would be root here" in refused.stderr


def test_a_certificate_that_cannot_be_read_is_told_before_the_start(scratch: Path) -> None:
    words = [OURS, "serve", "--root", str(scratch / "root"), "--host", "tcp://127.0.0.1:0", "--tlsverify"]
    env = {**os.environ, "DOCKER_CERT_PATH": str(scratch / "nothing")}
    refused = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False, env=env)
    assert refused.returncode == 1
    assert f"read certificate {scratch}/nothing/cert.pem" in refused.stderr


ASK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
    sock.sendall(sys.argv[2].encode().decode("unicode_escape").encode())
    print(sock.recv(4096).decode())
"""


def test_a_web_page_cannot_reach_an_engine_on_loopback(scratch: Path) -> None:
    with served(scratch / "root", "--host", f"tcp://127.0.0.1:{PORT}") as engine:

        def ask(*headers: str) -> str:
            head = "\\r\\n".join(("GET /_ping HTTP/1.1", *headers, "Connection: close", "", ""))
            command = [*engine.enter, sys.executable, "-c", ASK, str(PORT), head]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]

        assert ask(f"Host: 127.0.0.1:{PORT}") == "HTTP/1.1 200 OK"
        assert ask(f"Host: rebound.example:{PORT}").startswith("HTTP/1.1 403")
        assert ask(f"Host: localhost:{PORT}", "Origin: http://evil.example").startswith("HTTP/1.1 403")
        assert engine.docker("version").returncode == 0
        with socket.socket(socket.AF_UNIX) as sock:  # a name in the file system is out of a browser's reach
            sock.connect(str(scratch / "root/corten.sock"))
            sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: anything\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")

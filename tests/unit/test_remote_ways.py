"""The ways to a registry: proxies by Go's rules, authorities and keys from certs.d."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model import mediatype
from corten.model.errors import FailedPrecondition, InvalidArgument, Unavailable, Unimplemented
from corten.model.reference import Reference
from corten.remote import HostRules, Proxies, Registries
from corten.remote.certificates import Certificates
from corten.remote.proxies import Proxy
from tests.fake_registry import FakeRegistry, RegistryHandler
from tests.registries import CommandRegistry
from tests.unit.test_remote import MANIFEST, registry

__all__ = ["registry"]


@pytest.mark.parametrize(
    ("exceptions", "host", "port", "direct"),
    [
        ("", "a.test", 443, False),
        ("", "127.0.0.1", 5000, True),
        ("", "localhost", 5000, True),
        ("", "::1", 5000, True),
        ("*", "a.test", 443, True),
        ("a.test", "a.test", 443, True),
        ("a.test", "b.a.test", 443, True),
        ("a.test", "ba.test", 443, False),
        (".a.test", "a.test", 443, False),
        (".a.test", "b.a.test", 443, True),
        ("*.a.test", "b.a.test", 443, True),
        ("A.test, b.test ,", "b.test", 443, True),
        ("a.test:5000", "a.test", 443, False),
        ("a.test:5000", "a.test", 5000, True),
        ("10.0.0.0/8", "10.2.3.4", 443, True),
        ("10.0.0.0/8", "11.2.3.4", 443, False),
        ("10.0.0.1", "10.0.0.1", 443, True),
        ("fd00::/8", "fd12::1", 443, True),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(exceptions: str, host: str, port: int, direct: bool) -> None:
    proxies = Proxies("http://p.test:3128", "http://p.test:3128", exceptions)
    assert (proxies.at("https", host, port) is None) == direct


def test_the_environment_names_proxies_unless_the_engine_is_told_its_own() -> None:
    environ = {"HTTP_PROXY": "a:1", "http_proxy": "b:1", "https_proxy": "c:1", "NO_PROXY": "x"}
    assert Proxies.of(environ) == Proxies("a:1", "c:1", "x")
    assert Proxies.of(environ, http="d:1", exceptions="y") == Proxies("d:1", "c:1", "y")
    assert Proxy.parse("http://me:p%40ss@p.test") == Proxy("p.test", 80, "Basic bWU6cEBzcw==")
    assert "p%40ss" not in repr(Proxy.parse("http://me:p%40ss@p.test"))
    with pytest.raises(Unimplemented, match="socks5"):
        Proxy.parse("socks5://p.test:1080")
    with pytest.raises(InvalidArgument):
        Proxy.parse("http://:80")


def test_plain_http_goes_through_the_proxy_with_the_whole_address_and_our_login_there(registry: FakeRegistry) -> None:
    registry.add_manifest("team/app", "1", mediatype.OCI_MANIFEST, MANIFEST)
    logins: list[str | None] = []

    def hook(handler: RegistryHandler) -> bool:
        logins.append(handler.headers.get("Proxy-Authorization"))
        return False

    registry.hook = hook
    proxies = Proxies(http=f"http://me:secret@{registry.address}")
    rules = HostRules(mirrors=("http://mirror.test",))
    registry.add_manifest("library/busybox", "latest", mediatype.OCI_MANIFEST, MANIFEST)
    repository = Registries(rules, proxies=proxies).repository(Reference.parse("busybox"))
    assert repository.manifest("latest").raw == MANIFEST
    assert any(path.startswith("http://mirror.test/v2/") for _, path, _ in registry.seen)
    assert set(logins) == {"Basic bWU6c2VjcmV0"}


class Tunnel:
    """A proxy that leads every CONNECT to one address; `heads` are the requests it got."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.heads: list[str] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (data := client.recv(4096)):
                    break
                head += data
            self.heads.append(head.decode())
            host, _, port = self.target.partition(":")
            far = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pair = [threading.Thread(target=pump, args=ends) for ends in ((client, far), (far, client))]
            for one in pair:
                one.start()
            for one in pair:
                one.join()
            client.close()
            far.close()

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Tunnel]:
    """A registry with a certificate of its own for registry.test, behind a proxy."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = ["-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert), *names]
    subprocess.run(made, check=True, capture_output=True)
    served = CommandRegistry(tmp_path / "registry", f"--tls-cert={cert}", f"--tls-key={key}")
    tunnel = Tunnel(served.address)
    yield tunnel
    tunnel.close()
    served.close()


def test_an_authority_of_certs_d_is_trusted_for_its_registry_through_a_proxy(secure: Tunnel, tmp_path: Path) -> None:
    place = tmp_path / "certs.d" / "registry.test"
    registries = Registries(
        patience=0.01,
        proxies=Proxies(https=secure.address),
        certificates=Certificates((str(tmp_path / "certs.d"),)),
    )
    repository = registries.repository(Reference.parse("registry.test/team/app:1"))
    with pytest.raises(Unavailable) as caught:
        repository.ping()
    assert "certificate authority" in caught.value.hint
    place.mkdir(parents=True)
    shutil.copy(tmp_path / "cert.pem", place / "ca.crt")
    repository.ping()
    assert secure.heads[-1].startswith("CONNECT registry.test:443 HTTP/1.")
    shutil.copy(tmp_path / "cert.pem", place / "client.cert")
    with pytest.raises(FailedPrecondition, match=r"client.key is missing"):
        registries.repository(Reference.parse("registry.test/team/app:1"))._transport._connect(
            repository._sources[0].origin(repository._sources[0].host, None)
        )
    shutil.copy(tmp_path / "key.pem", place / "client.key")
    repository.ping()
    (place / "ca.crt").write_text("junk")
    with pytest.raises(FailedPrecondition, match=r"use the certificate .*ca.crt"):
        Certificates((str(tmp_path / "certs.d"),)).context("registry.test", verify=True)
    registries.close()

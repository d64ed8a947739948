"""The registry as HTTP clients see it: what the conformance suite does not ask, and what it asks, without Go."""

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model.digest import Digest
from corten.registry import Passwords
from corten.registry.refusals import OutOfOrder, SizeInvalid
from tests.registries import Client, ServedRegistry, manifest_of

OCI = "application/vnd.oci.image.manifest.v1+json"
BYTES = bytes(range(256)) * 5000  # more than a socket holds


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRegistry]:
    with ServedRegistry(tmp_path_factory.mktemp("registry")) as one:
        yield one


@pytest.fixture
def client(served: ServedRegistry) -> Iterator[Client]:
    with served.client() as one:
        yield one


def codes(body: bytes) -> list[str]:
    return [error["code"] for error in json.loads(body)["errors"]]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/a/manifests/absent", 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/a/manifests/-bad", 400, "MANIFEST_INVALID"),
        ("GET", "/v2/a/manifests/sha256:12", 400, "DIGEST_INVALID"),
        ("GET", f"/v2/a/blobs/{Digest.of(b'absent')}", 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/a/blobs/md5:1", 400, "DIGEST_INVALID"),
        ("GET", "/v2/A/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/..%2f..%2fetc/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/absent/tags/list", 404, "NAME_UNKNOWN"),
        ("GET", "/v2/a/blobs/uploads/nobody", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("DELETE", "/v2/a/blobs/uploads/nobody", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("DELETE", "/v2/a/manifests/absent", 404, "MANIFEST_UNKNOWN"),
        ("POST", "/v2/a/blobs/uploads/?digest=sha256:zz", 400, "DIGEST_INVALID"),
        ("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5", 400, "DIGEST_INVALID"),
        ("PUT", "/v2/a/manifests/v1", 400, "MANIFEST_INVALID"),
        ("GET", "/v2/a/referrers/nothing", 400, "DIGEST_INVALID"),
        ("GET", "/v2/_catalog?n=x", 400, "UNSUPPORTED"),
        ("PATCH", "/v2/a/tags/list", 405, "UNSUPPORTED"),
        ("GET", "/elsewhere", 404, "NAME_UNKNOWN"),
    ],
)
def test_each_refusal_has_its_status_and_code(client: Client, method: str, path: str, status: int, code: str) -> None:
    answer = client.ask(method, path)
    assert (answer.status, codes(answer.body)) == (status, [code])


def test_a_manifest_that_is_too_long_is_refused(client: Client) -> None:
    answer = client.ask("PUT", "/v2/a/manifests/v1", b"x" * ((4 << 20) + 1), Content_Type=OCI)
    assert answer.status == 413


@pytest.mark.parametrize(
    ("asked", "status", "begin", "end"),
    [
        ("", 200, 0, len(BYTES)),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-", 206, 10, len(BYTES)),
        ("bytes=-10", 206, len(BYTES) - 10, len(BYTES)),
        ("bytes=100-99999999", 206, 100, len(BYTES)),
        ("bytes=1-2,5-6", 200, 0, len(BYTES)),
        ("lines=1-2", 200, 0, len(BYTES)),
    ],
)
def test_a_range_of_a_blob(client: Client, asked: str, status: int, begin: int, end: int) -> None:
    digest = client.push_blob("ranges", BYTES)
    headers = {"Range": asked} if asked else {}
    answer = client.ask("GET", f"/v2/ranges/blobs/{digest}", None, **headers)
    assert answer.status == status
    assert answer.body == BYTES[begin:end]
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(BYTES)}"
    head = client.ask("HEAD", f"/v2/ranges/blobs/{digest}", None, **headers)
    assert (head.status, head.body, head.headers["Content-Length"]) == (status, b"", str(end - begin))


@pytest.mark.parametrize("asked", ["bytes=2-1", f"bytes={len(BYTES)}-", "bytes=-0"])
def test_a_range_without_bytes_is_not_satisfiable(client: Client, asked: str) -> None:
    digest = client.push_blob("ranges", BYTES)
    answer = client.ask("GET", f"/v2/ranges/blobs/{digest}", Range=asked)
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(BYTES)}")


def test_a_client_that_hangs_up_in_the_middle_of_a_blob_hurts_nobody(served: ServedRegistry, client: Client) -> None:
    digest = client.push_blob("ranges", BYTES * 8)
    host, _, port = served.address.partition(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(f"GET /v2/ranges/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert sock.recv(100)
    assert client.ask("GET", f"/v2/ranges/blobs/{digest}").body == BYTES * 8


def test_a_connection_goes_on_after_a_blob_and_after_a_refusal(client: Client) -> None:
    digest = client.push_blob("ranges", BYTES)
    for _ in range(3):
        assert client.ask("GET", f"/v2/ranges/blobs/{digest}", X_Odd="1", Connection="keep-alive").body == BYTES
        assert client.ask("GET", "/v2/ranges/manifests/none").status == 404
        assert client.ask("GET", "/v2/").status == 200


def test_a_chunk_out_of_order_tells_where_to_go_on(client: Client) -> None:
    location = client.ask("POST", "/v2/chunks/blobs/uploads/", b"").headers["Location"]
    assert client.ask("PATCH", location, b"abc", Content_Range="0-2").headers["Range"] == "0-2"
    refused = client.ask("PATCH", location, b"xyz", Content_Range="7-9")
    assert (refused.status, refused.headers["Range"], refused.headers["Location"]) == (416, "0-2", location)
    assert client.ask("PATCH", location, b"xyz", Content_Range="bytes 3-5/9").status == 416
    assert client.ask("PATCH", location, b"xyz", Content_Range="3-9").status == 400
    status = client.ask("GET", location)
    assert (status.status, status.headers["Range"]) == (204, "0-2")
    digest = Digest.of(b"abcdef")
    assert client.ask("PUT", f"{location}?digest={digest}", b"def", Content_Range="3-5").status == 201
    assert client.ask("GET", f"/v2/chunks/blobs/{digest}").body == b"abcdef"
    assert client.ask("GET", location).status == 404


def test_a_cancelled_upload_is_gone(client: Client) -> None:
    location = client.ask("POST", "/v2/chunks/blobs/uploads/", b"").headers["Location"]
    assert client.ask("DELETE", location).status == 204
    assert client.ask("PATCH", location, b"x").status == 404


def test_a_sender_that_breaks_off_goes_on_where_its_bytes_ended(served: ServedRegistry, client: Client) -> None:
    location = client.ask("POST", "/v2/chunks/blobs/uploads/", b"").headers["Location"]
    host, _, port = served.address.partition(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode() + b"x" * 400)
    for _ in range(100):
        if (said := client.ask("GET", location).headers["Range"]) == "0-399":
            break
    assert said == "0-399"
    digest = Digest.of(b"x" * 1000)
    for _ in range(100):
        answer = client.ask("PUT", f"{location}?digest={digest}", b"x" * 600, Content_Range="400-999")
        if answer.status != 503:  # the broken request is still being noticed
            break
    assert answer.status == 201, answer.body


def test_a_mount_needs_no_bytes(client: Client) -> None:
    digest = client.push_blob("source", b"shared")
    assert client.ask("POST", f"/v2/target/blobs/uploads/?mount={digest}&from=source").status == 201
    assert client.ask("HEAD", f"/v2/target/blobs/{digest}").status == 200
    absent = client.ask("POST", f"/v2/target/blobs/uploads/?mount={Digest.of(b'no')}&from=source")
    assert absent.status == 202
    assert "Location" in absent.headers


def test_lists_come_in_pages(client: Client) -> None:
    config = client.push_blob("pages", b"{}")
    raw = manifest_of(config, {})
    for tag in ("a", "B", "c", "10", "9"):
        assert client.ask("PUT", f"/v2/pages/manifests/{tag}", raw, Content_Type=OCI).status == 201
    seen, path = [], "/v2/pages/tags/list?n=2"
    while path:
        answer = client.ask("GET", path)
        seen += [json.loads(answer.body)["tags"]]
        path = answer.headers.get("Link", "").partition("<")[2].partition(">")[0]
    assert seen == [["10", "9"], ["B", "a"], ["c"]]
    assert json.loads(client.ask("GET", "/v2/pages/tags/list").body)["tags"] == ["10", "9", "B", "a", "c"]
    none = client.ask("GET", "/v2/pages/tags/list?n=0")
    assert (json.loads(none.body)["tags"], none.headers.get("Link")) == ([], None)
    assert "pages" in json.loads(client.ask("GET", "/v2/_catalog?n=1&last=orange").body)["repositories"]


def test_referrers_are_an_index_that_can_be_filtered(client: Client) -> None:
    config = client.push_blob("refs", b"{}")
    subject = Digest.of(b"subject")
    for kind in ("a/sbom", "a/signature"):
        raw = manifest_of(config, {}, subject, artifactType=kind)
        answer = client.ask("PUT", f"/v2/refs/manifests/{Digest.of(raw)}", raw, Content_Type=OCI)
        assert answer.headers["OCI-Subject"] == subject
    everything = client.ask("GET", f"/v2/refs/referrers/{subject}")
    assert everything.headers["Content-Type"] == "application/vnd.oci.image.index.v1+json"
    assert len(json.loads(everything.body)["manifests"]) == 2
    some = client.ask("GET", f"/v2/refs/referrers/{subject}?artifactType=a/sbom")
    assert some.headers["OCI-Filters-Applied"] == "artifactType"
    assert [one["artifactType"] for one in json.loads(some.body)["manifests"]] == ["a/sbom"]
    assert json.loads(client.ask("GET", f"/v2/refs/referrers/{Digest.of(b'none')}").body)["manifests"] == []


def test_a_long_list_of_referrers_goes_on_behind_the_last(client: Client) -> None:
    config = client.push_blob("many", b"{}")
    subject = Digest.of(b"subject")
    for number in range(3):
        raw = manifest_of(config, {}, subject, annotations={"long": str(number) * 1_800_000})
        assert client.ask("PUT", f"/v2/many/manifests/{Digest.of(raw)}", raw, Content_Type=OCI).status == 201
    first = client.ask("GET", f"/v2/many/referrers/{subject}")
    second = client.ask("GET", first.headers["Link"].partition("<")[2].partition(">")[0])
    pages = [json.loads(answer.body)["manifests"] for answer in (first, second)]
    assert [len(page) for page in pages] == [2, 1]
    assert "Link" not in second.headers


def test_who_has_no_password_is_asked_for_it(tmp_path: Path) -> None:
    hashed = "$6$saltsalt$" + _crypt("secret", "$6$saltsalt$")
    path = tmp_path / "htpasswd"
    path.write_text(f"# people\n\nanna:{hashed}\n")
    with ServedRegistry(tmp_path / "registry", Passwords.read(path)) as served, served.client() as client:
        refused = client.ask("GET", "/v2/")
        assert (refused.status, codes(refused.body)) == (401, ["UNAUTHORIZED"])
        assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
        for user, password, status in [
            ("anna", "secret", 200),
            ("anna", "secret", 200),
            ("anna", "x", 401),
            ("b", "", 401),
        ]:
            said = base64.b64encode(f"{user}:{password}".encode()).decode()
            assert client.ask("GET", "/v2/", Authorization=f"Basic {said}").status == status
        assert client.ask("GET", "/v2/", Authorization="Basic !!").status == 401


def _crypt(password: str, setting: str) -> str:
    from corten.registry.passwords import _load

    hashed: bytes = _load().crypt(password.encode(), setting.encode())
    return hashed.decode().removeprefix(setting)


def test_a_password_file_with_an_old_hash_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text("anna:$apr1$x$y\n")
    with pytest.raises(Exception, match="line 1"):
        Passwords.read(path)


def test_the_command_line_says_what_it_misses() -> None:
    from corten.daemon.registry import parse

    for argv in ([], ["--listen=127.0.0.1:0"], ["--listen=a", "--root=b", "--tls-cert=c"], ["--what"]):
        with pytest.raises(Exception, match="registry serve"):
            parse(argv)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_a_registry_behind_tls_serves_and_takes_blobs(tmp_path: Path) -> None:
    import http.client
    import ssl

    from tests.registries import CommandRegistry

    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert), *names]
    subprocess.run(made, check=True, capture_output=True)
    registry = CommandRegistry(tmp_path / "registry", f"--tls-cert={cert}", f"--tls-key={key}")
    try:
        client = Client(registry.address)
        trusting = ssl.create_default_context(cafile=str(cert))
        client.connection = http.client.HTTPSConnection(registry.address, context=trusting, timeout=20)
        digest = client.push_blob("a", BYTES * 4)
        assert client.ask("GET", f"/v2/a/blobs/{digest}").body == BYTES * 4
        client.close()
    finally:
        registry.close()
    assert "Traceback" not in (tmp_path / "registry.log").read_text()


def test_chunk_ranges_are_read_strictly() -> None:
    from corten.api.registry import ranges

    assert ranges.chunk("", 5, 0) is None
    assert ranges.chunk("5-9", 5, 0) == (5, 5)
    with pytest.raises(OutOfOrder):
        ranges.chunk("9-5", None, 0)
    with pytest.raises(SizeInvalid):
        ranges.chunk("0-9", 9, 0)


def test_the_command_serves_the_root_it_is_told(tmp_path: Path) -> None:
    """Through the command line itself, whose flags are the daemon's."""
    import sys

    root = tmp_path / "deep" / "registry"
    users = tmp_path / "htpasswd"
    users.write_text("anna:$6$saltsalt$" + _crypt("secret", "$6$saltsalt$") + "\n")
    told, tell = os.pipe()
    flags = ["--listen=127.0.0.1:0", f"--root={root}", f"--htpasswd={users}", f"--ready-fd={tell}"]
    command = [str(Path(sys.executable).with_name("corten")), "registry", "serve", *flags]
    process = subprocess.Popen(command, pass_fds=[tell], stderr=subprocess.DEVNULL)
    os.close(tell)
    with os.fdopen(told) as file:
        address = f"127.0.0.1:{int(file.readline())}"
    try:
        with Client(address) as client:
            assert client.ask("GET", "/v2/").status == 401
        assert (root / "content").is_dir()
    finally:
        process.terminate()
        assert process.wait(20) == 0

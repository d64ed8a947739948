"""A registry in this process, for tests: real HTTP on loopback, every misbehaviour a switch.

It keeps manifests and blobs in dictionaries. `users` turns bearer tokens on; `break_at` ends a blob's transfer early,
once for each entry; `pace` is a pause in seconds after each piece of a blob; `redirect` sends blob reads elsewhere;
`busy` answers 429 that many times; `ranges=False` ignores Range. `hook` sees each request first and returns whether it
has answered it. `seen` records (method, path, authorization).
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["FakeRegistry", "RegistryHandler"]

PIECE = 64 << 10


class FakeRegistry:
    def __init__(self, users: dict[str, str] | None = None) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.users = users or {}
        self.break_at: list[int] = []
        self.redirect = ""
        self.busy = 0
        self.ranges = True
        self.pace = 0.0
        self.seen: list[tuple[str, str, str]] = []
        self.hook: Callable[[RegistryHandler], bool] = lambda _: False
        registry = self

        class Handler(RegistryHandler):
            state = registry

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that gives up in the middle is what some tests are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def add_blob(self, data: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def add_manifest(self, repository: str, name: str, media_type: str, raw: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        self.manifests[repository, name] = self.manifests[repository, digest] = (media_type, raw)
        return digest

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class RegistryHandler(BaseHTTPRequestHandler):
    state: FakeRegistry
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def problem(self, status: int, code: str, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()
        self.answer(status, body, Content_Type="application/json", **headers)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_any(self) -> None:
        authorization = self.headers.get("Authorization", "")
        self.state.seen.append((self.command, self.path, authorization))
        if self.state.hook(self):
            return
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self.token(authorization)
        elif self.state.busy:
            self.state.busy -= 1
            self.body()
            self.problem(429, "TOOMANYREQUESTS", Retry_After="0")
        elif self.state.users and authorization != "Bearer good":
            self.body()
            realm = f'Bearer realm="http://{self.state.address}/token",service="fake"'
            self.problem(401, "UNAUTHORIZED", WWW_Authenticate=realm)
        elif match := re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags)/(.*)", parts.path):
            getattr(self, match[2])(match[1], match[3], parse_qs(parts.query))
        else:
            self.answer(200, b"{}")

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def token(self, authorization: str) -> None:
        name, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if self.state.users.get(name) == password:
            self.answer(200, json.dumps({"token": "good"}).encode())
        else:
            self.problem(401, "UNAUTHORIZED")

    def manifests(self, repository: str, name: str, _: dict[str, list[str]]) -> None:
        if self.command == "PUT":
            digest = self.state.add_manifest(repository, name, self.headers["Content-Type"], self.body())
            self.answer(201, Docker_Content_Digest=digest, Location="x")
        elif found := self.state.manifests.get((repository, name)):
            digest = "sha256:" + hashlib.sha256(found[1]).hexdigest()
            self.answer(200, found[1], Content_Type=found[0], Docker_Content_Digest=digest)
        else:
            self.problem(404, "MANIFEST_UNKNOWN")

    def tags(self, repository: str, _: str, query: dict[str, list[str]]) -> None:
        names = sorted(name for repo, name in self.state.manifests if repo == repository and ":" not in name)
        last = query.get("last", [""])[0]
        rest = [name for name in names if name > last]
        page = rest[:2]
        more = {"Link": f'</v2/{repository}/tags/list?last={page[-1]}>; rel="next"'} if rest[2:] else {}
        self.answer(200, json.dumps({"name": repository, "tags": page}).encode(), **more)

    def blobs(self, repository: str, name: str, query: dict[str, list[str]]) -> None:
        if name.startswith("uploads"):
            self.upload(repository, query)
        elif name not in self.state.blobs:
            self.problem(404, "BLOB_UNKNOWN")
        elif self.state.redirect:
            self.answer(307, Location=self.state.redirect.format(digest=name))
        else:
            self.send_blob(self.state.blobs[name])

    def upload(self, repository: str, query: dict[str, list[str]]) -> None:
        data = self.body()
        if "mount" in query and query["mount"][0] in self.state.blobs:
            self.answer(201, Location="x")
        elif self.command == "PUT":
            digest = self.state.add_blob(data)
            wanted = query["digest"][0]
            self.answer(201, Location="x") if digest == wanted else self.problem(400, "DIGEST_INVALID")
        else:
            self.answer(202, Location=f"/v2/{repository}/blobs/uploads/1?state=a%2Fb")

    def send_blob(self, data: bytes) -> None:
        begin = 0
        if self.state.ranges and (match := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))):
            begin = int(match[1])
        part = data[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.state.break_at:
            self.wfile.write(part[: max(0, self.state.break_at.pop(0) - begin)])
            self.close_connection = True
            return
        for at in range(0, len(part), PIECE):
            self.wfile.write(part[at : at + PIECE])
            time.sleep(self.state.pace)

"""Log in, pull and push by the command lines through a running engine, at registries that guard, lie, or are away."""

import ctypes
import gzip
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from corten.model import mediatype
from corten.model.digest import Digest
from tests.fake_registry import FakeRegistry
from tests.images import config, system_layer
from tests.root.engines import OTHER_HOST, Engine, Terminal, docker_command

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="the registry lives in the engine's own network namespace")
T = TypeVar("T")
CLONE_NEWNET = 0x40000000
PROGRAM = str(Path(sys.executable).with_name("corten"))
LAYER = gzip.compress(system_layer(), 1, mtime=0)
CONFIG = config([system_layer()], Cmd=["echo", "hello"])


def in_network_of(pid: int, make: Callable[[], T]) -> T:
    """What `make` returns when a thread in the network namespace of `pid` calls it; its sockets stay there."""
    made: list[T] = []

    def run() -> None:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(namespace)
        made.append(make())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine.temporary()
    engine.start()
    yield engine
    engine.end()


def there(engine: Engine, users: dict[str, str] | None = None) -> FakeRegistry:
    assert engine.process
    return in_network_of(engine.process.pid, lambda: FakeRegistry(users))


@pytest.fixture
def registry(engine: Engine) -> Iterator[FakeRegistry]:
    made = there(engine)
    yield made
    made.close()


@pytest.fixture
def guarded(engine: Engine) -> Iterator[FakeRegistry]:
    made = there(engine, {"anna": "secret"})
    yield made
    made.close()


def offer(registry: FakeRegistry, tag: str = "1", layer: bytes = LAYER, digest: str = "") -> str:
    """Put an image at the registry; returns its name."""
    registry.add_blob(CONFIG)
    registry.add_blob(layer)
    manifest = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": {"mediaType": mediatype.OCI_CONFIG, "digest": Digest.of(CONFIG), "size": len(CONFIG)},
        "layers": [
            {"mediaType": mediatype.OCI_LAYER_GZIP, "digest": digest or Digest.of(layer), "size": len(layer)},
        ],
    }
    registry.add_manifest("team/app", tag, mediatype.OCI_MANIFEST, json.dumps(manifest).encode())
    return f"{registry.address}/team/app:{tag}"


def corten(engine: Engine, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, "--host", engine.host, *words],
        input=stdin,
        env=engine.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def kept_logins(engine: Engine) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((engine.home / ".docker/config.json").read_text()).get("auths", {})
    return found


def test_a_login_opens_a_guarded_registry_and_a_logout_closes_it(engine: Engine, guarded: FakeRegistry) -> None:
    name = offer(guarded)
    assert corten(engine, "pull", name).returncode == 1
    wrong = corten(engine, "login", "-u", "anna", "--password-stdin", guarded.address, stdin="wrong")
    assert wrong.returncode == 1
    assert "Succeeded" not in wrong.stdout
    right = corten(engine, "login", "-u", "anna", "--password-stdin", guarded.address, stdin="secret\n")
    assert right.stdout == "Login Succeeded\n", right.stderr
    assert kept_logins(engine)[guarded.address] == {"auth": "YW5uYTpzZWNyZXQ="}
    assert (engine.home / ".docker/config.json").stat().st_mode & 0o777 == 0o600
    assert corten(engine, "pull", name).returncode == 0
    assert corten(engine, "push", name).returncode == 0
    if docker_command():  # the same file serves docker's own command line
        assert engine.docker("pull", name).stdout.endswith(f"{name}\n")
    assert corten(engine, "rmi", name).returncode == 0
    out = corten(engine, "logout", guarded.address)
    assert out.stdout == f"Removing login credentials for {guarded.address}\n"
    assert guarded.address not in kept_logins(engine)
    refused = corten(engine, "pull", name)
    assert refused.returncode == 1
    assert "pull access denied for" in refused.stderr
    assert corten(engine, "logout", guarded.address).stdout == f"Not logged in to {guarded.address}\n"


def test_what_docker_kept_of_a_login_serves_us(engine: Engine, guarded: FakeRegistry) -> None:
    if not docker_command():
        pytest.skip("needs docker")
    name = offer(guarded)
    engine.docker("login", "-u", "anna", "--password-stdin", guarded.address, stdin="secret")
    assert corten(engine, "pull", name).returncode == 0
    engine.docker("logout", guarded.address)
    assert corten(engine, "rmi", name).returncode == 0


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("file", "redirect"),
        ("lie", "digest"),
        ("busy", "too many requests|toomanyrequests"),
        ("away", "connection refused|cannot reach"),
        ("bomb", "content is|longer|config says"),
    ],
)
def test_a_registry_in_trouble_or_hostile_gives_a_clear_error_and_leaves_nothing(
    engine: Engine, trouble: str, words: str
) -> None:
    registry = there(engine)
    before = corten(engine, "system", "df").stdout
    try:
        name = offer(registry, digest=str(Digest.of(b"promised")) if trouble == "lie" else "")
        if trouble == "file":
            registry.redirect = "file:///etc/passwd"
        elif trouble == "lie":
            registry.blobs[str(Digest.of(b"promised"))] = LAYER
        elif trouble == "busy":
            registry.busy = 1000
        elif trouble == "bomb":
            name = offer(registry, layer=gzip.compress(bytes(64 << 20), 9))
        else:
            registry.close()
        done = corten(engine, "pull", name)
        assert done.returncode == 1
        assert re.search(words, done.stderr, re.IGNORECASE), done.stderr
        assert "root:" not in done.stdout + done.stderr
        assert corten(engine, "images", "-q", name).stdout == ""
    finally:
        if trouble != "away":
            registry.close()
    assert corten(engine, "system", "df").stdout == before


def test_on_a_pipe_a_pull_says_the_lines_that_docker_says(engine: Engine, registry: FakeRegistry) -> None:
    name = offer(registry)
    short = Digest.of(LAYER).short
    digest = Digest.of(registry.manifests["team/app", "1"][1])
    ours = corten(engine, "pull", name).stdout
    assert ours.splitlines() == [
        "1: Pulling from team/app",
        f"{short}: Pulling fs layer",
        f"{short}: Download complete",
        f"{short}: Pull complete",
        f"Digest: {digest}",
        f"Status: Downloaded newer image for {name}",
        name,
    ]
    assert corten(engine, "pull", "-q", name).stdout == f"{name}\n"
    if docker_command():
        corten(engine, "rmi", name)
        assert engine.docker("pull", name).stdout == ours
    assert corten(engine, "rmi", name).returncode == 0


def test_on_a_terminal_a_layer_keeps_its_line(engine: Engine, registry: FakeRegistry) -> None:
    name = offer(registry)
    short = Digest.of(LAYER).short
    with Terminal([PROGRAM, "--host", engine.host, "pull", name], engine.environment, 24, 100) as terminal:
        terminal.see(f"{short}: Pulling fs layer")
        terminal.see(r"\x1b\[1A")  # up again, to the layer's line
        terminal.see(f"{short}: Pull complete")
        terminal.see("Status: Downloaded newer image")
        assert terminal.ended() == 0
    assert corten(engine, "rmi", name).returncode == 0

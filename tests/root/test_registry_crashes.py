"""Pulls and pushes killed with -9 at random points: nothing is lost or left, and the next attempt goes on there."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model.digest import Digest
from corten.model.reference import Reference
from corten.remote import Registries
from tests.image_rig import Rig
from tests.images import Layer, config, docker_archive
from tests.registries import Client, CommandRegistry, ServedRegistry

HERE = Path(__file__).parent.parent.parent
SIZE = 24 << 20
ROUNDS = int(os.environ.get("CORTEN_KILLS", "8"))
MANIFEST = 1 << 16  # what is in the store beside the image's blobs: its manifest
# Bytes that do not compress: a push sends about as much as a pull, and both take long enough to be killed in.
LAYERS = [Layer().file(f"big{number}", random.Random(number).randbytes(SIZE)).close() for number in range(2)]
WORK = """
import sys
from pathlib import Path
from corten.model.reference import Reference
from corten.remote import Registries
from tests.image_rig import Rig
rig = Rig(Path(sys.argv[2]))
reference = Reference.parse(sys.argv[3])
repository = Registries(patience=0.01).repository(reference)
print("ready", flush=True)
if sys.argv[1] == "pull":
    told = rig.images.pull(repository, reference)
else:
    told = rig.images.push("app:1", reference, repository)
for _ in told:
    pass
rig.close()
"""


@pytest.fixture
def served(scratch: Path) -> Iterator[ServedRegistry]:
    with ServedRegistry(scratch / "registry") as one:
        yield one


def source(scratch: Path) -> Path:
    """A store that has the image."""
    rig = Rig(scratch / "source")
    rig.load(docker_archive([(config(LAYERS), LAYERS, ["app:1"])]))
    rig.close()
    return scratch / "source"


def killed(verb: str, root: Path, target: str, seconds: float) -> None:
    with subprocess.Popen([sys.executable, "-c", WORK, verb, str(root), target], cwd=HERE, stdout=-1) as child:
        assert child.stdout
        child.stdout.readline()
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)


def finished(verb: str, root: Path, target: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", WORK, verb, str(root), target], cwd=HERE, check=True, stdout=-1)
    return time.monotonic() - began


def pushed(scratch: Path, target: str) -> None:
    finished("push", source(scratch), target)


def restarted(root: Path) -> Rig:
    rig = Rig(root)
    rig.images.restore()
    return rig


def test_a_killed_pull_leaves_nothing_half_done_and_the_next_one_goes_on(scratch: Path, served: ServedRegistry) -> None:
    target = f"{served.address}/team/app:1"
    pushed(scratch, target)
    whole = finished("pull", scratch / "whole", target)
    chance = random.Random(11)
    resumed = 0
    for number in range(ROUNDS):
        root = scratch / f"engine{number}"
        killed("pull", root, target, chance.random() * whole * 0.5)
        rig = restarted(root)
        kept = sum(path.stat().st_size for path in (root / "content/ingest").iterdir())
        _, snapshots, _ = rig.everything()
        chains = set(rig.images.get(target).chain) if rig.images.summaries({}) else set()
        assert chains <= set(snapshots)
        assert not [key for key in snapshots if key.startswith("unpack ")]  # no layer is half a snapshot
        rig.close()
        served.seen.clear()
        finished("pull", root, target)
        rig = restarted(root)
        assert len(rig.images.get(target).chain) == 2
        assert list((root / "content/ingest").iterdir()) == []
        assert rig.everything()[2] == 0
        rig.close()
        ranges = [request for request in served.seen if "range" in request.headers]
        resumed += bool(ranges)
        assert bool(ranges) == bool(kept and any("/blobs/" in request.target for request in served.seen))
    assert resumed  # chance hit the middle of a layer at least once


def test_a_killed_push_names_nothing_too_early_and_the_next_one_sends_only_the_rest(
    scratch: Path, served: ServedRegistry
) -> None:
    root = source(scratch)
    whole = finished("push", root, f"{served.address}/first/app:1")
    digest = served.registry.repository("first/app").manifest("1").digest
    chance = random.Random(12)
    for number in range(ROUNDS):
        name = f"team/app{number}"
        target = f"{served.address}/{name}:1"
        killed("push", root, target, chance.random() * whole)
        restarted(root).close()
        there = {str(one) for one, _ in served.registry.repository(name).blob_links()}
        served.seen.clear()
        finished("push", root, target)
        assert served.registry.repository(name).manifest("1").digest == digest
        sent = {request.target.rpartition("digest=")[2] for request in served.seen if request.method == "PUT"}
        assert not sent & there
        rig = restarted(root)
        assert rig.everything()[2] == 0
        rig.close()


def test_a_killed_registry_has_what_it_acknowledged_and_goes_on_with_the_rest(scratch: Path) -> None:
    """kill -9 of the server while uploads come in; after its restart the same upload is taken up again."""
    chance = random.Random(13)
    body = os.urandom(SIZE)
    digest = Digest.of(body)
    acknowledged: list[Digest] = []
    registry = CommandRegistry(scratch / "registry")
    try:
        for number in range(6):
            client = Client(registry.address)
            small = os.urandom(1000)
            acknowledged.append(client.push_blob("team/app", small))
            location = client.ask("POST", "/v2/team/app/blobs/uploads/", b"").headers["Location"]
            client.close()
            interrupted(registry, location, body, chance.random())
            registry = CommandRegistry(scratch / "registry")
            client = Client(registry.address)
            for one in acknowledged:
                assert client.ask("HEAD", f"/v2/team/app/blobs/{one}").status == 200
            there = client.ask("GET", location).headers["Range"].partition("-")[2]
            offset = int(there) + 1 if int(there) else 0
            name = f"{location}?digest={digest}"
            rest = client.ask("PUT", name, body[offset:], Content_Range=f"{offset}-{len(body) - 1}")
            assert rest.status == 201, (number, rest)
            assert client.ask("GET", f"/v2/team/app/blobs/{digest}", Range="bytes=-10").body == body[-10:]
            assert client.ask("DELETE", f"/v2/team/app/blobs/{digest}").status == 202
            client.close()
    finally:
        registry.close()
    assert list((scratch / "registry/content/ingest").iterdir()) == []
    assert list((scratch / "registry/new").iterdir()) == []


def interrupted(registry: CommandRegistry, location: str, body: bytes, part: float) -> None:
    """Send a part of the body, then kill the server in the middle of it."""
    host, _, port = registry.address.partition(":")
    with socket.create_connection((host, int(port))) as sock:
        head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body[: int(len(body) * part)])
        registry.kill()


def test_a_full_filesystem_ends_a_pull_and_with_more_space_the_rest_is_fetched(
    scratch: Path, served: ServedRegistry
) -> None:
    """A tmpfs that has room for the layers as they come, but not for what is in them; then one that has."""
    target = f"{served.address}/team/app:1"
    pushed(scratch, target)
    small = scratch / "small"
    small.mkdir()
    blobs = sum(size for _, size in sizes(served))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={blobs + SIZE // 2}", "small", str(small)], check=True)
    try:
        command = [sys.executable, "-c", WORK, "pull", str(small / "engine"), target]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        assert done.returncode
        assert "ResourceExhausted" in done.stderr, done.stderr
        rig = restarted(small / "engine")
        assert not rig.images.summaries({})
        assert not [key for key in rig.everything()[1] if key.startswith("unpack ")]
        rig.close()
        kept = sum(path.stat().st_size for path in (small / "engine/content").rglob("*") if path.is_file())
        # How much was kept depends on who took the last space, the blobs or what is in them.
        subprocess.run(["mount", "-o", f"remount,size={blobs * 4}", str(small)], check=True)
        served.seen.clear()
        finished("pull", small / "engine", target)
        assert asked(served) <= blobs - kept + MANIFEST
        rig = restarted(small / "engine")
        assert len(rig.images.get(target).chain) == 2
        assert rig.everything()[2] == 0
        rig.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def sizes(served: ServedRegistry) -> list[tuple[str, int]]:
    """The blobs of the repository, with their sizes."""
    with served.client() as client:
        digests = [str(one) for one, _ in served.registry.repository("team/app").blob_links()]
        heads = [client.ask("HEAD", f"/v2/team/app/blobs/{digest}") for digest in digests]
        return [(digest, int(head.headers["Content-Length"])) for digest, head in zip(digests, heads, strict=True)]


def asked(served: ServedRegistry) -> int:
    """How many bytes of blobs the requests since the last clearing asked for."""
    requests = [one for one in served.seen if one.method == "GET"]
    known, total = dict(sizes(served)), 0
    for request in requests:
        size = known.get(request.target.rpartition("/")[2], 0)
        begin = dict(request.headers).get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0]
        total += size - int(begin)
    return total


def test_a_full_disk_ends_a_pull_clearly_and_keeps_what_was_there(scratch: Path, served: ServedRegistry) -> None:
    import resource

    target = f"{served.address}/team/app:1"
    pushed(scratch, target)
    script = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({SIZE // 2}, {SIZE // 2}))\n"
    script += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + WORK
    assert resource.RLIMIT_FSIZE
    command = [sys.executable, "-c", script, "pull", str(scratch / "engine"), target]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "ResourceExhausted" in done.stderr
    finished("pull", scratch / "engine", target)
    rig = restarted(scratch / "engine")
    repository = Registries().repository(Reference.parse(target))
    assert rig.images.get(target).digests
    assert repository.head("1")
    rig.close()

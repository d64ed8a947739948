"""Layers unpack to what overlayfs shows and to what a plain copy holds; hostile ones stay inside."""

import bz2
import gzip
import io
import lzma
import os
import resource
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corten import layers
from corten.layers import Form, source
from corten.model.digest import Digest
from corten.model.errors import CortenError, InvalidArgument, ResourceExhausted
from corten.wire import tar
from tests.images import Layer
from tests.merged import Listing, listing, merged

pytestmark = pytest.mark.root


def unpack(
    data: bytes, into: Path, form: Form = Form.PLAIN, lowers: Sequence[Path] = (), *, limit: int = source.SIZE_LIMIT
) -> layers.Applied:
    into.mkdir(exist_ok=True)
    fds = [os.open(path, os.O_RDONLY) for path in (into, *lowers)]
    try:
        with closing(source.of_stream(io.BytesIO(data), limit=limit)) as stream:
            return layers.apply(stream, fds[0], form=form, lower_fds=fds[1:])
    finally:
        for fd in fds:
            os.close(fd)


@pytest.fixture
def out(scratch: Path) -> Iterator[Path]:
    """Where a layer is unpacked, beside something that it must not reach."""
    (scratch / "victim").write_text("safe")
    (scratch / "out").mkdir()
    yield scratch / "out"
    assert (scratch / "victim").read_text() == "safe"
    assert sorted(path.name for path in scratch.iterdir()) == ["out", "victim"]


def test_every_kind_of_file_arrives_with_its_attributes(out: Path) -> None:
    entries = [
        tar.Entry(b"dir", tar.DIRECTORY, mode=0o1750, uid=1, gid=2, mtime_ns=7 * 10**9),
        tar.Entry(b"dir/file", tar.REGULAR, mode=0o4755, uid=1000, gid=100, size=3, mtime_ns=5 * 10**9),
        tar.Entry(b"dir/hard", tar.HARDLINK, mode=0o4755, uid=1000, gid=100, link=b"dir/file"),
        tar.Entry(b"soft", tar.SYMLINK, link=b"/dir/../file", uid=9, gid=9, mtime_ns=3 * 10**9),
        tar.Entry(b"null", tar.CHARACTER, mode=0o666, device=(1, 3)),
        tar.Entry(b"disk", tar.BLOCK_DEVICE, mode=0o660, device=(8, 1)),
        tar.Entry(b"pipe", tar.FIFO, mode=0o600),
    ]
    entries[1].xattrs = {b"user.note": b"hello", b"trusted.bin": b"\0\1"}
    data = b"".join(tar.encode(entry) + (b"abc" + bytes(509) if entry.size else b"") for entry in entries) + tar.END
    applied = unpack(data, out)
    assert (applied.diff_id, applied.size, applied.entries, applied.warnings) == (Digest.of(data), 3, 7, [])
    found = (out / "dir/file").stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_nlink) == (0o4755, 1000, 100, 2)
    assert found.st_mtime_ns == 5 * 10**9
    assert os.getxattr(out / "dir/file", "user.note") == b"hello"
    assert os.getxattr(out / "dir/file", "trusted.bin") == b"\0\1"
    assert ((out / "dir").stat().st_mode & 0o7777, (out / "dir").stat().st_mtime_ns) == (0o1750, 7 * 10**9)
    assert os.readlink(out / "soft") == "/dir/../file"
    assert ((out / "soft").lstat().st_uid, (out / "soft").lstat().st_mtime_ns) == (9, 3 * 10**9)
    assert ((out / "null").stat().st_rdev, (out / "disk").stat().st_rdev) == (os.makedev(1, 3), os.makedev(8, 1))
    assert (out / "pipe").is_fifo()


def test_a_capability_survives_the_change_of_owner(out: Path) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    entry = tar.Entry(b"ping", tar.REGULAR, mode=0o755, uid=5, gid=5, xattrs={b"security.capability": capability})
    unpack(tar.encode(entry) + tar.END, out)
    assert os.getxattr(out / "ping", "security.capability") == capability


def test_files_keep_their_group_in_a_setgid_directory(out: Path) -> None:
    entries = [
        tar.Entry(b"shared", tar.DIRECTORY, mode=0o2775, gid=50),
        tar.Entry(b"shared/file", tar.REGULAR),
        tar.Entry(b"shared/dir", tar.DIRECTORY, mode=0o755),
        tar.Entry(b"shared/link", tar.SYMLINK, link=b"x"),
    ]
    unpack(b"".join(map(tar.encode, entries)) + tar.END, out)
    assert [(out / "shared" / name).lstat().st_gid for name in ("file", "dir", "link")] == [0, 0, 0]
    assert (out / "shared/dir").stat().st_mode & 0o7777 == 0o755


def test_an_implied_parent_is_made_and_the_root_takes_attributes(out: Path) -> None:
    unpack(Layer().file("a/b/c", b"x").directory("./", 0o711).close(), out)
    assert (out / "a/b/c").read_bytes() == b"x"
    assert (out / "a").stat().st_mode & 0o7777 == 0o755
    assert out.stat().st_mode & 0o7777 == 0o711


def test_a_later_entry_replaces_an_earlier_one(out: Path) -> None:
    layer = (
        Layer()
        .file("x", b"1")
        .symlink("x", "/")
        .file("x", b"2")
        .directory("d")
        .file("d/y", b"")
        .file("d", b"now a file")
    )
    unpack(layer.directory("e").symlink("e2", "e").directory("e2", 0o700).close(), out)
    assert (out / "x").read_bytes() == b"2"
    assert (out / "d").read_bytes() == b"now a file"
    assert not (out / "e2").is_symlink()


def test_a_directory_over_a_directory_keeps_what_is_in_it(out: Path) -> None:
    unpack(Layer().file("d/x", b"1").directory("d", 0o700).close(), out)
    assert (out / "d/x").read_bytes() == b"1"
    assert (out / "d").stat().st_mode & 0o7777 == 0o700


def test_links_that_stand_in_the_tree_are_resolved_within_it(out: Path) -> None:
    (out / "usr/bin").mkdir(parents=True)
    (out / "bin").symlink_to("/usr/bin")
    unpack(Layer().file("bin/tool", b"x").close(), out)
    assert (out / "usr/bin/tool").read_bytes() == b"x"


def plain(kind: bytes, name: bytes, link: bytes = b"", **fields: int) -> bytes:
    return tar.encode(tar.Entry(name, kind, link=link, **fields))  # type: ignore[arg-type]


def escape_through(link: str) -> bytes:
    return plain(tar.SYMLINK, b"way", link.encode()) + plain(tar.REGULAR, b"way/victim") + tar.END


# Each of these tries to reach `victim` beside the directory; none may, and those marked must be refused.
HOSTILE: dict[str, tuple[bytes, bool]] = {
    "absolute path": (plain(tar.REGULAR, b"/../victim"), True),
    "absolute path inside": (plain(tar.REGULAR, b"/victim"), False),
    "parent": (plain(tar.REGULAR, b"../victim"), True),
    "parent behind a name": (plain(tar.REGULAR, b"a/../../victim"), True),
    "parent of a link": (plain(tar.HARDLINK, b"x", b"../victim"), True),
    "hard link to an absolute path": (plain(tar.HARDLINK, b"x", b"/etc/passwd"), True),
    "hard link through a symlink": (plain(tar.SYMLINK, b"l", b"..") + plain(tar.HARDLINK, b"x", b"l/victim"), True),
    "hard link to itself": (plain(tar.HARDLINK, b"x", b"x"), True),
    "hard link to nothing": (plain(tar.HARDLINK, b"x", b"nothing"), True),
    "symlink up, then a file": (escape_through(".."), False),
    "symlink to the root, then a file": (escape_through("/"), False),
    "symlink to /proc/self/root": (escape_through("/proc/self/root"), True),
    "symlink to a long way up": (escape_through("../" * 40), False),
    "chain of symlinks": (
        plain(tar.SYMLINK, b"a", b"..") + plain(tar.SYMLINK, b"way", b"a") + escape_through("b"),
        True,
    ),
    "write through a symlink": (plain(tar.SYMLINK, b"f", b"../victim") + plain(tar.REGULAR, b"f"), False),
    "directory over a symlink": (
        plain(tar.SYMLINK, b"d", b"..") + plain(tar.DIRECTORY, b"d", mode=0o777) + plain(tar.REGULAR, b"d/victim"),
        False,
    ),
    "whiteout of nothing": (plain(tar.REGULAR, b".wh."), True),
    "whiteout of the directory": (plain(tar.REGULAR, b".wh.."), True),
    "whiteout of the parent": (plain(tar.REGULAR, b".wh..."), True),
    "whiteout below a symlink": (plain(tar.SYMLINK, b"d", b"..") + plain(tar.REGULAR, b"d/.wh.victim"), False),
    "opaque below a symlink": (plain(tar.SYMLINK, b"d", b"..") + plain(tar.REGULAR, b"d/.wh..wh..opq"), False),
    "root becomes a link": (plain(tar.SYMLINK, b".", b".."), True),
    "root becomes a file": (plain(tar.REGULAR, b"./"), False),
    "file below a file": (plain(tar.REGULAR, b"f") + plain(tar.REGULAR, b"f/x"), True),
    "deep": (plain(tar.REGULAR, b"d/" * 30_000 + b"x"), True),
    "long name": (plain(tar.REGULAR, b"n" * 300), True),
    "nobody as owner": (plain(tar.REGULAR, b"f", uid=0xFFFFFFFF), True),
    "owner out of bounds": (plain(tar.REGULAR, b"f", gid=1 << 40), True),
    "device out of bounds": (tar.encode(tar.Entry(b"n", tar.CHARACTER, device=(5000, 1))), True),
    "size beyond the stream": (plain(tar.REGULAR, b"f", size=1 << 40), True),
    "empty link": (plain(tar.SYMLINK, b"l", b""), True),
}


@pytest.mark.parametrize("form", [Form.PLAIN, Form.OVERLAY], ids=lambda form: form.value)
@pytest.mark.parametrize("case", HOSTILE)
def test_no_trick_leads_out(out: Path, case: str, form: Form) -> None:
    data, refused = HOSTILE[case]
    if refused:
        with pytest.raises(InvalidArgument):
            unpack(data + tar.END, out, form)
    else:
        unpack(data + tar.END, out, form)


def test_a_full_disk_is_resource_exhausted(out: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(CortenError, match="unpack 'f'"):
            unpack(plain(tar.REGULAR, b"f", size=2 << 20) + bytes(2 << 20) + tar.END, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)


def zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd as codec
    else:
        from backports import zstd as codec
    return codec.compress(data)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "gzip in members": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "zstd": zstd,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "xz in streams": lambda data: lzma.compress(data[:1000]) + lzma.compress(data[1000:]),
}


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_compression_is_found_by_the_bytes(out: Path, compressor: str) -> None:
    data = Layer().file("f", os.urandom(3_000_000)).close()
    assert unpack(COMPRESSORS[compressor](data), out).diff_id == Digest.of(data)


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_a_bomb_is_stopped(out: Path, compressor: str) -> None:
    bomb = COMPRESSORS[compressor](plain(tar.REGULAR, b"zeros", size=16 << 20) + bytes(16 << 20) + tar.END)
    with pytest.raises(ResourceExhausted, match="more than"):
        unpack(bomb, out, limit=4 << 20)


@pytest.mark.parametrize("compressor", [name for name in COMPRESSORS if name != "none"])
def test_damage_in_a_compressed_stream_is_an_invalid_argument(out: Path, compressor: str) -> None:
    packed = COMPRESSORS[compressor](Layer().file("f", os.urandom(300_000)).close())
    middle = len(packed) // 2
    with pytest.raises(InvalidArgument):
        unpack(packed[:middle], out)
    if compressor != "zstd":  # which need not carry a checksum: there the digest tells
        with pytest.raises(InvalidArgument):
            unpack(packed[:middle] + b"?" * 50 + packed[middle + 50 :], out)


def test_a_mapped_blob_and_a_stream_give_the_same(scratch: Path) -> None:
    data = Layer().file("f", b"x" * 100_000).directory("d").file("d/g", b"").close()
    (scratch / "blob").write_bytes(data)
    (scratch / "out").mkdir()
    root = os.open(scratch / "out", os.O_RDONLY)
    with open(scratch / "blob", "rb") as blob:
        with closing(source.of_blob(blob.fileno(), len(data))) as mapped:
            applied = layers.apply(mapped, root)
    os.close(root)
    assert applied.diff_id == Digest.of(data)
    unpack(data, scratch / "other")
    assert listing(scratch / "out") == listing(scratch / "other")


def stacked(scratch: Path, stack: list[bytes]) -> tuple[Listing, Listing]:
    """The same layers as overlayfs shows them, and unpacked one over the other into one plain tree."""
    uppers: list[Path] = []
    for number, data in enumerate(stack):
        unpack(data, scratch / f"o{number}", Form.OVERLAY, uppers)
        unpack(data, scratch / "plain", Form.PLAIN)
        uppers.insert(0, scratch / f"o{number}")
    (scratch / "at").mkdir(exist_ok=True)
    return merged(uppers, scratch / "at"), listing(scratch / "plain")


BASE = Layer().file("a", b"1").file("d/x", b"x").file("d/y", b"y").file("d/sub/z", b"z").symlink("l", "d").close()
UPPERS: dict[str, tuple[bytes, list[str]]] = {
    "a file goes": (Layer().file(".wh.a", b"").close(), ["d", "d/sub", "d/sub/z", "d/x", "d/y", "l"]),
    "a directory goes": (Layer().file(".wh.d", b"").close(), ["a", "l"]),
    "a link goes": (Layer().file(".wh.l", b"").close(), ["a", "d", "d/sub", "d/sub/z", "d/x", "d/y"]),
    "opaque": (Layer().file("d/.wh..wh..opq", b"").file("d/n", b"").close(), ["a", "d", "d/n", "l"]),
    "opaque comes last": (Layer().file("d/n", b"").file("d/.wh..wh..opq", b"").close(), ["a", "d", "d/n", "l"]),
    "whiteout, then the directory": (
        Layer().file(".wh.d", b"").directory("d").file("d/n", b"").close(),
        ["a", "d", "d/n", "l"],
    ),
    "the directory, then whiteout": (
        Layer().directory("d").file("d/n", b"").file(".wh.d", b"").close(),
        ["a", "d", "d/n", "l"],
    ),
    "whiteout, then an implied directory": (
        Layer().file(".wh.d", b"").file("d/n", b"").close(),
        ["a", "d", "d/n", "l"],
    ),
    "whiteout, then a file": (Layer().file(".wh.d", b"").file("d", b"").close(), ["a", "d", "l"]),
    "whiteout and file of one name": (
        Layer().file("a", b"2").file(".wh.a", b"").close(),
        ["a", "d", "d/sub", "d/sub/z", "d/x", "d/y", "l"],
    ),
    "deep whiteout": (Layer().file("d/sub/.wh.z", b"").close(), ["a", "d", "d/sub", "d/x", "d/y", "l"]),
    "whiteout of what is not there": (
        Layer().file(".wh.nothing", b"").close(),
        ["a", "d", "d/sub", "d/sub/z", "d/x", "d/y", "l"],
    ),
    "aufs's bookkeeping": (
        Layer().file(".wh..wh.plnk/x", b"").file(".wh..wh.aufs", b"").close(),
        ["a", "d", "d/sub", "d/sub/z", "d/x", "d/y", "l"],
    ),
}


@pytest.mark.parametrize("case", UPPERS)
def test_deletions_mean_the_same_to_overlayfs_and_in_a_plain_tree(scratch: Path, case: str) -> None:
    upper, left = UPPERS[case]
    shown, held = stacked(scratch, [BASE, upper])
    assert sorted(held) == left
    assert shown == held


def test_overlay_orders_from_a_layer_are_only_data(scratch: Path) -> None:
    order = tar.Entry(b"d", tar.DIRECTORY, mode=0o755, xattrs={b"trusted.overlay.opaque": b"y"})
    redirect = tar.Entry(b"r", tar.DIRECTORY, mode=0o755, xattrs={b"trusted.overlay.redirect": b"/d"})
    shown, held = stacked(scratch, [BASE, tar.encode(order) + tar.encode(redirect) + tar.END])
    assert sorted(shown) == ["a", "d", "d/sub", "d/sub/z", "d/x", "d/y", "l", "r"]
    assert sorted(held) == sorted(shown)


names = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a"])
steps = st.lists(st.tuples(st.sampled_from(["file", "directory", "whiteout", "opaque"]), names), max_size=5)


def made(plan: list[tuple[str, str]]) -> bytes:
    """A layer that says no path twice, as the specification wants it."""
    layer = Layer()
    said: set[str] = set()
    for kind, name in plan:
        directory, _, base = name.rpartition("/")
        prefix = directory + "/" if directory else ""
        path = {"whiteout": f"{prefix}.wh.{base}", "opaque": f"{name}/.wh..wh..opq"}.get(kind, name)
        if name in said or any(other.startswith(f"{name}/") or name.startswith(f"{other}/") for other in said):
            continue
        said.add(name)
        if kind == "directory":
            layer.directory(path)
        else:
            layer.file(path, b"" if kind != "file" else name.encode())
    return layer.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=2, max_size=4))
def test_any_stack_of_layers_looks_the_same_in_both_forms(
    tmp_path_factory: pytest.TempPathFactory, plans: list[list[tuple[str, str]]]
) -> None:
    shown, held = stacked(tmp_path_factory.mktemp("stack"), [made(plan) for plan in plans])
    assert shown == held


def test_unpacking_agrees_with_tarfile(scratch: Path) -> None:
    layer = Layer().directory("d", 0o711).file("d/f", b"x" * 5000, 0o640).symlink("l", "d/f").hardlink("h", "d/f")
    archive = layer.close()
    unpack(archive, scratch / "ours")
    with tarfile.open(fileobj=io.BytesIO(archive)) as oracle:
        oracle.extractall(scratch / "theirs", filter="fully_trusted")
    assert listing(scratch / "ours") == listing(scratch / "theirs")

"""The tar reader of `corten @untar` under mutated archives with sanitizers; `./dev fuzz SECONDS` runs it for longer."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from corten.wire import tar

HERE = Path(__file__).parent
SECONDS = os.environ.get("CORTEN_FUZZ_SECONDS", "2")
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GNU_SOURCE", "-std=gnu11"]


def archive() -> bytes:
    """Every kind of member, with every kind of extension header."""
    attributes = {b"user.note": b"hello", b"security.capability": bytes(range(20))}
    members = [
        tar.Entry(b"dir", tar.DIRECTORY, mode=0o1750, uid=1, gid=2, mtime_ns=-7 * 10**9),
        tar.Entry(b"dir/" + b"n" * 300, tar.REGULAR, size=3, uid=1 << 31, xattrs=attributes),
        tar.Entry(b"hard", tar.HARDLINK, link=b"dir/file" + b"x" * 200),
        tar.Entry("ümlaut".encode(), tar.SYMLINK, link=b"/dir/../file"),
        tar.Entry(b"null", tar.CHARACTER, device=(1, 3)),
        tar.Entry(b".wh.gone", tar.REGULAR),
    ]
    long = b"long/name" * 30 + b"\0"
    gnu = tar.encode(tar.Entry(b"././@LongLink", tar.REGULAR, size=len(long)))
    gnu = relabelled(gnu, b"L") + long + bytes(tar.padding(len(long)))
    return gnu + b"".join(tar.encode(one) + (b"abc" + bytes(509) if one.size else b"") for one in members) + tar.END


def relabelled(header: bytes, kind: bytes) -> bytes:
    """The same header block with another type."""
    block = header[:148] + b" " * 8 + kind + header[157:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def test_no_archive_makes_the_reader_read_beyond_it(scratch: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler with sanitizers")
    target = scratch / "untar_archive"
    command = [compiler, *SANITIZERS, "-DSTANDALONE", "-o", str(target), str(HERE / "untar_archive.c")]
    subprocess.run(command, check=True)
    (scratch / "archive.tar").write_bytes(archive())
    run = [str(target), SECONDS, str(scratch / "archive.tar")]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    runs, _, refused, *_ = result.stdout.split()
    assert int(runs) > 2000
    assert 0 < int(refused) < int(runs)

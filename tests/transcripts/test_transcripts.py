"""What the REST edge says, byte for byte: each `*.request` is sent as it stands, and answered as its `*.answer`.

`./dev accept` writes the answers anew; the review reads the difference. Line ends are kept as CRLF in the files'
meaning, not in their bytes. The engine behind is the small one of the streaming tests: one container, `c`.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.api.docker import routes
from tests.unit.api.serving import api
from tests.unit.api.test_streams import Small, WaitResult

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.request"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = Small()
    engine.exit.set_result(WaitResult(137, "it was too big"))
    with api(tmp_path_factory.mktemp("transcripts"), routes(), engine) as path:
        yield path


def exchange(path: str, request: bytes) -> bytes:
    """Send the bytes, end the sending side, and take everything that comes back."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(65536):
            answer += data
    return answer


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_answer_is_as_it_was(server: str, case: Path) -> None:
    head, _, body = case.read_bytes().partition(b"\n\n")
    wire = head.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n\r\n" + body.rstrip(b"\n")
    answer = exchange(server, wire).replace(b"\r\n", b"\n")
    golden = case.with_suffix(".answer")
    if os.environ.get("CORTEN_ACCEPT"):
        golden.write_bytes(answer)
    assert answer == golden.read_bytes()

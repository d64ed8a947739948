"""Where the bytes of export, save and build go."""

import os
import stat
import threading
from pathlib import Path

from corten.cli.archives import write_output


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    place = tmp_path / "out.tar"
    place.write_bytes(b"before")
    write_output([b"one", b"two"], str(place))
    assert place.read_bytes() == b"onetwo"
    assert os.listdir(tmp_path) == ["out.tar"]


def test_what_is_no_file_is_written_into_and_stays_what_it_is(tmp_path: Path) -> None:
    """`--output type=tar,dest=/dev/null` once left a file in the place of the device."""
    place = tmp_path / "pipe"
    os.mkfifo(place)
    writing = threading.Thread(target=write_output, args=([b"one", b"two"], str(place)))
    writing.start()
    assert place.read_bytes() == b"onetwo"
    writing.join()
    assert stat.S_ISFIFO(place.stat().st_mode)

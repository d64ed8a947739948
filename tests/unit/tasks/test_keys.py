import pytest

from corten.model.errors import InvalidArgument
from corten.tasks import keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-a,b,ctrl-_", b"\x01b\x1f"),
        ("ctrl-@", b"\x00"),
        ("ctrl-[,ctrl-\\,ctrl-],ctrl-^", b"\x1b\x1c\x1d\x1e"),
    ],
)
def test_sequences_read_as_docker_reads_them(text: str, expected: bytes) -> None:
    assert keys.parse(text) == expected


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-pp", "ctrl-P", "ab", "a,,b", "ctrl-1", "é", "xctrl-p"])
def test_what_is_no_key_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match="Unknown character"):
        keys.parse(text)


def test_a_sequence_has_an_end() -> None:
    with pytest.raises(InvalidArgument, match="longer than 16"):
        keys.parse(",".join("abcdefghijklmnopq"))

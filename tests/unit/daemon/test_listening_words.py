"""Wrong words on the command lines of what serves: a sentence, never a traceback."""

import pytest

from corten.daemon import command, registry
from corten.model.errors import InvalidArgument


@pytest.mark.parametrize("number", ["x", "", "-1", "1", "²"])
def test_a_ready_descriptor_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(InvalidArgument, match="--ready-fd"):
        command.parse(["--ready-fd", number])


def test_a_port_beyond_the_last_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="cannot listen on"):
        command._listen("tcp://127.0.0.1:70000")
    with pytest.raises(InvalidArgument, match="cannot listen on"):
        registry._listen("127.0.0.1:70000")
    with pytest.raises(InvalidArgument, match="--ready-fd"):
        registry.parse(["--listen=127.0.0.1:0", "--root=/r", "--ready-fd=x"])

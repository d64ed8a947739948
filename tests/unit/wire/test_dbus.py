"""D-Bus messages: bytes as another implementation writes them, and nothing but an error from damaged ones."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.model.errors import DataLoss
from corten.wire import dbus

# As libdbus writes the call of Hello to the bus; the example of the specification's chapter on the message format.
HELLO = bytes.fromhex(
    "6c01000100000000010000006d000000"
    "01016f00150000002f6f72672f667265656465736b746f702f44427573000000"
    "02017300140000006f72672e667265656465736b746f702e4442757300000000"
    "030173000500000048656c6c6f000000"
    "06017300140000006f72672e667265656465736b746f702e4442757300000000"
)
BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"


def test_a_call_has_the_bytes_that_libdbus_writes() -> None:
    assert dbus.call(1, BUS, BUS_PATH, BUS, "Hello") == HELLO


def test_the_size_is_known_from_the_first_bytes() -> None:
    assert dbus.size(HELLO[: dbus.HEADER]) == len(HELLO)
    with pytest.raises(DataLoss):
        dbus.size(b"HTTP/1.1 400 Bad")


@pytest.mark.parametrize(
    ("signature", "values"),
    [
        ("s", ("wörter",)),
        ("ybnqiuxtd", (255, True, -2, 3, -4, 5, -6, 1 << 63, 1.5)),
        ("as", ([],)),
        ("a(sv)", ([("PIDs", ("au", [1, 2])), ("Slice", ("s", "a.slice")), ("CPUs", ("ay", [3]))],)),
        ("ssa(sv)a(sa(sv))", ("x.scope", "replace", [("Delegate", ("b", True))], [])),
        ("a{sv}", ([("a", ("v", ("u", 7)))],)),
        ("yat", (1, [2])),
    ],
)
def test_values_read_back_as_they_were_written(signature: str, values: tuple[Any, ...]) -> None:
    message = dbus.parse(dbus.call(7, "", "/x", "org.x", "Do", signature, values))
    assert (message.serial, message.path, message.member) == (7, "/x", "Do")
    assert message.body == values


def test_an_error_answers_a_call_by_its_number() -> None:
    message = dbus.parse(dbus.reply(2, 1, "s", ("no such unit",), error="org.x.NoSuchUnit"))
    assert (message.kind, message.reply_serial, message.error) == (dbus.ERROR, 1, "org.x.NoSuchUnit")


@given(st.data())
def test_a_damaged_message_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(dbus.call(7, "", "/x", "org.x", "Do", "sa(sv)", ("x", [("a", ("as", ["b"]))])))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=5)):
        raw[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    with contextlib.suppress(DataLoss):
        dbus.parse(bytes(raw[:cut]))

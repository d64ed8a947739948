"""The one thread that calls back."""

import os
import threading

import pytest

from corten.tasks.watcher import Watcher


def test_a_readable_descriptor_calls_back_until_it_is_removed() -> None:
    watcher, (reading, writing), called = Watcher(), os.pipe(), threading.Event()

    def read() -> None:
        os.read(reading, 1)
        called.set()

    watcher.add(reading, read)
    for _ in range(2):
        os.write(writing, b"x")
        assert called.wait(5)
        called.clear()
    watcher.remove(reading)
    os.write(writing, b"x")
    watcher.close()
    assert not called.is_set()
    os.close(reading)
    os.close(writing)


def test_calls_come_in_order_and_all_come_before_the_end() -> None:
    watcher, seen = Watcher(), []
    for number in range(100):
        watcher.call(lambda number=number: seen.append(number))  # type: ignore[misc]
    watcher.close()
    assert seen == [*range(100)]


def test_a_callback_that_raises_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    watcher, called = Watcher(), threading.Event()
    watcher.call(lambda: 1 / 0)
    watcher.call(called.set)
    assert called.wait(5)
    watcher.close()
    assert "ZeroDivisionError" in capsys.readouterr().err

"""How far a pull, push, load or build has come: the engine's stream of JSON messages on the terminal.

On a terminal each layer keeps its line and is drawn over; on a pipe each change of status is one plain line.
"""

from __future__ import annotations

import sys
from posix import isatty

from corten.cli.human import size
from corten.cli.table import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from corten.client.connection import Response

__all__ = ["show_board", "show_progress", "show_raw"]


def show_progress(answer: Response, *, to_stderr: bool = False, quiet: bool = False) -> list[Any]:
    """Show the messages of `answer` until it ends and return the `aux` objects among them.

    Fault with the engine's words when a message says that it failed.
    """
    out = sys.stderr if to_stderr else sys.stdout
    screen = _Screen(out, drawn=isatty(2 if to_stderr else 1))
    found: list[Any] = []
    for message in answer.lines():
        _check(message)
        if "aux" in message:
            found.append(message["aux"])
        elif not quiet:
            screen.show(message)
    out.flush()
    return found


def show_board(answer: Response, *, to_stderr: bool = False) -> list[Any]:
    """Draw a build on the terminal (`cli.image.board`) until it ends; its `aux` objects, or its Fault."""
    from os import environ

    from corten.cli.image.board import Drawing
    from corten.cli.terminal import window_size

    out = sys.stderr if to_stderr else sys.stdout
    found: list[Any] = []
    said: list[str] = []
    with Drawing(out, lambda: window_size(out.fileno()), coloured="NO_COLOR" not in environ) as drawing:
        for message in answer.lines():
            _check(message)
            if "build" in message:
                drawing.message(message["build"])
            elif "aux" in message:
                found.append(message["aux"])
            elif "stream" in message:
                said.append(message["stream"])
            elif not message.get("progressDetail"):
                drawing.write(_plain(message))
    out.write("".join(said))
    return found


def show_raw(answer: Response) -> list[Any]:
    """A build's status messages on stderr as they come, a JSON object a line, as buildx prints them."""
    from corten.wire.codec import dumps

    found: list[Any] = []
    for message in answer.lines():
        _check(message)
        if "aux" in message:
            found.append(message["aux"])
        elif "build" in message:
            sys.stderr.write(dumps(message["build"]) + "\n")
    return found


def _check(message: Any) -> None:
    """Fault with the engine's words when the message says that it failed."""
    if failure := message.get("errorDetail") or message.get("error"):
        raise Fault(str(failure.get("message", "") if isinstance(failure, dict) else failure))


class _Screen:
    """The lines on the terminal, by the id of what they tell about."""

    def __init__(self, out: TextIO, *, drawn: bool) -> None:
        self._out = out
        self._drawn = drawn
        self._lines: dict[str, int] = {}

    def show(self, message: Any) -> None:
        if "stream" in message:
            self._out.write(message["stream"])
            return
        detail = message.get("progressDetail") or {}
        if not self._drawn:
            if not detail:
                self._out.write(_plain(message) + "\n")
            return
        self._draw(message, detail)

    def _draw(self, message: Any, detail: Any) -> None:
        name = message.get("id", "")
        bar = _bar(detail) if detail else message.get("progress", "")
        text = _plain(message) + (f" {bar}" if bar else "")
        if not name or "progressDetail" not in message:
            self._out.write(text + "\r\n")
            self._lines = {}
            return
        if name not in self._lines:
            self._lines[name] = len(self._lines)
            self._out.write("\n")
        up = len(self._lines) - self._lines[name]
        self._out.write(f"\x1b[{up}A\x1b[2K\r{text}\x1b[{up}B\r")
        self._out.flush()


def _plain(message: Any) -> str:
    prefix = f"{message['id']}: " if message.get("id") else ""
    origin = f"(from {message['from']}) " if message.get("from") else ""
    return f"{prefix}{origin}{message.get('status', '')}"


def _bar(detail: Any) -> str:
    current, total = detail.get("current", 0), detail.get("total", 0)
    if not total:
        return size(current) if current else ""
    done = min(50, int(current / total * 50))
    bar = "=" * done + ">" + " " * (50 - done) if done < 50 else "=" * 50 + ">"
    return f"[{bar}] {size(current):>8}/{size(total)}"

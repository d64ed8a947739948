"""A build on a terminal: every step with its time, the last lines of those that run, drawn over as it goes.

    [+] Building 3.2s (4/6)
     => CACHED [make 1/2] WORKDIR /w                        0.0s
     => [make 2/2] RUN make                                 2.9s
     => => cc -c main.c

`Board` is what is known and how it looks, without a terminal; `Drawing` puts it there ten times a second.
"""

from __future__ import annotations

import threading
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

__all__ = ["Board", "Drawing"]

_OUTPUT_LINES = 6
_KEPT_LINES = 40
_BLUE, _RED, _DIM, _PLAIN = "\x1b[34m", "\x1b[31m", "\x1b[2m", "\x1b[0m"
_PERIOD = 0.1


class _Step:
    """One vertex; times are the client's own, since an engine's clock may be another's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began: float | None = None
        self.ended: float | None = None
        self.cached = False
        self.error = ""
        self.output: list[str] = []
        self.rest = ""

    def add(self, text: str) -> None:
        """More of its output: whole lines, without what would move the cursor."""
        *lines, self.rest = (self.rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.output = [*self.output, *map(_printable, lines)][-_KEPT_LINES:]


class Board:
    """What a build's messages have told so far."""

    def __init__(self, now: Callable[[], float] = monotonic, *, coloured: bool = True) -> None:
        self._now = now
        self._coloured = coloured
        self._begun = now()
        self._steps: dict[str, _Step] = {}
        self._started: list[_Step] = []

    def update(self, status: dict[str, Any]) -> None:
        """Take one SolveStatus."""
        for vertex in status.get("vertexes") or ():
            step = self._steps.setdefault(vertex["digest"], _Step(vertex.get("name") or vertex["digest"][:19]))
            if vertex.get("started") and step.began is None:
                step.began = self._now()
                self._started.append(step)
            if vertex.get("completed") and step.ended is None:
                step.ended = self._now()
            step.cached = bool(vertex.get("cached"))
            step.error = vertex.get("error") or ""
        for log in status.get("logs") or ():
            from base64 import b64decode

            self._steps[log["vertex"]].add(b64decode(log["data"]).decode(errors="replace"))

    def lines(self, width: int, height: int) -> list[str]:
        """How it looks now, at most `height` lines: what is done longest ago gives way first."""
        done = sum(step.ended is not None for step in self._steps.values())
        end = " FINISHED" if self._steps and done == len(self._steps) else ""
        head = f"[+] Building {self._now() - self._begun:.1f}s ({done}/{len(self._steps)}){end}"
        blocks = [(step, self._block(step, width)) for step in self._started]
        over = 1 + sum(len(block) for _, block in blocks) - height
        shown = []
        for step, block in blocks:
            if over > 0 and step.ended is not None and not step.error:
                over -= len(block)
            else:
                shown += block
        return [head[:width], *shown][: max(height, 1)]

    def failure(self) -> list[str]:
        """The end of what a failed step printed."""
        failed = next((step for step in self._started if step.error), None)
        if failed is None or not (failed.output or failed.rest):
            return []
        rest = [_printable(failed.rest)] if failed.rest else []
        return ["------", f" > {failed.name}:", *failed.output, *rest, "------"]

    def _block(self, step: _Step, width: int) -> list[str]:
        assert step.began is not None
        seconds = (step.ended if step.ended is not None else self._now()) - step.began
        word = "ERROR " if step.error else "CACHED " if step.cached else ""
        colour = _RED if step.error else _BLUE if step.ended is not None else ""
        lines = [self._in(colour, _aligned(f" => {word}{_printable(step.name)}", f"{seconds:.1f}s", width))]
        if step.ended is None:
            lines += [self._in(_DIM, f" => => {line}"[:width]) for line in step.output[-_OUTPUT_LINES:]]
        return lines

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if colour and self._coloured else text


class Drawing:
    """A board on a terminal: `message` takes news, a thread moves the clocks; leaving the block draws it once more."""

    def __init__(self, out: TextIO, size: Callable[[], tuple[int, int]], *, coloured: bool = True) -> None:
        self.board = Board(coloured=coloured)
        self._out = out
        self._size = size
        self._drawn = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Drawing:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()
        with self._lock:
            self._draw(1 << 20)
            self._out.writelines(f"{line}\n" for line in self.board.failure())
            self._out.flush()

    def message(self, status: dict[str, Any]) -> None:
        with self._lock:
            self.board.update(status)

    def write(self, text: str) -> None:
        """Other words, above the board."""
        with self._lock:
            self._clear()
            self._out.write(text if text.endswith("\n") else f"{text}\n")

    def _tick(self) -> None:
        while not self._over.wait(_PERIOD):
            with self._lock:
                self._draw(0)

    def _draw(self, height: int) -> None:
        rows, columns = self._size()
        lines = self.board.lines(columns or 80, height or max((rows or 24) - 2, 2))
        self._clear()
        self._out.write("".join(f"{line}\n" for line in lines))
        self._out.flush()
        self._drawn = len(lines)

    def _clear(self) -> None:
        if self._drawn:
            self._out.write(f"\x1b[{self._drawn}A\x1b[J")
        self._drawn = 0


def _aligned(left: str, right: str, width: int) -> str:
    room = max(width - len(right) - 1, 1)
    return f"{left[:room].ljust(room)} {right}"[:width]


def _printable(text: str) -> str:
    """`text` on one line, without the sequences that would move the cursor or change the terminal."""
    from re import sub

    plain = sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", "", text)
    return "".join(letter if letter.isprintable() else " " for letter in plain.expandtabs(4))

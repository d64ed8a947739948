"""How a build looks on a terminal, at any moment and in any size."""

import base64
from typing import Any

from corten.cli.image.board import Board


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def vertex(number: int, **about: Any) -> dict[str, Any]:
    return {"digest": f"sha256:{number}", "name": f"[a {number}/3] RUN {number}", **about}


def log(number: int, text: str) -> dict[str, Any]:
    return {"vertex": f"sha256:{number}", "stream": 1, "data": base64.b64encode(text.encode()).decode()}


def board() -> tuple[Board, Clock]:
    clock = Clock()
    made = Board(clock, coloured=False)
    made.update({"vertexes": [vertex(1), vertex(2), vertex(3)]})
    return made, clock


def test_steps_show_their_state_and_time() -> None:
    made, clock = board()
    made.update({"vertexes": [vertex(1, started="t", cached=True, completed="t")]})
    made.update({"vertexes": [vertex(2, started="t")]})
    clock.time = 2.5
    assert made.lines(40, 20) == [
        "[+] Building 2.5s (1/3)",
        " => CACHED [a 1/3] RUN 1            0.0s",
        " => [a 2/3] RUN 2                   2.5s",
    ]


def test_a_running_step_shows_the_end_of_its_output_and_a_finished_one_none() -> None:
    made, _ = board()
    made.update({"vertexes": [vertex(1, started="t")]})
    made.update({"logs": [log(1, "".join(f"line {n}\n" for n in range(9)) + "unfini")]})
    assert made.lines(40, 20)[2:] == [f" => => line {n}" for n in range(3, 9)]
    made.update({"vertexes": [vertex(1, started="t", completed="t")]})
    assert len(made.lines(40, 20)) == 2


def test_a_small_terminal_keeps_what_goes_on() -> None:
    made, _ = board()
    made.update({"vertexes": [vertex(n, started="t", completed="t") for n in (1, 2)]})
    made.update({"vertexes": [vertex(3, started="t")], "logs": []})
    assert [line[4:11] for line in made.lines(40, 2)[1:]] == ["[a 3/3]"]
    assert all(len(line) <= 12 for line in made.lines(12, 2))


def test_output_cannot_move_the_cursor() -> None:
    made, _ = board()
    made.update({"vertexes": [vertex(1, started="t")]})
    made.update({"logs": [log(1, "\x1b[2Jred\x1b[31m \x1b]0;title\x07\x08x\rnext\x1bc\n")]})
    shown = "".join(made.lines(60, 20))
    assert shown.isprintable()
    assert "red  x" in shown
    assert "next" in shown


def test_a_failure_shows_what_the_step_printed() -> None:
    made, _ = board()
    made.update({"vertexes": [vertex(1, started="t")], "logs": [log(1, "why\nlast words")]})
    made.update({"vertexes": [vertex(1, started="t", completed="t", error="code 1")]})
    assert made.lines(40, 20)[1].startswith(" => ERROR [a 1/3] RUN 1")
    assert made.failure() == ["------", " > [a 1/3] RUN 1:", "why", "last words", "------"]

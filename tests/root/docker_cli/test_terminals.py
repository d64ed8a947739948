"""docker's command line on a terminal: size, keys, detaching and coming back."""

import signal
import time

from tests.root.engines import IMAGE, Engine, eventually

CTRL_C, CTRL_P, CTRL_Q = "\x03", "\x10", "\x11"


def test_a_terminal_has_its_size_follows_a_resize_and_takes_keys(engine: Engine) -> None:
    with engine.terminal("run", "-it", "--rm", "--name", "tty", IMAGE, "sh", rows=30, columns=100) as terminal:

        def size() -> str:
            return engine.docker("exec", "tty", "stty", "-F", "/proc/1/fd/0", "size", check=False).stdout.strip()

        terminal.see(r"[#$] ")
        eventually(lambda: size() == "30 100")  # docker 20.10 tells it only after the start
        terminal.resize(40, 120)
        eventually(lambda: size() == "40 120")
        terminal.type("sleep 1000\n")
        time.sleep(0.5)
        terminal.type(CTRL_C)
        terminal.type("echo still $((40+2))\n")
        terminal.see("still 42")
        terminal.type("exit 3\n")
        assert terminal.ended() == 3


def test_ctrl_p_ctrl_q_leaves_and_attach_comes_back(engine: Engine) -> None:
    with engine.terminal("run", "-it", "--name", "left", IMAGE, "sh") as terminal:
        terminal.see(r"[#$] ")
        terminal.type("x=kept; echo re''ady\n")
        terminal.see("ready")
        terminal.type(CTRL_P + CTRL_Q)
        assert terminal.ended() == 0
    assert engine.out("inspect", "--format", "{{.State.Running}}", "left") == "true"
    with engine.terminal("attach", "left") as terminal:
        time.sleep(0.3)
        terminal.type("echo is $x\n")
        terminal.see("is kept")
        terminal.type("exit 5\n")
        assert terminal.ended() == 5


def test_detach_keys_can_be_chosen(engine: Engine) -> None:
    with engine.terminal("run", "-it", "--name", "keys", "--detach-keys", "ctrl-a,d", IMAGE, "sh") as terminal:
        terminal.see(r"[#$] ")
        terminal.type("\x01d")
        assert terminal.ended() == 0
    assert engine.out("inspect", "--format", "{{.State.Running}}", "keys") == "true"


def test_ctrl_c_ends_a_foreground_container(engine: Engine) -> None:
    run = engine.popen(
        "run",
        "--rm",
        "--name",
        "fore",
        IMAGE,
        "sh",
        "-c",
        "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done",
    )
    assert run.stdout
    assert run.stdout.readline() == "up\n"
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=20)
    assert (out, run.returncode) == ("caught\n", 9)


def test_ctrl_c_on_a_terminal_ends_what_runs_there(engine: Engine) -> None:
    with engine.terminal("run", "-it", "--rm", "--init", IMAGE, "sh", "-c", "echo up; sleep 1000") as terminal:
        terminal.see("up")
        terminal.type(CTRL_C)
        assert terminal.ended() == 130


def test_a_container_that_exits_at_once_shows_its_last_words_on_a_terminal(engine: Engine) -> None:
    for number in range(3):
        with engine.terminal("run", "-it", "--rm", IMAGE, "sh", "-c", f"echo word {number}; exit 9") as terminal:
            assert terminal.ended() == 9
            assert f"word {number}" in terminal.seen

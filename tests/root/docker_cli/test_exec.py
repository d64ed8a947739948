"""`docker exec`."""

from tests.root.engines import IMAGE, OTHER_HOST, Engine, eventually


def test_exec_runs_beside_with_its_own_code_user_environment_and_directory(engine: Engine) -> None:
    name = engine.running()
    assert engine.out("exec", name, "echo", "beside") == "beside"
    assert engine.docker("exec", name, "sh", "-c", "exit 6", check=False).returncode == 6
    assert engine.out("exec", "-u", "postgres", name, "id", "-un") == "postgres"
    assert engine.out("exec", "-e", "A=b", "-w", "/tmp", name, "sh", "-c", "echo $A $PWD") == "b /tmp"
    assert engine.out("exec", "-i", name, "cat", stdin="typed") == "typed"
    done = engine.docker("exec", name, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_exec_that_cannot_begin_is_126_or_127(engine: Engine) -> None:
    name = engine.running()
    missing = engine.docker("exec", name, "no-such-program", check=False)
    assert missing.returncode == (126 if OTHER_HOST else 127)  # Docker 20.10 said 126, 28 says 127
    assert "executable file not found" in missing.stdout
    assert engine.docker("exec", name, "/etc/passwd", check=False).returncode == 126
    stopped = engine.out("create", IMAGE, "true")
    refused = engine.docker("exec", stopped, "true", check=False)
    assert refused.returncode == 1
    assert "is not running" in refused.stderr


def test_exec_has_a_terminal_of_its_own(engine: Engine) -> None:
    name = engine.running()
    with engine.terminal("exec", "-it", name, "sh", rows=33, columns=99) as terminal:
        terminal.see(r"[#$] ")
        terminal.type("stty size; tty\n")
        terminal.see(r"33 99")
        terminal.see(r"/dev/pts/\d")
        terminal.type("exit 8\n")
        assert terminal.ended() == 8


def test_a_detached_exec_goes_on(engine: Engine) -> None:
    name = engine.running()
    engine.docker("exec", "-d", name, "sh", "-c", "echo was here > /tmp/mark")
    eventually(lambda: engine.docker("exec", name, "cat", "/tmp/mark", check=False).stdout == "was here\n")

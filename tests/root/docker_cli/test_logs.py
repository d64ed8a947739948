"""`docker logs`, `docker attach` and `docker start -a`."""

import re
import time

from tests.root.engines import IMAGE, Engine, eventually


def test_logs_are_kept_split_and_followed(engine: Engine) -> None:
    wait = "until [ -e /go ]; do sleep 0.05; done"
    name = engine.running(command=("sh", "-c", f"echo one; echo two >&2; {wait}; echo three; sleep 1000"))
    eventually(lambda: "two" in engine.docker("logs", name).stderr)
    done = engine.docker("logs", name)
    assert (done.stdout, done.stderr) == ("one\n", "two\n")
    follow = engine.popen("logs", "-f", name)
    assert follow.stdout
    assert follow.stdout.readline() == "one\n"
    engine.docker("exec", name, "touch", "/go")
    assert follow.stdout.readline() == "three\n"
    assert follow.poll() is None
    engine.docker("kill", name)
    assert follow.wait(10) == 0
    follow.communicate()


def test_logs_know_tail_timestamps_since_and_until(engine: Engine) -> None:
    name = engine.running(command=("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.3; done"))
    engine.docker("wait", name)
    assert engine.out("logs", "--tail", "2", name) == "2\n3"
    assert engine.out("logs", "--tail", "0", name) == ""
    stamped = engine.out("logs", "-t", name).splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \d", line) for line in stamped)
    second = stamped[1].split()[0]
    assert engine.out("logs", "--since", second, name) == "2\n3"
    assert engine.out("logs", "--until", second, name) in ("1", "1\n2")


def test_two_clients_see_the_same_output(engine: Engine) -> None:
    name = engine.out("run", "-d", "-i", IMAGE, "cat")
    first, second = engine.popen("attach", name), engine.popen("attach", name)
    time.sleep(0.7)
    assert first.stdin
    first.stdin.write("hello\n")
    first.stdin.flush()
    for client in (first, second):
        assert client.stdout
        assert client.stdout.readline() == "hello\n"
    engine.docker("kill", name)
    for client in (first, second):
        client.communicate(timeout=10)
        assert client.returncode == 137


def test_start_attaches_and_gives_the_code_back(engine: Engine) -> None:
    engine.docker("create", "--name", "later", "-i", IMAGE, "sh", "-c", "cat; exit 4")
    done = engine.docker("start", "-a", "-i", "later", stdin="input\n", check=False)
    assert (done.stdout, done.returncode) == ("input\n", 4)


def test_logs_follow_from_a_moment_on(engine: Engine) -> None:
    name = engine.running(command=("sh", "-c", "echo old; sleep 0.5; echo new; sleep 0.5; echo last"))
    eventually(lambda: "new" in engine.out("logs", name))
    moment = engine.out("logs", "-t", name).splitlines()[1].split()[0]
    assert engine.out("logs", "-f", "--since", moment, name) == "new\nlast"

"""A container's standard streams through docker's command line, without a terminal."""

from tests.root.engines import IMAGE, Engine


def test_stdout_and_stderr_stay_apart(engine: Engine) -> None:
    done = engine.docker("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_a_container_that_exits_at_once_loses_no_output(engine: Engine) -> None:
    for number in range(10):
        assert engine.out("run", "--rm", IMAGE, "echo", f"hello {number}") == f"hello {number}"


def test_a_megabyte_of_output_arrives_whole(engine: Engine) -> None:
    done = engine.docker(
        "run",
        "--rm",
        IMAGE,
        "sh",
        "-c",
        "i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789012345678; i=$((i+1)); done",
    )
    assert len(done.stdout) == 20_000 * 50


def test_half_closed_stdin_ends_the_input_and_not_the_output(engine: Engine) -> None:
    assert (
        engine.out("run", "--rm", "-i", IMAGE, "sh", "-c", "cat; sleep 0.3; echo done", stdin="some\ninput\n")
        == "some\ninput\ndone"
    )
    assert engine.out("run", "--rm", "-i", IMAGE, "wc", "-c", stdin="x" * 1_000_000) == "1000000"


def test_without_i_there_is_no_input(engine: Engine) -> None:
    assert engine.out("run", "--rm", IMAGE, "cat", stdin="unseen") == ""


def test_half_closed_stdin_of_an_exec_ends_its_input_only(engine: Engine) -> None:
    name = engine.running()
    assert engine.out("exec", "-i", name, "wc", "-c", stdin="x" * 1_000_000) == "1000000"
    assert engine.out("exec", "-i", name, "sh", "-c", "cat; sleep 0.2; echo done", stdin="in\n") == "in\ndone"

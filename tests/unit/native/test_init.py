"""`corten @init` starts one program, forwards signals, reaps what is orphaned to it, and exits as the program did."""

import signal
import subprocess

import pytest

from corten.kernel import program


def start(*command: str, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    argv = [program.path(), "@init", *options, "--", *command]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, error = process.communicate(timeout=20)
    return process.returncode, out + error


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_it_exits_as_the_program_did(script: str, code: int) -> None:
    assert ended(start("sh", "-c", script))[0] == code


def test_a_missing_program_is_127_and_one_that_cannot_run_126() -> None:
    assert ended(start("no-such-program"))[0] == 127
    code, text = ended(start("/etc/passwd"))
    assert (code, "Permission denied" in text) == (126, True)


def test_a_signal_is_forwarded() -> None:
    process = start("sh", "-c", "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (7, "caught\n")


def test_with_a_group_the_programs_children_get_it_too() -> None:
    process = start("sh", "-c", "sleep 30 & echo ready; wait", options=("-g",))
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143, "the output ends at once, so the sleeper that held it has ended too"


def test_an_orphan_is_reaped() -> None:
    """As the first process of a pid namespace: an orphan that has ended is no zombie while the program still runs."""
    script = "(sh -c 'sleep 0.1; exit 0' &) ; sleep 0.6; grep -l '^State:.Z' /proc/[0-9]*/status || echo no zombies"
    argv = ["unshare", "-pf", "--mount-proc", program.path(), "@init", "--", "sh", "-c", script]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    if "unshare:" in result.stderr:
        pytest.skip("needs root")
    assert result.stdout == "no zombies\n"


def test_signals_are_not_blocked_in_the_program() -> None:
    code, text = ended(start("grep", "SigBlk", "/proc/self/status"))
    assert (code, text.split()[-1]) == (0, "0" * 16)

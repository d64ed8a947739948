"""What the shell gets back from `docker run`."""

import pytest

from tests.root.engines import IMAGE, Engine


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["/etc/passwd"], 126),
        (["no-such-program"], 127),
        (["/no/such/path"], 127),
    ],
)
def test_run_ends_with_the_containers_code(engine: Engine, words: list[str], code: int) -> None:
    assert engine.docker("run", "--rm", IMAGE, *words, check=False).returncode == code


def test_run_ends_with_128_and_the_signal_of_a_killed_process(engine: Engine) -> None:
    for name, code in (("KILL", 137), ("TERM", 143)):
        done = engine.docker("run", "--rm", "--init", IMAGE, "sh", "-c", f"kill -{name} $$", check=False)
        assert done.returncode == code


def test_what_the_engine_refuses_is_125(engine: Engine) -> None:
    for flags in (["--memory", "1"], ["-v", "relative/path:/x:bad"], ["--network", "no-such-network"]):
        done = engine.docker("run", "--rm", *flags, IMAGE, "true", check=False)
        assert done.returncode == 125, (flags, done.stderr)
        assert "Error response from daemon" in done.stderr


def test_an_image_nobody_has_is_told(engine: Engine) -> None:
    done = engine.docker("run", "--rm", "localhost:1/nowhere:1", "true", check=False)
    assert done.returncode == 125
    assert "Unable to find image 'localhost:1/nowhere:1' locally" in done.stderr

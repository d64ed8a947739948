"""The command's front end finds the interpreter in its sibling script, in each form that installers write it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from corten.kernel import program

SAYS = '#!/bin/sh\necho "$2" "$3" "$4"\n'


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """An environment whose name has a space, with a stand-in for Python that says what it was called with."""
    binaries = tmp_path / "an environment/bin"
    binaries.mkdir(parents=True)
    shutil.copy(program.path(), binaries / "corten")
    (binaries / "python").write_text(SAYS)
    (binaries / "python").chmod(0o755)
    return binaries


@pytest.mark.parametrize(
    "first",
    [
        "#!{python}\n",
        "#! {python}\r\n",
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n",
    ],
    ids=["plain", "blank", "double-quoted", "single-quoted"],
)
def test_the_interpreter_is_found(installed: Path, first: str) -> None:
    (installed / "corten-python").write_text(first.format(python=installed / "python"))
    said = subprocess.run([installed / "corten", "ps"], capture_output=True, text=True, check=True).stdout
    assert said == f"{installed}/corten-python corten ps\n"


def test_a_long_path_without_a_space_is_not_quoted(tmp_path: Path) -> None:
    binaries = tmp_path / ("long" * 40) / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(program.path(), binaries / "corten")
    (binaries / "python").write_text(SAYS)
    (binaries / "python").chmod(0o755)
    (binaries / "corten-python").write_text(f"#!/bin/sh\n'''exec' {binaries}/python \"$0\" \"$@\"\n' '''\n")
    said = subprocess.run([binaries / "corten", "ps"], capture_output=True, text=True, check=True).stdout
    assert said.endswith("corten-python corten ps\n")


@pytest.mark.parametrize("first", ["", "print()\n", "#!python\n", "#!/bin/sh\nexec python\n", "'''exec' '/no end\n"])
def test_a_script_that_names_none_is_told_with_a_remedy(installed: Path, first: str) -> None:
    (installed / "corten-python").write_text(first)
    done = subprocess.run([installed / "corten", "ps"], capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert "does not name a Python interpreter; reinstall" in done.stderr

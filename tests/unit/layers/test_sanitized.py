"""`corten @untar`, built with address and undefined-behaviour sanitizers, meets the hostile layers: they are silent."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from corten.layers import Form
from corten.model.errors import CortenError
from corten.wire import tar
from tests.unit.layers.test_apply import BASE, HOSTILE, UPPERS, unpack

pytestmark = pytest.mark.root
NATIVE = Path(__file__).parents[3] / "native"
FLAGS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GNU_SOURCE", "-std=gnu11"]
MAIN = "int untar_main(int, char **);\nint main(int argc, char **argv) { return untar_main(argc - 1, argv + 1); }\n"


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler with sanitizers")
    place = tmp_path_factory.mktemp("untar")
    (place / "main.c").write_text(MAIN)
    sources = [str(place / "main.c"), *map(str, NATIVE.glob("untar*.c"))]
    subprocess.run([compiler, *FLAGS, "-o", str(place / "untar"), *sources], check=True)
    return place / "untar"


def test_the_sanitizers_say_nothing(
    sanitized: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORTEN_PROGRAM", str(sanitized))
    for form in (Form.PLAIN, Form.OVERLAY):
        for number, (data, _) in enumerate(HOSTILE.values()):
            with suppress(CortenError):
                unpack(data + tar.END, scratch / f"{form.value}{number}", form)
        for number, (upper, _) in enumerate(UPPERS.values()):
            lower = scratch / f"lower-{form.value}{number}"
            unpack(BASE, lower, form)
            unpack(upper, lower if form is Form.PLAIN else scratch / f"upper-{number}", form, [lower])
    assert capfd.readouterr().err == ""

"""Wheel hook: compile native/ into one static program and ship it as `bin/corten` and `bin/corten-runtime`.

It needs only a C compiler: `cc`, else `zig cc` from the `ziglang` package of PyPI. Beside the program goes
`corten-python`, a script whose first line pip rewrites to the environment's interpreter: that is how the static
program learns which Python to start.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).parent
FLAGS = ["-std=gnu11", "-O2", "-static", "-s", "-Wall", "-Wextra", "-D_GNU_SOURCE"]


def own_compiler() -> list[str]:
    return (os.environ.get("CC") or shutil.which("cc") or "").split()


def compiler() -> list[str]:
    if found := own_compiler():
        return found
    if importlib.util.find_spec("ziglang"):
        machine = sysconfig.get_platform().split("-")[-1]
        return [sys.executable, "-m", "ziglang", "cc", f"--target={machine}-linux-musl", "-Wno-sign-compare"]
    raise SystemExit("corten: no C compiler; install gcc or clang, or: pip install ziglang")


def compile_native(out: Path, flags: list[str] | None = None) -> Path:
    """Compile every file of native/ into the one program `out`, skipping the work when it is newer than its sources."""
    sources = sorted((HERE / "native").glob("*.c"))
    inputs = [*sources, *(HERE / "native").glob("*.h"), Path(__file__)]
    if out.exists() and out.stat().st_mtime > max(path.stat().st_mtime for path in inputs):
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*compiler(), *(flags or FLAGS), "-o", str(out), *map(str, sources)], check=True)
    return out


def write_launcher(out: Path, *, source: Path | None) -> Path:
    """Write `corten-python`; `source` is the checkout of an editable install, which has no copy in site-packages."""
    template = (HERE / "native" / "corten-python.in").read_text()
    out.write_text(template.replace("@SOURCE@", str(source) if source else ""))
    out.chmod(0o755)
    return out


class NativeHook(BuildHookInterface):  # type: ignore[type-arg]
    def dependencies(self) -> list[str]:
        """What a build in isolation needs besides hatchling."""
        return [] if own_compiler() else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        build = HERE / "native" / "build"
        # A newer compiler's new warning must not keep a user from installing; in a checkout it is an error.
        strict = ["-Werror"] if version == "editable" else []
        program = compile_native(build / "corten", [*FLAGS, *strict])
        launcher = write_launcher(build / "corten-python", source=HERE / "src" if version == "editable" else None)
        build_data["pure_python"] = False
        # The program is static, so it runs on every Linux of its machine, whatever the libc.
        machine = sysconfig.get_platform().split("-")[-1]
        build_data["tag"] = f"py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}"
        build_data["shared_scripts"] = {
            str(program): "corten",
            str(shutil.copy2(program, build / "corten-runtime")): "corten-runtime",
            str(launcher): "corten-python",
        }

"""Where fetched suites live: the user's cache, a directory a suite, made whole or not at all."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["run", "suite"]


def run(*command: str | Path, cwd: Path | None = None, **env: str) -> str:
    """Run a preparing step and return its output; a failure shows what it printed."""
    environment = {**os.environ, **env}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def suite(name: str, prepare: Callable[[Path], None]) -> Path:
    """The directory of the suite `name`, prepared once; half-made ones are thrown away."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corten" / "suites"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / name
    if not place.exists():
        making = Path(tempfile.mkdtemp(dir=cache))
        try:
            prepare(making)
            if not place.exists():  # another run may have been faster
                making.rename(place)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
    return place

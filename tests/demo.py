"""`./dev demo`: the main job on real input, each command shown as a user would type it.

A base image is made from the distribution's signed packages, a service runs in a container with a published port and
a volume, is fetched from, looked into, and outlives the death of its engine. As root the whole of it happens in mount
and network namespaces of its own, so that nothing of this machine is changed.

    python -m tests.demo
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CORTEN = str(Path(sys.executable).with_name("corten"))
PAGE = "<h1>served from a volume</h1>\n"
PORT = 18080
INSIDE = "CORTEN_DEMO_INSIDE"


class Failed(Exception):
    """A step did not do what the demo promises."""


def say(text: str) -> None:
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def corten(*arguments: str) -> str:
    """Run one command, shown with what it prints; a failure ends the demo."""
    print(f"$ corten {shlex.join(arguments)}", flush=True)
    done = subprocess.run([CORTEN, *arguments], capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    print(told, end="", flush=True)
    if done.returncode:
        raise Failed(f"corten {arguments[0]} ended with status {done.returncode}")
    return told


def expect(text: str, wanted: str) -> None:
    if wanted not in text:
        raise Failed(f"expected {wanted!r}, got {text!r}")


def fetch() -> str:
    """What the published port serves, waiting a moment for a service that is just starting."""
    url = f"http://127.0.0.1:{PORT}/"
    print(f"$ curl {url}", flush=True)
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                body = str(answer.read().decode())
            print(body, end="", flush=True)
            return body
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def engine_pid(root: Path) -> int:
    """The engine's process, as its lock file says."""
    return int((root / "data/engine.lock").read_text().split()[0])


def make_image(archive: Path) -> None:
    say("A base image from the distribution's own packages: signatures and hashes verified, no hub, no root")
    corten(
        *("image", "bootstrap", "debian:bookworm", "--variant", "base"),
        *("--packages", "python3-minimal,libpython3-stdlib,dash", "-t", "python:demo", "-o", str(archive)),
    )


def run_service(archive: Path, volume: Path) -> None:
    say("It is an ordinary archive: load it (the engine starts by itself)")
    corten("load", "-i", str(archive))
    corten("images")
    say("Run a service in it, with a published port and a volume")
    (volume / "index.html").write_text(PAGE)
    flags = ["-d", "--name", "web", "-p", f"127.0.0.1:{PORT}:8000", "-v", f"{volume}:/www:ro", "-v", "data:/data"]
    corten("run", *flags, "python:demo", "python3", "-u", "-m", "http.server", "--directory", "/www")
    expect(fetch(), "served from a volume")


def look_inside() -> None:
    say("Look inside")
    expect(corten("exec", "web", "python3", "-c", "import os; print(sorted(os.listdir('/')))"), "'www'")
    corten("ps")
    expect(corten("logs", "web"), "GET / HTTP/1.1")
    corten("stats", "--no-stream")
    corten("top", "web")


def kill_the_engine(root: Path) -> None:
    say("Kill the engine: the container goes on, and the next command starts another that adopts it")
    pid = engine_pid(root)
    print(f"$ kill -9 {pid}", flush=True)
    os.kill(pid, signal.SIGKILL)
    expect(fetch(), "served from a volume")
    expect(corten("ps"), "web")
    expect(corten("logs", "--tail", "1", "web"), "GET")


def explain() -> None:
    say("Every step can be read: the story of one run")
    expect(corten("run", "--rm", "--explain", "python:demo", "sh", "-c", "echo hello from a container"), "pivot")


def clean_up() -> None:
    say("Leave nothing behind")
    corten("rm", "-f", "web")
    corten("system", "reset", "--force")


def tell(scratch: Path) -> None:
    """The demo itself; `scratch` holds the engine's root, the archive and the volume."""
    root = scratch / "root"
    os.environ["CORTEN_ROOT"] = str(root)
    volume = scratch / "www"
    volume.mkdir()
    try:
        run_service(scratch / "python.tar", volume)
        look_inside()
        kill_the_engine(root)
        explain()
        clean_up()
    except BaseException:
        subprocess.run([CORTEN, "system", "reset", "--force"], capture_output=True, check=False)
        raise


def main() -> int:
    if scratch := os.environ.get(INSIDE):
        tell(Path(scratch))
        return 0
    begin = time.monotonic()
    scratch = tempfile.mkdtemp(prefix="corten-demo-")
    try:
        make_image(Path(scratch) / "python.tar")
        # Forwarding, the bridge and the firewall table are the engine's: in namespaces of its own they end with it.
        inside = 'ip link set lo up 2>/dev/null || busybox ip link set lo up; exec "$@"'
        apart = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", inside, "demo"]
        command = [*(apart if os.geteuid() == 0 else []), sys.executable, "-m", "tests.demo"]
        done = subprocess.run(command, env={**os.environ, INSIDE: scratch}, check=False)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if done.returncode == 0:
        say(f"Done in {time.monotonic() - begin:.0f} seconds")
    return done.returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        print(f"\nthe demo failed: {failed}", file=sys.stderr)
        sys.exit(1)

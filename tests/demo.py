"""`./dev demo`: the main job on real input, each command shown as a user would type it.

A base image is made from the distribution's signed packages, a service runs in a container with a published port and
a volume, is fetched from, looked into, and outlives the death of its engine. A two-stage Dockerfile becomes an image of
one static program, which travels through a registry and comes back to run. As root the whole of it happens in mount
and network namespaces of its own, so that nothing of this machine is changed.

    python -m tests.demo
"""

import json
import os
import shlex
import shutil
import signal
import socket
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


def fetch(port: int = PORT) -> str:
    """What the published port serves, waiting a moment for a service that is just starting."""
    url = f"http://127.0.0.1:{port}/"
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


def size_of(reference: str) -> int:
    """An image's bytes, as its inspection says."""
    said = subprocess.run([CORTEN, "image", "inspect", reference], capture_output=True, text=True, check=True).stdout
    return int(json.loads(said)[0]["Size"])


def engine_pid(root: Path) -> int:
    """The engine's process, as its lock file says."""
    return int((root / "data/engine.lock").read_text().split()[0])


def make_images(scratch: Path) -> None:
    say("Base images from the distribution's own packages: signatures and hashes verified, no hub, no root")
    for name, packages in (("python", "python3-minimal,libpython3-stdlib,dash"), ("gcc", "gcc,libc6-dev,dash")):
        archive = str(scratch / f"{name}.tar")
        corten("image", "bootstrap", "debian:bookworm", "--packages", packages, "-t", f"{name}:demo", "-o", archive)


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


DOCKERFILE = """\
FROM gcc:demo AS build
WORKDIR /src
COPY server.c .
RUN gcc -O2 -static -s -o /server server.c

FROM scratch
COPY --from=build /server /server
EXPOSE 8000
ENTRYPOINT ["/server"]
"""
SERVER = r"""
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(8000)};
    const char *answer = "HTTP/1.0 200 OK\r\n\r\nhello from scratch\n";
    char request[4096];
    int on = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&here, sizeof here) || listen(server, 8))
        return 1;
    for (;;) {
        int client = accept(server, 0, 0);
        if (read(client, request, sizeof request) >= 0 && write(client, answer, strlen(answer)) < 0)
            return 1;
        close(client);
    }
}
"""


def build(scratch: Path) -> None:
    say("Build an image in two stages: compile in the first, only the program in the second")
    context = scratch / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "server.c").write_text(SERVER)
    print(DOCKERFILE, flush=True)
    corten("load", "-i", str(scratch / "gcc.tar"))
    corten("build", "-t", "server:1", str(context))
    expect(corten("build", "-t", "server:1", str(context)), "Using cache")
    big, small = size_of("gcc:demo"), size_of("server:1")
    print(f"the image that compiles: {big / 1e6:.0f} MB; the image that runs: {small / 1e6:.1f} MB", flush=True)


def ship(scratch: Path) -> None:
    say("Ship it: serve a registry, push, remove, pull, run, fetch")
    address = "127.0.0.1:5005"
    command = [CORTEN, "registry", "serve", "--listen", address, "--root", str(scratch / "registry")]
    print(f"$ {shlex.join(['corten', *command[1:]])} &", flush=True)
    with (scratch / "registry.log").open("w") as log:
        registry = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for_port(5005)
        name = f"{address}/server:1"
        corten("tag", "server:1", name)
        corten("push", name)
        corten("rmi", "-f", "server:1", name)
        corten("builder", "prune", "--all", "--force")
        corten("run", "-d", "--name", "shipped", "-p", f"127.0.0.1:{PORT + 1}:8000", name)
        expect(fetch(PORT + 1), "hello from scratch")
    finally:
        registry.terminate()
        registry.wait()


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def explain() -> None:
    say("Every step can be read: the story of one run")
    expect(corten("run", "--rm", "--explain", "python:demo", "sh", "-c", "echo hello from a container"), "pivot")


def clean_up() -> None:
    say("Leave nothing behind")
    corten("rm", "-f", "web", "shipped")
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
        build(scratch)
        ship(scratch)
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
        make_images(Path(scratch))
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

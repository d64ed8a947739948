"""python -m tests.conformance.vm [--memory MIB] [--seconds N] [--results DIR] -- COMMAND…: run it on cgroup v2 alone.

A machine whose host has the v1 hierarchies cannot show a unified one, so a Debian kernel boots in QEMU (software
emulation) on a copy-on-write view of this machine's own file tree: 9p below, a tmpfs above. Nothing that the command
does reaches the disk, but for what it writes to /run/results. `./dev test … --vm` runs itself in there.

The kernel comes from the package archive by `apt-get download`; qemu-system-x86, kmod and busybox-static must be
installed. Boot and power-off take about 10 s.

The first process is a shell script in an initial file system made of busybox and the modules that the view needs.
"""

import argparse
import gzip
import io
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.conformance.cache import run, suite

__all__ = ["Outcome", "boot", "missing"]

REPOSITORY = Path(__file__).resolve().parents[2]
ENDED = re.compile(r"^the script ended with (\d+)\.\n", re.MULTILINE)
MODULES = """
virtio_pci 9pnet_virtio 9p overlay veth bridge nf_tables nft_chain_nat nft_compat nf_conntrack br_netfilter
nft_ct nft_nat nft_masq nft_redir nft_fib_ipv4 nft_fib_ipv6 nft_fib_inet nft_reject_inet nft_numgen nft_hash nft_limit
xt_MASQUERADE xt_conntrack xt_addrtype loop tun dummy
"""
APPLETS = "sh mount cat cp echo insmod mkdir ip chroot"
# The root is moved, not entered by chroot alone: a process that joins a mount namespace starts at the namespace's root.
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read module; do insmod /modules/$module; done < /modules/order
mkdir -p /lower /results /upper /new
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose root /lower
mount -t tmpfs -o size=70% tmpfs /upper && mkdir /upper/files /upper/work /upper/tree /upper/tree-work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /new
for tree in proc sys dev; do mount --move /$tree /new/$tree; done
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
for place in run tmp dev/shm; do mkdir -p /new/$place; mount -t tmpfs tmpfs /new/$place; done
mkdir -p /new/dev/pts /new/dev/mqueue /new/run/results
mount -t devpts devpts /new/dev/pts; mount -t mqueue mqueue /new/dev/mqueue
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 results /new/run/results
here=$(cat /here)
if [ ! -d "/new$here" ]; then
    mkdir -p "/new$here"
    mount -t overlay -o "lowerdir=/lower$here,upperdir=/upper/tree,workdir=/upper/tree-work" overlay "/new$here"
fi
mkdir /new/sys/fs/cgroup/init; echo $$ > /new/sys/fs/cgroup/init/cgroup.procs
for one in cpuset cpu io memory hugetlb pids; do echo +$one > /new/sys/fs/cgroup/cgroup.subtree_control; done
ip link set lo up
cp /job.sh /start.sh /new/run/
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /new && mount --move . / && exec chroot . /bin/sh /run/start.sh "$here"
"""
START = """cd "$1"
/bin/bash /run/job.sh
echo "the script ended with $?."
busybox poweroff -f
"""
# An emulated machine is 5 to 20 times slower.
PATIENCE = 15


def missing() -> str:
    """Why no machine can be booted here, or ""."""
    programs = [name for name in ("qemu-system-x86_64", "modprobe", "depmod", "busybox") if not shutil.which(name)]
    return f"not installed: {', '.join(programs)}" if programs else ""


def prepare(place: Path) -> None:
    """Fetch the archive's newest kernel of the running release, and pack the initial file system."""
    shown = run("apt-cache", "depends", "linux-image-amd64")
    package = next(line.split()[1] for line in shown.splitlines() if "Depends: linux-image-" in line)
    run("apt-get", "download", "-q", "-oAPT::Sandbox::User=root", package, cwd=place)
    run("dpkg-deb", "-x", next(place.glob("*.deb")), place / "kernel")
    version = next((place / "kernel/lib/modules").iterdir()).name
    run("depmod", "-b", place / "kernel", version)
    shutil.copy(place / f"kernel/boot/vmlinuz-{version}", place / "vmlinuz")
    base = place / "base"
    for name in ("bin", "proc", "sys", "dev", "modules"):
        (base / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", base / "bin/busybox")
    for applet in APPLETS.split():
        (base / "bin" / applet).symlink_to("busybox")
    order = list(dict.fromkeys(modules(place / "kernel", version)))
    for module in order:
        shutil.copy(module, base / "modules")
    (base / "modules/order").write_text("".join(f"{module.name}\n" for module in order))
    (base / "init").write_text(INIT)
    (base / "init").chmod(0o755)
    (place / "base.gz").write_bytes(packed(base))
    shutil.rmtree(place / "kernel")


def modules(root: Path, version: str) -> Iterator[Path]:
    """The files of MODULES, each behind those it needs."""
    for name in MODULES.split():
        command = ["modprobe", "-d", str(root), "-S", version, "--show-depends", name]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        yield from (Path(line.split()[1]) for line in shown.splitlines() if line.startswith("insmod"))


def packed(directory: Path) -> bytes:
    """A directory as a compressed cpio archive, which the kernel unpacks; several may stand one behind the other."""
    names = "\n".join(str(path.relative_to(directory)) for path in sorted(directory.rglob("*")))
    command = ["busybox", "cpio", "-o", "-H", "newc"]
    done = subprocess.run(command, cwd=directory, input=names.encode(), capture_output=True, check=True)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        file.write(done.stdout)
    return buffer.getvalue()


class Outcome(NamedTuple):
    """What the machine printed, and how the script ended; None when the machine went down before."""

    text: str
    status: int | None


def boot(
    script: str, *, memory: int = 3072, seconds: int = 600, results: Path | None = None, echo: bool = False
) -> Outcome:
    """Run the shell script in the repository's directory on a unified hierarchy.

    `results` is a directory that the script sees, writable, at /run/results; with `echo` what the machine prints is
    passed on while it runs. Raises TimeoutError after `seconds`.
    """
    kernel = suite("vm-cgroup2-3", prepare)
    with tempfile.TemporaryDirectory(prefix="corten-vm-", dir="/dev/shm") as scratch:
        job = Path(scratch, "job")
        job.mkdir()
        (job / "job.sh").write_text(script)
        (job / "start.sh").write_text(START)
        (job / "here").write_text(f"{REPOSITORY}\n")
        initial = Path(scratch, "initial.gz")
        initial.write_bytes((kernel / "base.gz").read_bytes() + packed(job))
        taken = results or Path(scratch, "results")
        taken.mkdir(exist_ok=True)
        machine = subprocess.Popen(
            command(kernel / "vmlinuz", initial, taken, memory), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        clock = threading.Timer(seconds, machine.kill)
        clock.start()
        try:
            text = _printed(machine, echo=echo)
        finally:
            clock.cancel()
            machine.kill()
            machine.wait()
    if machine.returncode < 0 and not ENDED.search(text):
        raise TimeoutError(f"the machine ran for more than {seconds} s; it had printed:\n{text[-2000:]}")
    ended = ENDED.search(text)
    return Outcome(ENDED.sub("", text), int(ended[1]) if ended else None)


def command(kernel: Path, initial: Path, results: Path, memory: int) -> list[str]:
    """The emulator's command line: two processors, a serial line, no network; the whole file tree read-only."""
    argv = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2", "-m", str(memory)]
    argv += ["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot", "-net", "none"]
    # What protects real processors from speculation costs an emulated one much, and protects nothing.
    options = "console=ttyS0 quiet loglevel=1 panic=1 cgroup_no_v1=all mitigations=off nokaslr"
    argv += ["-kernel", str(kernel), "-initrd", str(initial), "-append", options]
    root = "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap"
    back = f"local,path={results},mount_tag=results,security_model=none,multidevs=remap"
    return [*argv, "-virtfs", root, "-virtfs", back]


def _printed(machine: subprocess.Popen[bytes], *, echo: bool) -> str:
    """Everything from the serial line, up to the machine's end."""
    assert machine.stdout
    lines = []
    for raw in machine.stdout:
        lines.append(raw.decode(errors="replace").replace("\r\n", "\n"))
        if echo:
            sys.stdout.write(lines[-1])
            sys.stdout.flush()
    return "".join(lines)


def script_of(words: Sequence[str]) -> str:
    """A script that runs one command of the repository, with the patience that the machine needs."""
    patient = f"-o timeout={120 * PATIENCE} -p no:cacheprovider"
    settings = {"PYTEST_ADDOPTS": patient, "CORTEN_SUITE_SECONDS": str(60 * PATIENCE), "PYTHONDONTWRITEBYTECODE": "1"}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
    return f"{exports}{shlex.join(words)}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=int, default=4096, help="MiB")
    parser.add_argument("--seconds", type=int, default=4 * 3600)
    parser.add_argument("--results", type=Path, help="a directory that the command sees at /run/results")
    parser.add_argument("words", nargs="+", metavar="COMMAND", help="what to run in the repository's directory")
    options = parser.parse_args()
    if reason := missing():
        print(f"cannot boot a machine: {reason}", file=sys.stderr)
        return 2
    script = script_of(options.words)
    done = boot(script, memory=options.memory, seconds=options.seconds, results=options.results, echo=True)
    return 1 if done.status is None else done.status


if __name__ == "__main__":
    sys.exit(main())

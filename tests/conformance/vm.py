"""python -m tests.conformance.vm SCRIPT [--memory MIB] [--seconds N]: run a script where cgroups are v2 alone.

A machine whose host has the v1 hierarchies cannot show a unified one, so a Debian kernel boots in QEMU (software
emulation) on a copy-on-write view of this machine's own file tree: 9p below, a tmpfs above. Nothing that the script
does reaches the disk. The kernel comes from the package archive by `apt-get download`; qemu-system-x86, kmod and
busybox-static must be installed. Boot, a short script and power-off take about 10 s.

The first process is a shell script in an initial file system made of busybox and the modules that the view needs.
"""

import argparse
import gzip
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.cache import run, suite

__all__ = ["boot", "missing"]

MODULES = """
virtio_pci 9pnet_virtio 9p overlay veth bridge nf_tables nft_chain_nat nft_compat nf_conntrack br_netfilter
xt_MASQUERADE xt_conntrack xt_addrtype loop tun dummy
"""
APPLETS = "sh mount umount cat cp echo insmod poweroff mkdir cut ip chroot"
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read module; do insmod /modules/$module; done < /modules/order
mkdir -p /lower /upper /new
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose root /lower
mount -t tmpfs -o size=70% tmpfs /upper && mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /new
for tree in proc sys dev; do mount --move /$tree /new/$tree; done
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
for place in run tmp dev/shm; do mkdir -p /new/$place; mount -t tmpfs tmpfs /new/$place; done
mkdir -p /new/dev/pts /new/dev/mqueue
mount -t devpts devpts /new/dev/pts; mount -t mqueue mqueue /new/dev/mqueue
mkdir /new/sys/fs/cgroup/init; echo $$ > /new/sys/fs/cgroup/init/cgroup.procs
for one in cpuset cpu io memory hugetlb pids; do echo +$one > /new/sys/fs/cgroup/cgroup.subtree_control; done
ip link set lo up
cp /job.sh /new/run/job.sh
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
chroot /new /bin/bash /run/job.sh
echo "the script ended with $?."
poweroff -f
"""


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


def boot(script: str, *, memory: int = 3072, seconds: int = 600) -> str:
    """Run the shell script on a unified hierarchy; what the machine printed."""
    kernel = suite("vm-cgroup2-1", prepare)
    with tempfile.TemporaryDirectory(prefix="corten-vm-", dir="/dev/shm") as scratch:
        job = Path(scratch, "job")
        job.mkdir()
        (job / "job.sh").write_text(script)
        initial = Path(scratch, "initial.gz")
        initial.write_bytes((kernel / "base.gz").read_bytes() + packed(job))
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(memory), "-smp", "2"]
        command += ["-nographic", "-no-reboot", "-net", "none", "-kernel", str(kernel / "vmlinuz")]
        command += ["-initrd", str(initial), "-append", "console=ttyS0 quiet panic=1 cgroup_no_v1=all"]
        view = "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap"
        done = subprocess.run(
            [*command, "-virtfs", view],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=seconds,
            check=True,
        )
    return done.stdout.decode(errors="replace").replace("\r\n", "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", type=Path)
    parser.add_argument("--memory", type=int, default=3072)
    parser.add_argument("--seconds", type=int, default=600)
    options = parser.parse_args()
    sys.stdout.write(boot(options.script.read_text(), memory=options.memory, seconds=options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())

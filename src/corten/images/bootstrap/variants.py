"""What each variant of a base image holds.

    busybox   the static busybox and its applets as hard links: a shell in about 2 MB
    static    for static programs: accounts, CA certificates, time zones; no shell, no libc
    base      for dynamic programs: `static` with libc, libgcc and OpenSSL, and whatever `--packages` asks for
    minbase   a small Debian to install into: every required package and apt, set up by dpkg (see `minbase`)

But for minbase, a package's maintainer scripts do not run. The few of their effects that programs rely on (the
certificate bundle, the account files, `awk`) are made here, from the packages' own data.
"""

from corten.images.bootstrap.index import Package
from corten.images.bootstrap.rootfs import Rootfs
from corten.model.errors import DataLoss, InvalidArgument

__all__ = ["ACCOUNTS", "VARIANTS", "finish", "finish_busybox", "keep", "minbase", "wanted"]

ACCOUNTS = ["base-files", "base-passwd", "netbase", "tzdata", "ca-certificates"]
VARIANTS = {"static": ACCOUNTS, "base": [*ACCOUNTS, "libc6", "libgcc-s1", "libssl3"]}
RENAMED = {"libssl3": "libssl3t64"}
# Packages that exist only to be configured by scripts, or that the two variants do without.
SCRIPT_ONLY = frozenset({"debconf", "debconf-2.0", "cdebconf", "dpkg", "perl-base", "install-info", "openssl"})
DROPPED = tuple(f"usr/share/{kind}/" for kind in ("man", "info", "locale", "lintian", "bug", "menu"))
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def wanted(variant: str, extra: tuple[str, ...], known: frozenset[str]) -> list[str]:
    """The packages that a variant begins with, under the names that this release knows them by."""
    if variant not in VARIANTS:
        raise InvalidArgument(
            f"bootstrap: unknown variant {variant!r}", hint=f"one of: {', '.join((*VARIANTS, 'minbase'))}"
        )
    return [RENAMED[name] if name not in known and name in RENAMED else name for name in (*VARIANTS[variant], *extra)]


def minbase(known: dict[str, Package]) -> list[str]:
    """The packages of debootstrap's minbase: those of priority required, those marked essential, and apt.

    Of `usrmerge | usr-is-merged` the second is taken where something asks for one: the tree is merged from the start.
    """
    names = {one.name for one in known.values() if one.priority == "required" or one.essential} | {"apt"}
    merged = any("usr-is-merged" in options for name in names & known.keys() for options in known[name].depends)
    return sorted(names | ({"usr-is-merged"} if merged else set()))


def keep(path: str) -> bool:
    """Manuals and translations stay out; copyright files stay in, since the licences ask for them."""
    if path.startswith("usr/share/doc/"):
        return path.endswith("/copyright")
    return not path.startswith(DROPPED)


def finish(root: Rootfs) -> None:
    """Make what the maintainer scripts of these packages would have made."""
    for account in ("passwd", "group"):
        if master := root.read(f"usr/share/base-passwd/{account}.master"):
            root.add_file(f"etc/{account}", master)
    if users := root.read("etc/passwd"):
        names = [line.split(b":")[0] for line in users.splitlines()]
        root.add_file("etc/shadow", b"".join(name + b":*:19000:0:99999:7:::\n" for name in names), 0o640, gid=42)
    certificates = [root.read(path) for path in root.below("usr/share/ca-certificates") if path.endswith(".crt")]
    if certificates:
        root.add_file("etc/ssl/certs/ca-certificates.crt", b"".join(one.rstrip(b"\n") + b"\n" for one in certificates))
    if root.read("usr/share/zoneinfo/Etc/UTC"):
        root.add_link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
        root.add_file("etc/timezone", b"Etc/UTC\n")
    root.add_link("etc/os-release", "../usr/lib/os-release")
    root.add_link("var/run", "/run")
    root.add_link("var/lock", "/run/lock")
    root.add_file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
    root.add_directory("tmp", 0o1777)
    root.add_directory("var/tmp", 0o1777)
    if root.read("usr/bin/mawk") and "usr/bin/awk" not in root.entries:
        root.add_link("usr/bin/awk", "mawk")


def finish_busybox(root: Rootfs) -> None:
    """Lay the one program out as every applet it names, with the directories and accounts a shell expects."""
    program = root.read("bin/busybox") or root.read("usr/bin/busybox")
    root.entries.clear()
    root.bodies.clear()
    root.add_file("bin/busybox", program, 0o755)
    for name in applets(program):
        root.add_link(f"bin/{name}", "bin/busybox", hard=True)
    for path in ("dev", "etc", "home", "proc", "run", "sbin", "sys", "usr/bin", "usr/sbin", "var/log", "var/www"):
        root.add_directory(path)
    root.add_directory("root", 0o700)
    root.add_directory("tmp", 0o1777)
    root.add_directory("var/tmp", 0o1777)
    root.add_link("usr/bin/env", "bin/busybox", hard=True)
    root.add_file("etc/passwd", BUSYBOX_PASSWD)
    root.add_file("etc/group", BUSYBOX_GROUP)
    root.add_file("etc/shadow", b"root:*:19000:0:99999:7:::\n", 0o640)
    root.add_file("etc/nsswitch.conf", b"hosts: files dns\n")


BUSYBOX_PASSWD = (
    b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\n"
    b"www-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
)
BUSYBOX_GROUP = (
    b"root:x:0:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\nwheel:x:10:root\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n"
)


def applets(program: bytes) -> list[str]:
    """The applet names inside a busybox binary: a sorted table of C strings that begins with ``[`` and ``[[``.

    Reading the table instead of running the program lets an image for another architecture be made.
    """
    begin = program.find(b"\0[\0[[\0")
    end = program.find(b"\0\0", begin + 1)
    if begin < 0 or end < 0:
        raise DataLoss("lay out busybox: its table of applets was not found")
    names = [name.decode("ascii", "replace") for name in program[begin + 1 : end].split(b"\0")]
    return [name for name in names if name and name != "busybox" and "/" not in name]

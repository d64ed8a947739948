"""The command ``corten-runtime``: runc's and crun's verbs, flags, JSON, exit codes and error words.

`main` reads the global flags, finds the verb in one table, and imports only that verb's module: what `run` does not
need, it does not pay for. Errors go to stderr in runc's form, and to the file of ``--log`` where callers read them.
"""

from __future__ import annotations

import os
import sys

from corten.model.errors import CortenError, InvalidArgument
from corten.runtime.command.flags import Flag, Given, parse, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.runtime.plancache.front import Handed

__all__ = ["GLOBAL", "VERBS", "Context", "main"]

GLOBAL = (
    Flag("--root", "DIR", "where the state of containers is kept (default: /run/corten-runtime)"),
    Flag("--debug", "", "say more"),
    Flag("--log", "FILE", "append errors and warnings to FILE"),
    Flag("--log-format", "FORMAT", "text or json"),
    Flag("--log-level", "LEVEL", "error, warning or debug"),
    Flag("--systemd-cgroup", "", "let systemd make the cgroups"),
    Flag("--cgroup-manager", "NAME", "cgroupfs, systemd or disabled"),
    Flag("--rootless", "WHEN", "true, false or auto: go without cgroups where they cannot be made"),
    Flag("--criu", "FILE", "where criu is"),
    Flag("--version -v -V", "", "print the version"),
    Flag("--help -h", "", "print this help"),
)

_LAUNCH = (
    Flag("--bundle -b", "DIR", "the bundle's directory (default: the current one)"),
    Flag("--config -f", "FILE", "another file than config.json in the bundle"),
    Flag("--console-socket", "PATH", "a Unix socket that takes the terminal's master"),
    Flag("--pidfd-socket", "PATH", "a Unix socket that takes the process's pidfd"),
    Flag("--pid-file", "FILE", "write the process id to FILE"),
    Flag("--no-pivot", "", "move the root instead of pivot_root, for a host on a ramdisk"),
    Flag("--no-new-keyring", "", "keep the caller's session keyring"),
    Flag("--preserve-fds", "N", "keep N descriptors from 3 on"),
    Flag("--no-subreaper", "", "accepted: the container is a child of ours in any case"),
)
_EXEC = (
    Flag("--console-socket", "PATH", "a Unix socket that takes the terminal's master"),
    Flag("--pidfd-socket", "PATH", "a Unix socket that takes the process's pidfd"),
    Flag("--cwd", "DIR", "the working directory"),
    Flag("--env -e", "NAME=VALUE", "set an environment variable", many=True),
    Flag("--tty -t", "", "allocate a terminal"),
    Flag("--user -u", "UID[:GID]", "the user"),
    Flag("--additional-gids -g", "GID", "one more group", many=True),
    Flag("--process -p", "FILE", "read the process from FILE"),
    Flag("--detach -d", "", "do not wait for it"),
    Flag("--pid-file", "FILE", "write the process id to FILE"),
    Flag("--process-label", "LABEL", "its SELinux label"),
    Flag("--apparmor", "PROFILE", "its AppArmor profile"),
    Flag("--no-new-privs", "", "set no_new_privs"),
    Flag("--cap -c", "CAP", "one more capability", many=True),
    Flag("--preserve-fds", "N", "keep N descriptors from 3 on"),
    Flag("--cgroup", "PATH", "a cgroup below the container's"),
    Flag("--ignore-paused", "", "allow it in a paused container"),
)
_DELETE = (
    Flag("--force -f", "", "kill it first"),
    Flag("--regex -r", "", "ID is a regular expression: every container whose id matches it from the start"),
)
_UPDATE = (
    Flag("--resources -r", "FILE", "read the limits from FILE, or - for standard input"),
    Flag("--blkio-weight", "N", "block I/O weight, 10 to 1000"),
    Flag("--cpu-period", "USEC", "length of a CPU period"),
    Flag("--cpu-quota", "USEC", "CPU time in a period"),
    Flag("--cpu-burst", "USEC", "CPU time that may be saved up"),
    Flag("--cpu-share", "N", "CPU shares, 1024 is normal"),
    Flag("--cpu-rt-period", "USEC", "length of a realtime period"),
    Flag("--cpu-rt-runtime", "USEC", "realtime CPU time in a period"),
    Flag("--cpuset-cpus", "LIST", "processors"),
    Flag("--cpuset-mems", "LIST", "memory nodes"),
    Flag("--memory", "BYTES", "memory limit"),
    Flag("--memory-reservation", "BYTES", "memory it should keep"),
    Flag("--memory-swap", "BYTES", "limit of memory and swap together, -1 for none"),
    Flag("--kernel-memory", "BYTES", "accepted: the kernel has no such limit any more"),
    Flag("--kernel-memory-tcp", "BYTES", "limit of TCP buffers (v1)"),
    Flag("--pids-limit", "N", "processes, -1 for no limit"),
    Flag("--cpu-idle", "N", "1 to run only when the machine is idle"),
    Flag("--l3-cache-schema", "SCHEMA", "Intel RDT cache schema"),
    Flag("--mem-bw-schema", "SCHEMA", "Intel RDT memory bandwidth schema"),
)

_IMAGES = (
    Flag("--image-path", "DIR", "where the images are (default: checkpoint)"),
    Flag("--work-path", "DIR", "where CRIU works and writes its log (default: beside the images)"),
    Flag("--tcp-established", "", "open TCP connections too"),
    Flag("--ext-unix-sk", "", "Unix sockets whose other end is outside too"),
    Flag("--shell-job", "", "a job of a shell too"),
    Flag("--file-locks", "", "file locks too"),
    Flag("--lazy-pages", "", "memory pages when they are needed"),
    Flag("--auto-dedup", "", "drop pages that a later image has"),
    Flag("--manage-cgroups-mode", "MODE", "soft, full, strict or ignore"),
    Flag("--empty-ns", "TYPE", "leave a namespace empty: network"),
)
_CHECKPOINT = (
    *_IMAGES,
    Flag("--parent-path", "DIR", "the images of an earlier --pre-dump, relative to these"),
    Flag("--leave-running", "", "let it run on"),
    Flag("--pre-dump", "", "save the memory only, and let it run on"),
    Flag("--tcp-skip-in-flight", "", "leave out connections that are being made"),
    Flag("--link-remap", "", "files that have been removed too"),
    Flag("--page-server", "ADDRESS:PORT", "send the pages there"),
    Flag("--status-fd", "N", "tell this descriptor when lazy pages can be served"),
)
_RESTORE = (
    *(flag for flag in _LAUNCH if flag.key in ("bundle", "config", "pid-file", "no-pivot", "no-subreaper")),
    *_IMAGES,
    Flag("--detach -d", "", "do not wait for it"),
    Flag("--tcp-close", "", "restore TCP connections as closed ones"),
    Flag("--lsm-profile", "LABEL", "another security profile than it had"),
    Flag("--lsm-mount-context", "LABEL", "another mount context than it had"),
)


class Verb:
    """A row of the table: where its function is, its operands, its flags."""

    __slots__ = ("flags", "help", "interspersed", "module", "operands")

    def __init__(
        self, module: str, operands: str, help: str, flags: tuple[Flag, ...] = (), *, interspersed: bool = True
    ) -> None:
        self.module = module
        self.operands = operands
        self.help = help
        self.flags = (*flags, Flag("--help -h", "", "print this help"))
        self.interspersed = interspersed


VERBS = {
    "create": Verb("lifecycle", "ID", "create a container", _LAUNCH),
    "start": Verb("lifecycle", "ID", "start a created container"),
    "run": Verb(
        "lifecycle",
        "ID",
        "create and start a container",
        (*_LAUNCH, Flag("--detach -d", "", "do not wait"), Flag("--keep", "", "keep the state when it has ended")),
    ),
    "exec": Verb("lifecycle", "ID COMMAND [ARG...]", "start a process inside", _EXEC, interspersed=False),
    "kill": Verb("lifecycle", "ID [SIGNAL]", "send a signal", (Flag("--all -a", "", "to all processes"),)),
    "delete": Verb("lifecycle", "ID", "remove a container", _DELETE),
    "state": Verb("inspection", "ID", "print the state as JSON"),
    "list": Verb(
        "inspection", "", "list the containers", (Flag("--format -f", "FORMAT", "table or json"), Flag("--quiet -q"))
    ),
    "ps": Verb(
        "inspection",
        "ID [PS OPTION...]",
        "list the processes of a container",
        (Flag("--format -f", "FORMAT", "table or json"),),
        interspersed=False,
    ),
    "events": Verb(
        "inspection",
        "ID",
        "print statistics and OOM events as JSON",
        (Flag("--interval", "TIME", "time between them (default: 5s)"), Flag("--stats", "", "once, then leave")),
    ),
    "features": Verb("inspection", "", "print what this runtime supports as JSON"),
    "spec": Verb(
        "inspection",
        "",
        "write a config.json to begin with",
        (Flag("--bundle -b", "DIR", "where"), Flag("--rootless", "", "for an ordinary user")),
    ),
    "pause": Verb("resources", "ID", "freeze all processes"),
    "resume": Verb("resources", "ID", "thaw them"),
    "update": Verb("resources", "ID", "change limits", _UPDATE),
    "plan": Verb(
        "plans",
        "BUNDLE|CONTAINER [OTHER]",
        "show what a launch does, row by row",
        (
            Flag("--format", "FORMAT", "text, json or mermaid"),
            Flag("--explain", "N", "what row N does, and why it is there"),
            Flag("--diff", "", "what differs between two of them"),
            Flag("--check", "", "say which rules it breaks"),
            Flag("--trace", "", "run it, and show how long each row takes"),
        ),
    ),
    "validate": Verb("plans", "BUNDLE", "say what is wrong with a config.json"),
    "generate": Verb("generate", "", "put a config.json together by flags, those of oci-runtime-tool"),
    "checkpoint": Verb("migration", "ID", "save a container's processes, by CRIU", _CHECKPOINT),
    "restore": Verb("migration", "ID", "make saved processes again, by CRIU", _RESTORE),
}


class Context:
    """What every verb gets: the verb's own flags, the global ones, where to log."""

    def __init__(self, verb: str, given: Given, globals: Given, handed: Handed | None = None) -> None:
        self.verb = verb
        self.handed = handed
        self.given = given
        self.globals = globals

    @property
    def root(self) -> str:
        if given := self.globals.text("root"):
            return given
        if os.geteuid() == 0:
            return "/run/corten-runtime"
        return f"{os.environ.get('XDG_RUNTIME_DIR') or f'/tmp/corten-{os.geteuid()}'}/corten-runtime"

    @property
    def id(self) -> str:
        return self.operand(0, "container ID")

    def operand(self, number: int, name: str) -> str:
        if len(self.given.operands) <= number:
            raise InvalidArgument(f"{self.verb}: {name} cannot be empty", hint=f"corten-runtime {self.verb} --help")
        return self.given.operands[number]

    def log(self, level: str, message: str, place: str = "") -> None:
        """One line to stderr in runc's form, and to the log file in the form its reader wants."""
        text = f"{message} ({place})" if place else message
        line = self._line(level, text)
        if path := self.globals.text("log"):
            with open(path, "a") as file:
                file.write(line)
        if level == "error" or self.globals.on("debug") or not path:
            sys.stderr.write(self._line(level, text, "text"))
            sys.stderr.flush()

    def _line(self, level: str, text: str, form: str = "") -> str:
        import time

        from corten.wire import codec

        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if (form or self.globals.text("log-format")) == "json":
            return codec.dumps({"level": level, "msg": text, "time": stamp}) + "\n"
        return f"time={codec.dumps(stamp)} level={level} msg={codec.dumps(text)}\n"


def main(argv: list[str], handed: int = -1) -> int:
    """Run one command; the answer is its exit code: the container's for `run` and `exec`, 1 for an error of ours.

    `handed` is the descriptor of what the static program read before it left the command to us (`plancache.front`).
    """
    context = Context("", Given(), Given())
    try:
        if handed >= 0:
            from corten.runtime.plancache.front import Handed

            context.handed = Handed.receive(handed)
        context.globals = globals = parse(GLOBAL, argv, interspersed=False)
        if globals.on("version"):
            from corten.runtime.command.version import text

            sys.stdout.write(text())
            return 0
        if globals.on("help") or not globals.operands:
            sys.stdout.write(_help())
            return 0
        return _run(context, globals.operands)
    except CortenError as error:
        context.log("error", error.message + (f"; {error.hint}" if error.hint else ""), error.place)
        return 255 if context.verb == "exec" else 1
    except BrokenPipeError:
        return 1


def _run(context: Context, words: list[str]) -> int:
    verb = VERBS.get(words[0])
    if verb is None:
        raise InvalidArgument(f"no such command: {words[0]}", hint="see corten-runtime --help")
    context.verb = words[0]
    if words[0] == "generate":  # its many flags are a table of their own, which nobody else needs
        from corten.runtime.command.generate import FLAGS

        verb.flags = (*FLAGS, *verb.flags)
    context.given = parse(verb.flags, words[1:], interspersed=verb.interspersed)
    if context.given.on("help"):
        sys.stdout.write(f"corten-runtime {words[0]} - {verb.help}\n\n")
        sys.stdout.write(usage(f"corten-runtime {words[0]}", verb.operands, verb.flags))
        return 0
    module = __import__(f"corten.runtime.command.{verb.module}", fromlist=[words[0]])
    run = getattr(module, words[0] if words[0] not in ("exec", "list") else f"{words[0]}_")
    return int(run(context))


def _help() -> str:
    rows = "".join(f"   {name:<12} {verb.help}\n" for name, verb in VERBS.items())
    return usage("corten-runtime", "COMMAND [ARG...]", GLOBAL).replace("OPTIONS:", f"COMMANDS:\n{rows}\nOPTIONS:")

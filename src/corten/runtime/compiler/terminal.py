"""``/process/terminal``: a pseudo-terminal of the container's own devpts.

The child opens the multiplexer below its root, gets the other end by handle (never by the name /dev/pts/N, which an
image can forge: CVE-2025-52565), sends the master to the console socket, and takes the peer for its standard streams.
"""

from __future__ import annotations

from corten.plan import flags, ops
from corten.runtime.compiler.draft import Draft

__all__ = ["console", "make", "take"]


def make(draft: Draft) -> None:
    """Open the terminal, hand its master over, and show the peer as /dev/console."""
    if not draft.process.get("terminal"):
        return
    place = "/process/terminal"
    if not draft.options.console:
        hint = "give a socket by --console-socket, or set process.terminal to false"
        raise draft.refuse("cannot allocate tty if runc will detach without setting console socket", place, hint)
    why = "the multiplexer of the container's own devpts"
    bits = flags.O_RDWR | flags.O_NOCTTY
    draft.child.append(ops.open_in("root", "/dev/pts/ptmx", bits, 1, slot="terminal", why=why, origin=place))
    draft.child.append(ops.pty_peer("terminal", slot="peer", origin=place))
    if size := draft.process.get("consoleSize"):
        row = ops.window_size("terminal", size["height"], size["width"], origin="/process/consoleSize")
        draft.child.append(row)
    draft.child.append(ops.send_fd(draft.inherit("console"), "terminal", "/dev/pts/ptmx", actor="child", origin=place))
    draft.child.append(ops.close("terminal", actor="child"))


def console(draft: Draft) -> None:
    """Bind the peer over /dev/console."""
    if not draft.process.get("terminal"):
        return
    draft.child.append(ops.open_tree("peer", "", 0, slot="console-mount", actor="child", origin="/process/terminal"))
    row = ops.mountpoint_in("root", "/dev/console", "console-mount", 1, slot="console-target")
    draft.child += [row, ops.attach("console-mount", "console-target")]


def take(draft: Draft) -> None:
    """A session of its own, and with a terminal, that one as its controlling terminal and standard streams."""
    draft.child.append(ops.setsid(why="signals of the caller's terminal are not for the container"))
    if not draft.process.get("terminal"):
        return
    draft.child.append(ops.set_ctty("peer", origin="/process/terminal"))
    uid = (draft.process.get("user") or {}).get("uid", 0)
    draft.child.append(ops.chown("peer", uid, -1, accept=(1, 22, 30), why="its user may open it again"))
    for number in (0, 1, 2):
        draft.child.append(ops.dup("peer", number, origin="/process/terminal"))

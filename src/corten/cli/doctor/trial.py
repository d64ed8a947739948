"""Trying what the kernel lets us do, in a child that ends with the answer.

Namespaces and mounts that a trial makes belong to the child and vanish with it.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["mount", "try_out", "unshare"]

NEW_MOUNTS, NEW_USER, NEW_NETWORK, NEW_PIDS = 0x00020000, 0x10000000, 0x40000000, 0x20000000
_PRIVATE = 0x4000 | 0x40000  # MS_REC | MS_PRIVATE


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def unshare(flags: int) -> None:
    _checked(_libc().unshare(flags))


def mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    encoded = [text.encode() or None for text in (source, target, kind)]
    _checked(_libc().mount(*encoded, ctypes.c_ulong(flags), data.encode() or None))


def private_mounts() -> None:
    """A mount namespace of our own, of which nobody else hears."""
    unshare(NEW_MOUNTS)
    mount("", "/", "", _PRIVATE, "")


def try_out(action: Callable[[], None]) -> str:
    """Run `action` in a child of ours; empty when it went well, else the error's words."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        said = b""
        try:
            action()
        except OSError as error:
            said = (error.strerror or str(error)).encode()
        except BaseException as error:  # the child must end here whatever happens, and tell why
            said = repr(error).encode()
        os.write(writer, said)
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 4096)
    os.close(reader)
    os.waitpid(child, 0)
    return answer.decode("utf-8", "replace")

"""libseccomp as an oracle: the filter it makes of the same profile, by ctypes. Only tests use it."""

from __future__ import annotations

import ctypes
import os
from typing import Any

ARCH_TOKENS = {"x86_64": 0xC000003E, "x86": 0x40000003, "x32": 0x4000003E, "aarch64": 0xC00000B7, "arm": 0x40000028}
_OPS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}


class _Cmp(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def load() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Cmp),
    ]
    for name in ("seccomp_arch_add", "seccomp_arch_remove"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    return library


def compile(library: ctypes.CDLL, seccomp: dict[str, Any], arches: list[str], value_of: dict[str, int]) -> bytes:
    """The filter for `arches` (native x86_64 is removed when absent), with our action values."""
    default = _value(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"), value_of)
    context = library.seccomp_init(default)
    assert context
    try:
        for arch in arches:
            library.seccomp_arch_add(context, ARCH_TOKENS[arch])
        if "x86_64" not in arches:
            assert library.seccomp_arch_remove(context, ARCH_TOKENS["x86_64"]) == 0
        for rule in seccomp["syscalls"]:
            _add(library, context, rule, default, value_of)
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def _value(action: str, errno: int | None, value_of: dict[str, int]) -> int:
    extra = (1 if errno is None else errno) if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else 0
    return value_of[action] | extra


def _add(library: ctypes.CDLL, context: int, rule: dict[str, Any], default: int, value_of: dict[str, int]) -> None:
    value = _value(rule["action"], rule.get("errnoRet"), value_of)
    if value == default:
        return  # libseccomp refuses a rule that says the default; runc leaves it out too
    args = rule.get("args") or []
    groups = [args] if len({a["index"] for a in args}) == len(args) else [[a] for a in args]
    for name in rule["names"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            continue
        for group in groups:
            array = (_Cmp * max(1, len(group)))(
                *[_Cmp(a["index"], _OPS[a["op"]], a["value"], a.get("valueTwo", 0)) for a in group]
            )
            library.seccomp_rule_add_array(context, value, number, len(group), array)


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("bpf")
    try:
        assert library.seccomp_export_bpf(context, fd) == 0
        return os.pread(fd, 1 << 20, 0)
    finally:
        os.close(fd)

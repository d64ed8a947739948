"""bpf(2), as far as device rules of a running container on cgroup v2 need it.

A cgroup may have several device programs, and each must allow an access. A container's rules are one program: to change
them, the new one takes the place of the old in one step, so that no access slips through between two.
"""

import ctypes
import os

from corten.model.errors import FailedPrecondition

__all__ = ["device_programs", "replace_device_program"]

# linux/bpf.h: enum bpf_cmd, BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE and the flags of BPF_PROG_ATTACH.
_LOAD, _ATTACH, _GET_FD_BY_ID, _QUERY = 5, 8, 13, 16
_TYPE_CGROUP_DEVICE, _CGROUP_DEVICE = 15, 6
_ALLOW_MULTI, _REPLACE = 2, 4
_INSTRUCTION = 8  # bytes
_MOST = 64  # programs of one cgroup that the kernel takes (BPF_CGROUP_MAX_PROGS)
_NUMBERS = {"x86_64": 321, "aarch64": 280}
_PLACE = "/linux/resources/devices"


def device_programs(cgroup: str) -> list[int]:
    """The ids of the device programs that are attached to the cgroup itself."""
    fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _attached(fd, cgroup)
    finally:
        os.close(fd)


def replace_device_program(cgroup: str, program: bytes) -> None:
    """Let `program` decide about devices from now on, in place of the one attached. Raises FailedPrecondition."""
    fds = [os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        present = _attached(fds[0], cgroup)
        if len(present) > 1:
            message = f"cannot change device rules: {cgroup} has {len(present)} device programs, and one is ours"
            raise FailedPrecondition(message, hint="another program added one", place=_PLACE)
        fds.append(_load(program))
        replaced = _call(_GET_FD_BY_ID, _words(present[0], 0, 0), "get") if present else 0
        fds += [replaced] if present else []
        flags = _ALLOW_MULTI | _REPLACE if present else _ALLOW_MULTI
        _call(_ATTACH, _words(fds[0], fds[1], _CGROUP_DEVICE, flags, replaced), "attach")
    finally:
        for fd in fds:
            os.close(fd)


def _attached(cgroup: int, path: str) -> list[int]:
    ids = (ctypes.c_uint32 * _MOST)()
    # union bpf_attr.query: target_fd, attach_type, query_flags, attach_flags, u64 prog_ids, prog_cnt
    attribute = _words(cgroup, _CGROUP_DEVICE, 0, 0) + ctypes.addressof(ids).to_bytes(8, "little") + _words(_MOST, 0)
    buffer = ctypes.create_string_buffer(attribute, len(attribute))
    _call(_QUERY, buffer, f"query {path} for")
    return list(ids[: int.from_bytes(buffer.raw[24:28], "little")])


def _load(program: bytes) -> int:
    text, license = ctypes.create_string_buffer(program, len(program)), ctypes.create_string_buffer(b"Apache-2.0")
    addresses = b"".join(ctypes.addressof(one).to_bytes(8, "little") for one in (text, license))
    return _call(_LOAD, _words(_TYPE_CGROUP_DEVICE, len(program) // _INSTRUCTION) + addresses, "load")


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def _call(command: int, attribute: "bytes | ctypes.Array[ctypes.c_char]", verb: str) -> int:
    size = len(attribute)
    buffer = ctypes.create_string_buffer(attribute, size) if isinstance(attribute, bytes) else attribute
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    got: int = syscall(_NUMBERS[os.uname().machine], command, buffer, size)
    if got < 0:
        cause = os.strerror(ctypes.get_errno()).lower()
        hint = "this needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, and Linux 5.6"
        raise FailedPrecondition(f"cannot {verb} a device program: {cause}", hint=hint, place=_PLACE)
    return got

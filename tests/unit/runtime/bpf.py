"""A classic BPF machine with the kernel's rules for seccomp filters, for tests."""

from __future__ import annotations

import struct


def trace(program: bytes, nr: int, arch: int, args: tuple[int, ...] = ()) -> tuple[int, int]:
    """What `program` returns for one system call, and after how many instructions.

    The call is seen as linux/seccomp.h's `struct seccomp_data`, little endian.
    """
    data = struct.pack("<IIQ6Q", nr & 0xFFFFFFFF, arch, 0, *(args + (0,) * 6)[:6])
    code = list(struct.iter_unpack("<HBBI", program))
    accumulator, at, steps = 0, 0, 0
    while code[at][0] != 0x06:
        op, yes, no, k = code[at]
        at += 1
        steps += 1
        if op == 0x20:
            assert k % 4 == 0, "the kernel loads aligned words only"
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif op == 0x54:
            accumulator &= k
        elif op == 0x05:
            at += k
        else:
            holds = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[op]
            at += yes if holds else no
    return int(code[at][3]), steps


def run(program: bytes, nr: int, arch: int, args: tuple[int, ...] = ()) -> int:
    return trace(program, nr, arch, args)[0]

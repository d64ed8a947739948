"""Device rules against the kernel's own definition, run by an eBPF machine of five instructions."""

import os
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.model.errors import InvalidArgument
from corten.runtime import device_rules

TYPES = {"b": 1, "c": 2}
READ, WRITE, MKNOD = 2, 4, 1


def verdict(program: bytes, kind: str, major: int, minor: int, access: int) -> bool:
    """What the program answers for one access (linux/bpf.h: struct bpf_cgroup_dev_ctx)."""
    context = struct.pack("<III", access << 16 | TYPES[kind], major, minor)
    registers = [0] * 7
    code = list(struct.iter_unpack("<BBhi", program))
    at = 0
    while True:
        op, both, jump, value = code[at]
        at += 1
        target, source = both & 15, both >> 4
        match op:
            case 0x61:
                registers[target] = struct.unpack_from("<I", context, jump)[0]
            case 0xBC:
                registers[target] = registers[source] & 0xFFFFFFFF
            case 0xB7:
                registers[target] = value
            case 0x54:
                registers[target] &= value & 0xFFFFFFFF
            case 0x74:
                registers[target] >>= value
            case 0x55:
                at += jump if registers[target] != value else 0
            case 0x15:
                at += jump if registers[target] == value else 0
            case 0x95:
                return registers[0] == 1
            case _:
                raise AssertionError(hex(op))


def expected(table: device_rules.Table, kind: str, major: int, minor: int, access: int) -> bool:
    """security/device_cgroup.c, devcgroup_legacy_check_permission."""
    for (k, a, i), bits in table.exceptions.items():
        if k == kind and a in (-1, major) and i in (-1, minor):
            if not table.allow and access & ~bits == 0:
                return True
            if table.allow and access & bits:
                return False
    return table.allow


RULES = st.lists(
    st.fixed_dictionaries(
        {
            "allow": st.booleans(),
            "type": st.sampled_from(["a", "b", "c"]),
            "major": st.sampled_from([-1, 1, 8]),
            "minor": st.sampled_from([-1, 3, 5]),
            "access": st.sampled_from(["r", "w", "m", "rw", "rwm"]),
        }
    ),
    max_size=8,
)


@given(RULES)
def test_the_program_decides_as_the_v1_controller_does(rules: list[Any]) -> None:
    table = device_rules.fold(rules)
    program = device_rules.program(table)
    for kind in "bc":
        for major in (1, 8, 136):
            for minor in (3, 4, 5):
                for access in range(1, 8):
                    asked = (kind, major, minor, access)
                    assert verdict(program, *asked) == expected(table, *asked), (table.exceptions, asked)


def test_everything_is_denied_but_the_default_devices() -> None:
    program = device_rules.program(device_rules.fold([{"allow": False, "access": "rwm"}]))
    assert verdict(program, "c", 1, 3, READ | WRITE)
    assert verdict(program, "c", 136, 7, READ)
    assert verdict(program, "b", 8, 0, MKNOD)
    assert not verdict(program, "b", 8, 0, READ)
    assert not verdict(program, "c", 1, 11, READ)


def test_privileged_allows_everything() -> None:
    table = device_rules.fold([{"allow": False, "access": "rwm"}, {"allow": True, "access": "rwm"}])
    assert device_rules.v1_lines(table) == [("devices.allow", "a")]
    assert verdict(device_rules.program(table), "b", 8, 0, READ | WRITE | MKNOD)


def test_rights_given_one_by_one_add_up() -> None:
    rules: Any = [
        {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "r"},
        {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "w"},
    ]
    assert ("devices.allow", "c 10:200 rw") in device_rules.v1_lines(device_rules.fold(rules))


@pytest.mark.parametrize(("rule", "place"), [({"access": "x"}, "access"), ({"type": "q"}, "type")])
def test_an_unknown_word_is_refused_with_its_place(rule: dict[str, str], place: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        device_rules.fold([{"allow": True, **rule}])  # type: ignore[typeddict-item]
    assert caught.value.place == f"/linux/resources/devices/0/{place}"


@pytest.mark.root
def test_the_kernels_verifier_takes_the_program() -> None:
    """bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE), by the C library's syscall."""
    import ctypes

    rules: Any = [{"allow": True, "type": "c", "major": major, "minor": -1, "access": "rw"} for major in range(50)]
    code = device_rules.program(device_rules.fold(rules))
    program, license = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("<IIQQ", 15, len(code) // 8, ctypes.addressof(program), ctypes.addressof(license))
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
    fd = libc.syscall(number, 5, buffer, 128)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    os.close(fd)

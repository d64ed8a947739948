"""The filter compiler against libseccomp: every system call, every architecture, arguments around each limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.kernel.syscalls import ARCHES, numbers
from corten.model.errors import InvalidArgument
from corten.runtime import seccomp
from tests.unit.runtime import libseccomp
from tests.unit.runtime.bpf import run, trace

DOCKER = json.loads((Path(__file__).parent / "docker-seccomp.json").read_text())
LIBRARY = libseccomp.load()
needs_libseccomp = pytest.mark.skipif(LIBRARY is None, reason="libseccomp.so.2 is not installed (apt: libseccomp2)")

# Calls that Debian 12's libseccomp has no name for; from 512 on x32 and ARM have calls of their own.
NEWEST_BOTH_KNOW = 451
UNKNOWN_TO_LIBSECCOMP = set(range(NEWEST_BOTH_KNOW, 512))
NOT_ON_ARM = {447}  # memfd_secret has a number there and no entry

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0
ENOSYS = ERRNO | 38


def profile(*rules: dict[str, Any], default: str = "SCMP_ACT_ERRNO", arches: tuple[str, ...] = ()) -> Any:
    return {"defaultAction": default, "architectures": list(arches), "syscalls": list(rules)}


def allow(*names: str, **rest: Any) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", **rest}


def arg(index: int, op: str, value: int, two: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": two}


def newest(config: Any, arch: str) -> int:
    table = numbers(arch)
    return max((table[name] for rule in config["syscalls"] for name in rule["names"] if name in table), default=0)


def samples(config: Any) -> list[tuple[int, ...]]:
    """Arguments around every value a profile compares with, in both halves of the word."""
    values = {0, 1, 2, 3, 0xFFFFFFFF, 1 << 32, (1 << 64) - 1}
    for rule in config["syscalls"]:
        for one in rule.get("args") or ():
            for value in (one["value"], one.get("valueTwo", 0)):
                values |= {(value + step) % (1 << 64) for step in (-1, 0, 1, 1 << 32, -(1 << 32), 1 << 33)}
    plain = [(value,) * 6 for value in sorted(values)]
    return [*plain, *((a, b) * 3 for a in (0, 1, 2) for b in sorted(values)[:6])]


def agree(config: Any, arches: tuple[str, ...], native: str = "x86_64") -> None:
    """Our filter and libseccomp's return the same for every call up to the newest the profile names."""
    assert LIBRARY is not None
    ours = seccomp.compile(config, native)
    theirs = libseccomp.compile(LIBRARY, config, list(arches), seccomp.ACTIONS)
    conditional = {name for rule in config["syscalls"] if rule.get("args") for name in rule["names"]}
    for name in arches:
        arch, table = ARCHES[name], numbers(name)
        watched = {table[call] for call in conditional | {"socketcall", "ipc"} if call in table}
        limit, skipped = newest(config, name), UNKNOWN_TO_LIBSECCOMP | (NOT_ON_ARM if name == "arm" else set())
        for number in sorted({*range(NEWEST_BOTH_KNOW), *table.values()} - skipped):
            if number > limit:
                continue
            for args in samples(config) if number in watched else ((0,) * 6, (7,) * 6):
                shown = tuple(a & 0xFFFFFFFF for a in args) if name in ("x86", "arm") else args
                call = (arch.offset + number, arch.audit, shown)
                assert run(ours, *call) == run(theirs, *call), (name, number, shown)


@needs_libseccomp
def test_dockers_profile_decides_as_libseccomp_on_every_call_and_abi() -> None:
    agree(DOCKER, ("x86_64", "x86", "x32"))


@needs_libseccomp
def test_the_same_profile_for_arm() -> None:
    config = DOCKER | {"architectures": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]}
    agree(config, ("aarch64", "arm"), native="aarch64")


OPS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
WORDS = st.sampled_from([0, 1, 5, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 32, (1 << 32) + 5, (1 << 64) - 1, 0xF0F0F0F0F0])


@st.composite
def conditions(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for index in draw(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)):
        op, value, two = draw(st.sampled_from(OPS)), draw(WORDS), draw(WORDS)
        found.append(arg(index, op, value, two & value if op == "MASKED_EQ" else 0))
    return found


@needs_libseccomp
@settings(max_examples=60, deadline=None)
@given(conditions(), st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_TRAP", "SCMP_ACT_LOG", "SCMP_ACT_KILL_PROCESS"]))
def test_each_operator_agrees_with_libseccomp(args: list[dict[str, Any]], action: str) -> None:
    rule = {"names": ["read", "personality"], "action": action, "args": args}
    agree(profile(rule, allow("write", "getpid")), ("x86_64",))


def test_an_unconditional_rule_beats_conditions_wherever_it_stands() -> None:
    program = seccomp.compile(profile(allow("read", args=[arg(0, "EQ", 1)]), allow("read")), "x86_64")
    assert run(program, 0, ARCHES["x86_64"].audit, (9,)) == ALLOW


def test_the_same_argument_twice_means_either() -> None:
    rule = allow("personality", args=[arg(0, "EQ", 0), arg(0, "EQ", 8)])
    program = seccomp.compile(profile(rule), "x86_64")
    results = [run(program, 135, ARCHES["x86_64"].audit, (value,)) for value in (0, 8, 4)]
    assert results == [ALLOW, ALLOW, ERRNO | 1]


def test_a_call_newer_than_the_profile_answers_enosys_so_that_libc_falls_back() -> None:
    program = seccomp.compile(DOCKER, "x86_64")
    beyond = newest(DOCKER, "x86_64") + 1
    assert run(program, beyond, ARCHES["x86_64"].audit) == ENOSYS
    assert run(program, 155, ARCHES["x86_64"].audit) == ERRNO | 1  # pivot_root: known, refused


def test_an_abi_not_listed_is_killed() -> None:
    program = seccomp.compile(profile(allow("read"), default="SCMP_ACT_ALLOW"), "x86_64")
    assert run(program, 3, ARCHES["x86"].audit) == KILL
    assert run(program, ARCHES["x32"].offset, ARCHES["x32"].audit) == KILL
    assert run(program, 0, ARCHES["x86_64"].audit) == ALLOW


def test_a_profile_of_another_machine_filters_the_native_calls_all_the_same() -> None:
    config = profile(allow("read"), arches=("SCMP_ARCH_S390X",))
    assert run(seccomp.compile(config, "x86_64"), 0, ARCHES["x86_64"].audit) == ALLOW


def test_every_call_is_decided_within_a_dozen_comparisons() -> None:
    program = seccomp.compile(DOCKER, "x86_64")
    arch = ARCHES["x86_64"]
    steps = [trace(program, number, arch.audit, (1 << 40,) * 6)[1] for number in range(450)]
    plain = sorted(steps)[: int(len(steps) * 0.95)]
    assert plain[-1] <= 14, "a tree, not a list"


def test_the_filter_outgrows_short_jumps_without_losing_a_rule() -> None:
    rules = [
        {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": n % 100 + 1, "args": [arg(1, "EQ", n << 20 | 1)]}
        for n, name in enumerate(list(numbers("x86_64"))[:300])
    ]
    program = seccomp.compile(profile(*rules, default="SCMP_ACT_ALLOW"), "x86_64")
    assert len(program) // 8 > 1000
    for n, name in enumerate(list(numbers("x86_64"))[:300]):
        number = numbers("x86_64")[name]
        assert run(program, number, ARCHES["x86_64"].audit, (0, n << 20 | 1)) == ERRNO | n % 100 + 1
        assert run(program, number, ARCHES["x86_64"].audit, (0, n << 20 | 2)) == ALLOW


@pytest.mark.parametrize(
    ("config", "place"),
    [
        (profile(default="SCMP_ACT_MAYBE"), "/linux/seccomp/defaultAction"),
        (profile() | {"architectures": ["SCMP_ARCH_Z80"]}, "/linux/seccomp/architectures/0"),
        (profile(allow("read", errnoRet=1)), "/linux/seccomp/syscalls/0/action"),
        (profile(allow("read"), allow("read", args=[arg(6, "EQ", 0)])), "/linux/seccomp/syscalls/1/args/0/index"),
        (profile(allow("read", args=[arg(0, "LIKE", 0)])), "/linux/seccomp/syscalls/0/args/0/op"),
    ],
)
def test_what_cannot_be_enforced_is_refused_with_its_place(config: Any, place: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        seccomp.compile(config, "x86_64")
    assert caught.value.place == place


def test_an_unknown_flag_is_refused_and_notify_asks_for_a_listener() -> None:
    with pytest.raises(InvalidArgument):
        seccomp.filter_flags(profile() | {"flags": ["SECCOMP_FILTER_FLAG_MAGIC"]})
    notify: Any = profile({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}) | {"flags": []}
    assert seccomp.filter_flags(notify) == seccomp.NEW_LISTENER

"""``/linux/seccomp`` to a classic BPF program: a balanced tree over system call numbers.

The kernel runs the filter at every system call, and checks the whole program when it is loaded. libseccomp writes a
chain of comparisons (a call near its end costs hundreds of instructions, loading costs 0.7 ms); here the numbers of an
architecture become ranges with one decision each, and a binary search over the ranges' starts finds the decision in
eight or nine comparisons.

The program is *emitted from its end*: every jump goes forward, so a target already has its address when the jump to
it is written, equal tails are written once, and a jump too long for its eight bits goes over a copy or a `ja` nearby.

Rules follow libseccomp as runc and crun use it, since profiles are written for them:

* a rule without arguments beats one with arguments for the same call; else the first matching rule decides;
* several conditions of one rule are joined by *and*; on the same argument twice, by *or* (runc);
* arguments of 32-bit architectures are compared by their low half;
* names unknown to an architecture are skipped there; calls newer than the newest one named answer ENOSYS (runc);
* an architecture not listed is killed.
"""

from __future__ import annotations

import marshal

from corten.kernel.syscalls import ARCHES, MULTIPLEXED, Arch, numbers
from corten.model.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from corten.model.runtime_spec import Seccomp, SyscallArg, SyscallRule

__all__ = ["ACTIONS", "FLAGS", "OCI_ARCHES", "OPERATORS", "compile", "filter_flags", "listens"]

# linux/seccomp.h: SECCOMP_RET_*; the low 16 bits of ERRNO and TRACE carry `errnoRet`.
ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_ERRNO = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_KILL, _ALLOW, _LOG, _ERRNO = 0x00000000, 0x7FFF0000, 0x7FFC0000, 0x00050000
_EPERM, _ENOSYS = 1, 38

# linux/seccomp.h: SECCOMP_FILTER_FLAG_*
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
}
NEW_LISTENER, TSYNC_ESRCH = 8, 16

OPERATORS = {
    "SCMP_CMP_NE": "ne",
    "SCMP_CMP_LT": "lt",
    "SCMP_CMP_LE": "le",
    "SCMP_CMP_EQ": "eq",
    "SCMP_CMP_GE": "ge",
    "SCMP_CMP_GT": "gt",
    "SCMP_CMP_MASKED_EQ": "masked",
}

OCI_ARCHES = {f"SCMP_ARCH_{name.upper()}": name for name in ARCHES}
# Architectures whose calls this kernel can never present: a filter for them decides nothing here.
_FOREIGN = (
    "MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC PARISC64 RISCV64 "
    "LOONGARCH64 M68K SH SHEB NATIVE"
)
_FAMILY = {"x86_64": ("x86_64", "x86", "x32"), "aarch64": ("aarch64", "arm")}

# Profiles come in few kinds and cost milliseconds: a process that starts many containers compiles each once.
_COMPILED: dict[bytes, bytes] = {}
_KEPT = 32

_LIMIT = 4096  # BPF_MAXINSNS
_ARG = 16  # offsetof(struct seccomp_data, args)
_LD, _AND, _RET, _JA, _JEQ, _JGT, _JGE = 0x20, 0x54, 0x06, 0x05, 0x15, 0x25, 0x35
_TOP = 1 << 32

# One condition: (argument index, operator, value, second value); one rule: its conditions and what to return.
_Condition = tuple[int, str, int, int]
_Rule = tuple[tuple[_Condition, ...], int]


def compile(seccomp: Seccomp, arch: str) -> bytes:
    """The filter as an array of ``struct sock_filter`` for a machine of `arch` (``x86_64`` or ``aarch64``).

    Raises InvalidArgument with the JSON pointer of what cannot be enforced: an unknown action, operator,
    architecture, an `errnoRet` on an action that carries none, a filter longer than the kernel takes.
    """
    key = marshal.dumps((seccomp, arch))  # type: ignore[arg-type]  # plain JSON, whatever its TypedDict is called
    if key not in _COMPILED:
        if len(_COMPILED) >= _KEPT:
            _COMPILED.clear()
        _COMPILED[key] = _compiled(seccomp, arch)
    return _COMPILED[key]


def _compiled(seccomp: Seccomp, arch: str) -> bytes:
    if arch not in _FAMILY:
        raise InvalidArgument(
            f"cannot compile a seccomp filter for {arch}: no system call table",
            hint="remove linux.seccomp from the config, or run on x86_64 or aarch64",
            place="/linux/seccomp",
        )
    default = _action(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"), "/linux/seccomp/defaultAction")
    rules = [_parsed(rule, f"/linux/seccomp/syscalls/{n}") for n, rule in enumerate(seccomp.get("syscalls") or ())]
    program = _Program()
    by_audit: dict[int, list[Arch]] = {}
    for member in _arches(seccomp, arch):
        by_audit.setdefault(member.audit, []).append(member)
    entry = program.returns(_KILL)
    for audit, members in reversed(by_audit.items()):
        ranges = _ranges(members, rules, default)
        tree = program.load(0, _tree(program, ranges))
        entry = program.jump(_JEQ, audit, tree, entry)
    return program.encode(program.load(4, entry))


def filter_flags(seccomp: Seccomp) -> int:
    """The ``SECCOMP_FILTER_FLAG_*`` bits; as runc, SPEC_ALLOW when the config does not say which flags it wants."""
    bits = 0
    wanted = seccomp.get("flags")
    for n, flag in enumerate(("SECCOMP_FILTER_FLAG_SPEC_ALLOW",) if wanted is None else wanted):
        if flag not in FLAGS:
            raise InvalidArgument(f"unknown seccomp flag {flag!r}", place=f"/linux/seccomp/flags/{n}")
        bits |= FLAGS[flag]
    if listens(seccomp):
        # A listener's fd and TSYNC's thread id would share the return value; ESRCH tells them apart.
        bits |= NEW_LISTENER | (TSYNC_ESRCH if bits & 1 else 0)
    return bits


def listens(seccomp: Seccomp) -> bool:
    """Whether an agent waits or a rule notifies, so that loading the filter yields a listener for `listenerPath`."""
    rules = seccomp.get("syscalls") or ()
    return bool(seccomp.get("listenerPath")) or any(rule.get("action") == "SCMP_ACT_NOTIFY" for rule in rules)


def _arches(seccomp: Seccomp, native: str) -> list[Arch]:
    """The native architecture first, then the listed ones of its family (libseccomp always adds the native one)."""
    names = [native]
    for n, oci in enumerate(seccomp.get("architectures") or ()):
        name = OCI_ARCHES.get(oci)
        if name is None and oci.removeprefix("SCMP_ARCH_") not in _FOREIGN.split():
            raise InvalidArgument(f"unknown architecture {oci!r}", place=f"/linux/seccomp/architectures/{n}")
        if name in _FAMILY[native] and name not in names:
            names.append(name)
    return [ARCHES[name] for name in names]


def _action(name: str, errno: int | None, place: str) -> int:
    if name not in ACTIONS:
        raise InvalidArgument(f"unknown seccomp action {name!r}", hint=f"one of {', '.join(ACTIONS)}", place=place)
    if name not in _WITH_ERRNO:
        if errno is not None:
            raise InvalidArgument(f"action {name} carries no errnoRet", hint="remove errnoRet", place=place)
        return ACTIONS[name]
    if errno is not None and not 0 <= errno <= 0xFFFF:
        raise InvalidArgument(f"errnoRet {errno} does not fit 16 bits", place=place)
    return ACTIONS[name] | (_EPERM if errno is None else errno)


class _Named:
    """A rule of the config: the calls it names, what it returns, its conditions."""

    __slots__ = ("alternatives", "names", "value")

    def __init__(self, names: Sequence[str], value: int, alternatives: list[tuple[_Condition, ...]]) -> None:
        self.names = names
        self.value = value
        self.alternatives = alternatives


def _parsed(rule: SyscallRule, place: str) -> _Named:
    value = _action(rule["action"], rule.get("errnoRet"), f"{place}/action")
    conditions = [_condition(arg, f"{place}/args/{n}") for n, arg in enumerate(rule.get("args") or ())]
    if len({condition[0] for condition in conditions}) == len(conditions):
        return _Named(rule["names"], value, [tuple(conditions)])
    return _Named(rule["names"], value, [(condition,) for condition in conditions])


def _condition(arg: SyscallArg, place: str) -> _Condition:
    if not 0 <= arg["index"] <= 5:
        raise InvalidArgument(f"a system call has arguments 0 to 5, not {arg['index']}", place=f"{place}/index")
    if arg["op"] not in OPERATORS:
        raise InvalidArgument(f"unknown seccomp operator {arg['op']!r}", place=f"{place}/op")
    return (arg["index"], OPERATORS[arg["op"]], arg["value"], arg.get("valueTwo", 0))


def _ranges(arches: list[Arch], rules: list[_Named], default: int) -> list[tuple[int, tuple[_Rule, ...]]]:
    """The number line of one audit value cut into ranges [(start, decision)], neighbours with equal decisions joined.

    A decision is a tuple of rules whose last one is unconditional.
    """
    otherwise: tuple[_Rule, ...] = (((), default),)
    ranges: list[tuple[int, tuple[_Rule, ...]]] = []
    for arch in arches:
        decisions = _decisions(arch, rules, default)
        at = arch.offset
        for number in sorted(decisions):
            if number > at:
                _append(ranges, at, otherwise)
            _append(ranges, number, decisions[number])
            at = number + 1
        _append(ranges, at, (((), _beyond(default)),) if decisions else otherwise)
    if arches[0].name == "x86_64":
        if len(arches) == 1:
            _append(ranges, ARCHES["x32"].offset, (((), _KILL),))
        # A tracer that cancels a call sets number -1; libseccomp lets it fall to the default action.
        _append(ranges, _TOP - 1, otherwise)
    return ranges


def _append(ranges: list[tuple[int, tuple[_Rule, ...]]], start: int, decision: tuple[_Rule, ...]) -> None:
    if not ranges or ranges[-1][1] != decision:
        ranges.append((start, decision))


def _beyond(default: int) -> int:
    """What a call newer than the profile gets: ENOSYS, so that a C library tries the older call (runc's stub)."""
    return default if default in (_ALLOW, _LOG) else _ERRNO | _ENOSYS


def _decisions(arch: Arch, rules: list[_Named], default: int) -> dict[int, tuple[_Rule, ...]]:
    """Per number of `arch` what the profile decides; every named call has an entry, also where it says the default.

    The first rule without conditions settles a call; else its conditional rules are tried in their order.
    """
    table, gates = numbers(arch.name), MULTIPLEXED.get(arch.name, {})
    settled: dict[int, tuple[_Rule, ...]] = {}
    tried: dict[int, dict[_Rule, None]] = {}
    for rule in rules:
        if rule.alternatives != [()]:
            for number in [table[name] for name in rule.names if name in table]:
                found = tried.setdefault(number, {})
                found.update(dict.fromkeys((_narrowed(each, arch), rule.value) for each in rule.alternatives))
            continue
        decision: tuple[_Rule, ...] = (((), rule.value),)
        for name in rule.names:
            if name in table:
                settled.setdefault(table[name], decision)
            if name in gates:
                # Only without conditions: behind socketcall the arguments lie in memory that a filter cannot read.
                gate, call = gates[name]
                tried.setdefault(table[gate], {})[((0, "eq32", call, 0),), rule.value] = None
    otherwise: _Rule = ((), default)
    settled = {number: (*found, otherwise) for number, found in tried.items()} | settled
    return {arch.offset + number: decision for number, decision in settled.items()}


def _narrowed(conditions: tuple[_Condition, ...], arch: Arch) -> tuple[_Condition, ...]:
    if arch.bits == 64:
        return conditions
    low = 0xFFFFFFFF
    return tuple((index, f"{op}32", value & low, second & low) for index, op, value, second in conditions)


def _tree(program: _Program, ranges: list[tuple[int, tuple[_Rule, ...]]]) -> int:
    if len(ranges) == 1:
        return program.decide(ranges[0][1])
    middle = len(ranges) // 2
    upper = _tree(program, ranges[middle:])
    lower = _tree(program, ranges[:middle])
    return program.jump(_JGE, ranges[middle][0], upper, lower)


class _Program:
    """cBPF under construction, last instruction first: `code[i]` is the i-th from the end, and so is an address."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []
        self.known: dict[tuple[int, int, int, int], int] = {}

    def encode(self, entry: int) -> bytes:
        """The instructions in the order of execution. `entry` must be the one emitted last."""
        assert entry == len(self.code) - 1
        if len(self.code) > _LIMIT:
            raise InvalidArgument(
                f"the seccomp filter has {len(self.code)} instructions, the kernel takes {_LIMIT}",
                hint="use fewer conditions on arguments",
                place="/linux/seccomp/syscalls",
            )
        return b"".join(
            (op | yes << 16 | no << 24 | k << 32).to_bytes(8, "little") for op, yes, no, k in self.code[::-1]
        )

    def returns(self, value: int) -> int:
        return self._shared((_RET, 0, 0, value), (_RET, 0, 0, value))

    def load(self, offset: int, then: int) -> int:
        """Load the word at `offset` of ``seccomp_data``, then fall through to `then`."""
        return self._before(_LD, offset, then)

    def jump(self, op: int, k: int, yes: int, no: int) -> int:
        """Jump by comparing the loaded word with `k`."""
        if yes == no:
            return yes
        key = (op, yes, no, k)
        if key in self.known and self._distance(self.known[key]) < 250:
            return self.known[key]
        yes = self._near(yes)
        no = self._near(no)
        at = self._emit((op, self._distance(yes), self._distance(no), k))
        self.known[key] = at
        return at

    def decide(self, rules: tuple[_Rule, ...]) -> int:
        """The rules tried in turn; the last one has no conditions."""
        at = self.returns(rules[-1][1])
        for conditions, value in reversed(rules[:-1]):
            otherwise, at = at, self.returns(value)
            for condition in reversed(conditions):
                at = self._test(condition, at, otherwise)
        return at

    def _test(self, condition: _Condition, yes: int, no: int) -> int:
        index, op, value, second = condition
        wide, op = not op.endswith("32"), op.removesuffix("32")
        if op in ("ne", "lt", "le"):
            op, yes, no = {"ne": "eq", "lt": "ge", "le": "gt"}[op], no, yes
        low, high = _ARG + 8 * index, _ARG + 8 * index + 4
        if op == "masked":
            at = self._masked(low, value & 0xFFFFFFFF, second & 0xFFFFFFFF, yes, no)
            return self._masked(high, value >> 32, second >> 32, at, no) if wide else at
        compare = {"eq": _JEQ, "ge": _JGE, "gt": _JGT}[op]
        at = self.load(low, self.jump(compare, value & 0xFFFFFFFF, yes, no))
        if not wide:
            return at
        at = self.jump(_JEQ, value >> 32, at, no)
        return self.load(high, at if op == "eq" else self.jump(_JGT, value >> 32, yes, at))

    def _masked(self, offset: int, mask: int, wanted: int, yes: int, no: int) -> int:
        if mask == 0:
            return yes if wanted == 0 else no
        return self.load(offset, self._before(_AND, mask, self.jump(_JEQ, wanted, yes, no)))

    def _before(self, op: int, k: int, then: int) -> int:
        key = (op, then, 0, k)
        if key in self.known and self._distance(self.known[key]) < 250:
            return self.known[key]
        if self._distance(then):
            self._copy(then)
        at = self._emit((op, 0, 0, k))
        self.known[key] = at
        return at

    def _near(self, target: int) -> int:
        """`target`, or a stand-in for it, so near that one more instruction may come between."""
        return target if self._distance(target) < 254 else self._copy(target)

    def _copy(self, target: int) -> int:
        """Stand in for a far target: a return is repeated, everything else is reached by a long jump."""
        instruction = self.code[target]
        if instruction[0] == _RET:
            at = self._emit(instruction)
            self.known[instruction] = at
            return at
        return self._emit((_JA, 0, 0, self._distance(target)))

    def _shared(self, key: tuple[int, int, int, int], instruction: tuple[int, int, int, int]) -> int:
        if key in self.known and self._distance(self.known[key]) < 250:
            return self.known[key]
        at = self._emit(instruction)
        self.known[key] = at
        return at

    def _distance(self, target: int) -> int:
        """Instructions between the next one to be emitted and `target`."""
        return len(self.code) - target - 1

    def _emit(self, instruction: tuple[int, int, int, int]) -> int:
        self.code.append(instruction)
        return len(self.code) - 1

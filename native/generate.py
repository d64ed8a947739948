"""Generate both sides of the opcode table from native/ops.toml: `./dev generate`, or `python native/generate.py`.

The table is written once; the C header, the Python constructors and the catalogue for people follow from it, so
that the two sides of the wire cannot drift. `tests/plans/test_generated.py` fails when a generated file is not what
this program writes.
"""

import hashlib
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "src" / "corten" / "plan"
ACTORS = {"host": 1, "parent": 2, "child": 4, "controller": 8}
SLOTS = {"none": 0, "maybe": 1, "must": 2}
MAX_ARGS = 8

# Each wire letter: the type in Python, the type in C, how C decodes argument i of row r.
WIRE = {
    "s": ("str", "int ", "fd_of(l, r->arg[{i}])"),
    "o": ("str", "int ", "fd_of(l, r->arg[{i}])"),
    "S": ("tuple[str, ...]", "struct slots ", "slots_at(l, r->arg[{i}])"),
    "t": ("str", "const char *", "text_at(l, r->arg[{i}])"),
    "T": ("tuple[str, ...]", "struct texts ", "texts_at(l, r->arg[{i}])"),
    "b": ("bytes", "struct bytes ", "bytes_at(l, r->arg[{i}], 1)"),
    "d": ("tuple[int, ...]", "struct bytes ", "bytes_at(l, r->arg[{i}], 4)"),
    "i": ("int", "int64_t ", "(int64_t)r->arg[{i}]"),
}
# The letter of each argument type; every type that is not here is a family of integers (plan/flags.py).
LETTERS = {"slot": "s", "slot?": "o", "slots": "S", "texts": "T", "bytes": "b", "ids": "d"}
LETTERS |= dict.fromkeys(("path", "cpath", "name", "text"), "t")
NOTICE = "Generated from native/ops.toml by native/generate.py; do not edit."

Table = dict[str, dict[str, Any]]


def read_table() -> tuple[Table, int]:
    """The table and the 64-bit hash of what both sides must agree on, which stands in every plan."""
    table: Table = tomllib.loads((HERE / "ops.toml").read_text())
    for name, op in table.items():
        op["args"] = [tuple(arg.split(": ")) for arg in op["args"]]
        op["letters"] = "".join(LETTERS.get(kind, "i") for _, kind in op["args"])
        op["identifier"] = name.replace("-", "_")
        op["code"] = f"OP_{op['identifier'].upper()}"
        assert len(op["args"]) <= MAX_ARGS, name
        assert set(op["actors"]) <= ACTORS.keys(), name
    wire = [(name, mask(op["actors"]), op["slot"], op["letters"]) for name, op in table.items()]
    return table, int.from_bytes(hashlib.sha256(repr(wire).encode()).digest()[:8], "little")


def mask(actors: list[str]) -> int:
    return sum(ACTORS[actor] for actor in actors)


def in_c(op: dict[str, Any]) -> bool:
    """Whether C executes it; rows of the controller are only counted there."""
    return op["actors"] != ["controller"]


def letters_of(op: dict[str, Any]) -> list[tuple[str, str]]:
    """Each argument's name and wire letter."""
    return [(name, letter) for (name, _), letter in zip(op["args"], op["letters"], strict=True)]


def header(table: Table, digest: int) -> str:
    """native/ops.gen.h"""
    lines = [
        f"/* {NOTICE} */",
        "#ifndef OPS_GEN_H",
        "#define OPS_GEN_H",
        "",
        f"#define PLAN_TABLE_HASH 0x{digest:016x}ull",
        f"#define PLAN_MAX_ARGS {MAX_ARGS}",
        "",
        "enum {",
        *(f"    {op['code']}," for op in table.values()),
        "    OP_COUNT",
        "};",
        "",
        "/* For the decoder: who may run it, whether it makes a descriptor, the wire letters of its arguments. */",
        "static const struct op_info {",
        "    const char *name;",
        "    unsigned char actors, slot;",
        "    char args[PLAN_MAX_ARGS + 1];",
        "} op_table[OP_COUNT] = {",
        *(
            f'    [{op["code"]}] = {{"{name}", {mask(op["actors"])}, {SLOTS[op["slot"]]}, "{op["letters"]}"}},'
            for name, op in table.items()
        ),
        "};",
        "",
    ]
    for op in filter(in_c, table.values()):
        parameters = "".join(f", {WIRE[letter][1]}{name}" for name, letter in letters_of(op))
        lines.append(f"int op_{op['identifier']}(struct launch *l{parameters});")
    lines += ["", "static inline int dispatch(struct launch *l, const struct row *r)", "{", "    switch (r->op) {"]
    for op in filter(in_c, table.values()):
        arguments = "".join(", " + WIRE[letter][2].format(i=i) for i, letter in enumerate(op["letters"]))
        lines += [f"    case {op['code']}:", f"        return op_{op['identifier']}(l{arguments});"]
    return "\n".join([*lines, "    }", "    return -ENOSYS;", "}", "", "#endif", ""])


def constructor(name: str, op: dict[str, Any]) -> list[str]:
    """One typed function that makes a Step."""
    arguments = [arg for arg, _ in op["args"]]
    parameters = [f"{arg}: {WIRE[letter][0]}" for arg, letter in letters_of(op)]
    keywords = {"must": ["slot: str"], "maybe": ['slot: str = ""'], "none": []}[op["slot"]]
    if len(op["actors"]) > 1:
        keywords = [*keywords, f'actor: str = "{op["actors"][0]}"']
    if op.get("accept"):
        keywords = [*keywords, "accept: tuple[int, ...] = ()"]
    keywords += ['why: str = ""', 'origin: str = ""']
    slot = "slot" if op["slot"] != "none" else '""'
    actor = "actor" if len(op["actors"]) > 1 else f'"{op["actors"][0]}"'
    accept = "accept" if op.get("accept") else "()"
    packed = "(" + "".join(f"{arg}, " for arg in arguments).rstrip(" ") + ")"
    return [
        f"def {op['identifier']}({', '.join([*parameters, '*', *keywords])}) -> Step:",
        f'    """{op["text"]}"""',
        f'    return Step("{name}", {packed}, {slot}, {actor}, {accept}, why, origin)',
        "",
        "",
    ]


def constructors(table: Table, digest: int) -> str:
    """src/corten/plan/ops.py"""
    lines = [
        "# fmt: off",
        "# ruff: noqa: E501",
        '"""One typed constructor per operation of the launch plan, and what the encoder must know of each.',
        "",
        f"{NOTICE} What each operation means to people is in `catalog`.",
        "",
        '>>> sethostname("web", why="set in the configuration", origin="/hostname")',
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from corten.plan.step import Step",
        "",
        f"TABLE_HASH = 0x{digest:016X}",
        "",
        "# name: (code, bits of the actors that may run it, slot 0 none 1 maybe 2 must, wire letters of the arguments)",
        "SIGNATURES: dict[str, tuple[int, int, int, str]] = {",
        *(
            f'    "{name}": ({code}, {mask(op["actors"])}, {SLOTS[op["slot"]]}, "{op["letters"]}"),'
            for code, (name, op) in enumerate(table.items())
        ),
        "}",
        f"ACTORS = {ACTORS}".replace("'", '"'),
        "",
        "",
    ]
    for name, op in table.items():
        lines += constructor(name, op)
    return "\n".join(lines).rstrip("\n") + "\n"


def catalog(table: Table) -> str:
    """src/corten/plan/catalog.py"""
    lines = [
        "# fmt: off",
        "# ruff: noqa: E501",
        '"""What each operation is, for people: sentence, manual page, kernel version, specification, system calls.',
        "",
        f"{NOTICE} Only printing and checking import it; compiling does not.",
        '"""',
        "",
        "from typing import NamedTuple",
        "",
        "",
        "class Operation(NamedTuple):",
        '    """A row of the opcode table."""',
        "",
        "    name: str",
        "    actors: tuple[str, ...]",
        "    args: tuple[tuple[str, str], ...]  # (name, type)",
        "    slot: str  # none, maybe, must",
        "    accept: tuple[str, ...]  # names of the errno values that a plan may declare harmless",
        "    calls: tuple[str, ...]",
        "    show: str",
        "    text: str",
        "    man: str",
        "    since: str",
        "    spec: str",
        "",
        "",
        "OPERATIONS: dict[str, Operation] = {",
    ]
    for name, op in table.items():
        fields = [
            name,
            tuple(op["actors"]),
            tuple(op["args"]),
            op["slot"],
            tuple(op.get("accept", ())),
            tuple(op["calls"]),
        ]
        fields += [op[field] for field in ("show", "text", "man", "since", "spec")]
        lines.append(f'    "{name}": Operation({", ".join(map(repr, fields))}),')
    lines += [
        "}",
        "",
        "# The numbers of those calls, to simulate seccomp filters: machine -> (audit value, name -> number).",
    ]
    lines.append("CALLS: dict[str, tuple[int, dict[str, int]]] = {")
    lines += [f'    "{machine}": {call_numbers(table, machine)!r},' for machine in ("x86_64", "aarch64")]
    return "\n".join([*lines, "}", ""])


def call_numbers(table: Table, machine: str) -> tuple[int, dict[str, int]]:
    """What the operations call, by number; a call that the machine has not got under this name is left out."""
    sys.path.insert(0, str(PACKAGE.parent.parent))
    from corten.kernel.syscalls import ARCHES, numbers

    known = numbers(machine)
    called = sorted({call for op in table.values() for call in op["calls"]})
    return ARCHES[machine].audit, {call: known[call] for call in called if call in known}


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    table, digest = read_table()
    return {
        HERE / "ops.gen.h": header(table, digest),
        PACKAGE / "ops.py": constructors(table, digest),
        PACKAGE / "catalog.py": catalog(table),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text)

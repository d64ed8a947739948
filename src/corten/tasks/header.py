"""Write the C side of the protocol table: ``python -m corten.tasks.header > native/monitor.gen.h``."""

from corten.tasks.protocol import FLAGS, MESSAGES, STATUS, VERSION, Message

__all__ = ["render"]

_TYPES = {"u16": "uint16_t", "u32": "uint32_t", "i32": "int32_t", "u64": "uint64_t"}
_SIZES = {"u16": 2, "u32": 4, "i32": 4, "u64": 8}


def _aligned(message: Message) -> bool:
    """Whether a C compiler lays the fields out as the packed table does, wherever the struct ends."""
    offset = 0
    for kind, _ in message.columns():
        if offset % _SIZES[kind]:
            return False
        offset += _SIZES[kind]
    return offset % max(_SIZES[kind] for kind, _ in message.columns()) == 0


def _struct(message: Message) -> str:
    if not _aligned(message):
        raise ValueError(f"{message.name}: reorder or pad the fields so that each is aligned")
    fields = " ".join(f"{_TYPES[kind]} {name};" for kind, name in message.columns())
    return f"struct msg_{message.name.lower()} {{ {fields} }};"


def render() -> str:
    """The whole header."""
    lines = [
        "/* Generated from src/corten/tasks/protocol.py by `python -m corten.tasks.header`; a test compares. */",
        "#ifndef MONITOR_GEN_H",
        "#define MONITOR_GEN_H",
        "#include <stdint.h>",
        "",
        "#ifndef MONITOR_VERSION",
        f"#define MONITOR_VERSION {VERSION}",
        "#endif",
        "",
        "struct msg_header { uint16_t type; uint16_t fixed; uint32_t seq; };",
        "",
        "enum msg_type {",
        *(f"    MSG_{message.name} = {message.number}, /* {message.doc} */" for message in MESSAGES),
        "};",
        "",
        "enum msg_flag {",
        *(f"    FLAG_{name} = {value}," for name, value in FLAGS.items()),
        "};",
        "",
        "enum status {",
        *(f"    STATUS_{name.upper()} = {number}," for number, name in enumerate(STATUS)),
        "};",
        "",
        *(_struct(message) for message in MESSAGES),
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(render(), end="")

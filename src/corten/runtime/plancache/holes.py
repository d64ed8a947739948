"""Holes: the strings of a document that callers fill in anew, by their byte ranges.

A hole must be a string of the plainest characters, without escapes, so that C finds its end without reading JSON, and
at one of the places below, where the compiler hands the string on whole. What else a pass asks of it (is it absolute,
does it lie below /proc) is a condition that the next value must meet too.
"""

from __future__ import annotations

import _json

from corten.runtime.mount_options import parse
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ABSOLUTE", "NO_PROC", "RELATIVE", "Hole", "fill", "in_config", "in_process", "is_plain", "mark"]

ABSOLUTE, RELATIVE, NO_PROC = 1, 2, 4
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:=@-")
_LONGEST = 1000
_MOST = 36  # holes that a value's number leaves room for
Pointer = tuple[str | int, ...]


class Hole:
    """`start` and `end` are the bytes of the string between its quotes; `prefix` is what every value begins with."""

    __slots__ = ("end", "flags", "pointer", "prefix", "start", "text")

    def __init__(self, pointer: Pointer, start: int, end: int, text: str, flags: int, prefix: str = "") -> None:
        self.pointer = pointer
        self.start = start
        self.end = end
        self.text = text
        self.flags = flags
        self.prefix = prefix


def in_config(raw: bytes, spec: Any) -> list[Hole]:
    """The holes of a config.json in the order of its bytes."""
    wanted: dict[Pointer, tuple[int, str]] = {("hostname",): (0, "")}
    linux = spec.get("linux") or {}
    path = linux.get("cgroupsPath") or ""
    wanted["linux", "cgroupsPath"] = (ABSOLUTE if path.startswith("/") else RELATIVE, "")
    if str((spec.get("root") or {}).get("path", "")).startswith("/"):
        wanted["root", "path"] = (ABSOLUTE, "")
    for n, mount in enumerate(spec.get("mounts") or ()):
        source = mount.get("source") or ""
        bound = parse(mount.get("options") or ()).bind or mount.get("type") == "bind"
        if bound and source.startswith("/") and not source.startswith("/proc"):
            wanted["mounts", n, "source"] = (ABSOLUTE | NO_PROC, "")
    for n, namespace in enumerate(linux.get("namespaces") or ()):
        if namespace.get("path"):
            wanted["linux", "namespaces", n, "path"] = (ABSOLUTE, "")
    for n, entry in enumerate((spec.get("process") or {}).get("env") or ()):
        if entry.startswith("HOSTNAME="):
            wanted["process", "env", n] = (0, "HOSTNAME=")
    return _found(raw, wanted)


def in_process(raw: bytes, process: Any) -> list[Hole]:
    """The holes of a process document: its arguments."""
    return _found(raw, {("args", n): (0, "") for n in range(len(process.get("args") or ()))})


def is_plain(text: str, flags: int) -> bool:
    """Whether C would take this text for a hole."""
    if not text or len(text) > _LONGEST or not _PLAIN.issuperset(text):
        return False
    path = flags & (ABSOLUTE | RELATIVE)
    return not path or not {"", ".", ".."} & set(text.removeprefix("/").split("/"))


def mark(document: Any, holes: list[Hole], first: int) -> None:
    """Put a `Value` in the place of each hole's string."""
    from corten.runtime.plancache.values import Value

    for n, hole in enumerate(holes):
        place = document
        for step in hole.pointer[:-1]:
            place = place[step]
        place[hole.pointer[-1]] = Value.of(place[hole.pointer[-1]], first + n)


def fill(raw: bytes, holes: list[Hole], texts: list[str]) -> bytes:
    """The document with other strings in its holes."""
    parts, at = [], 0
    for hole, text in zip(holes, texts, strict=True):
        parts += [raw[at : hole.start], text.encode()]
        at = hole.end
    return b"".join((*parts, raw[at:]))


def _found(raw: bytes, wanted: dict[Pointer, tuple[int, str]]) -> list[Hole]:
    above = {pointer[:n] for pointer in wanted for n in range(len(pointer))}
    strings: dict[Pointer, tuple[int, int]] = {}
    # One character a byte: quotes and escapes are what they are in UTF-8 too.
    _walk(raw.decode("latin-1"), 0, (), above, wanted, strings)
    holes: list[Hole] = []
    for pointer, (start, end) in sorted(strings.items(), key=lambda item: item[1]):
        flags, prefix = wanted[pointer]
        text = raw[start:end].decode("latin-1")
        if is_plain(text, flags) and len(holes) < _MOST:
            holes.append(Hole(pointer, start, end, text, flags, prefix))
    return holes


def _space(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _walk(text: str, at: int, pointer: Pointer, above: set[Pointer], wanted: Any, strings: Any) -> int:
    """Read the value at `at`, noting wanted strings; where it ends. What holds none of them C's scanner skips."""
    at = _space(text, at)
    if pointer in wanted and text[at] == '"':
        _, end = _json.scanstring(text, at + 1, True)
        strings[pointer] = (at + 1, end - 1)
        return end
    if pointer not in above or text[at] not in "{[":
        return codec.end_of_value(text, at)
    return _walk_items(text, at, pointer, above, wanted, strings)


def _walk_items(text: str, at: int, pointer: Pointer, above: set[Pointer], wanted: Any, strings: Any) -> int:
    is_object, n = text[at] == "{", 0
    at = _space(text, at + 1)
    while text[at] not in "}]":
        key: str | int = n
        if is_object:
            key, at = _json.scanstring(text, at + 1, True)
            at = _space(text, at) + 1  # the colon
        at = _space(text, _walk(text, at, (*pointer, key), above, wanted, strings))
        at = _space(text, at + 1) if text[at] == "," else at
        n += 1
    return at + 1

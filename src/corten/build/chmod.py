"""`--chmod`: octal, or symbolic as chmod(1) has it.

>>> oct(mode_of("u=rwX,go=rX", 0o100600)), oct(mode_of("755", 0o100600)), oct(mode_of("a+x", 0o100644))
('0o644', '0o755', '0o755')
"""

import re
import stat

from corten.model.errors import InvalidArgument

__all__ = ["mode_of"]

CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)")
ACTION = re.compile(r"([-+=])([rwxXstugo]*)")
SHIFT = {"u": 6, "g": 3, "o": 0}


def mode_of(text: str, mode: int) -> int:
    """The permission bits of a file whose st_mode is `mode` after ``chmod text``; raises InvalidArgument."""
    if re.fullmatch(r"[0-7]{1,4}", text):
        return int(text, 8)
    bits = stat.S_IMODE(mode)
    for clause in text.split(","):
        match = CLAUSE.fullmatch(clause)
        if not match:
            hint = "write octal digits (755) or a symbolic mode (u=rwX,go=rX)"
            raise InvalidArgument(f"invalid chmod parameter: {text!r}", hint=hint)
        who = "ugo" if not match[1] or "a" in match[1] else match[1]
        for sign, letters in ACTION.findall(match[2]):
            bits = changed(bits, who, sign, letters, executable=stat.S_ISDIR(mode) or bool(bits & 0o111))
    return bits


def changed(bits: int, who: str, sign: str, letters: str, *, executable: bool) -> int:
    wanted, cleared = 0, 0
    for one in who:
        triple = three(bits, letters, executable=executable)
        wanted |= triple << SHIFT[one]
        cleared |= 7 << SHIFT[one]
        if "s" in letters and one in "ug":
            wanted |= 0o4000 if one == "u" else 0o2000
    if "t" in letters:
        wanted |= 0o1000
    if sign == "+":
        return bits | wanted
    return bits & ~wanted if sign == "-" else bits & ~cleared | wanted


def three(bits: int, letters: str, *, executable: bool) -> int:
    """The read, write and execute bits that the letters mean."""
    found = 0
    for letter in letters:
        if letter in SHIFT:
            found |= bits >> SHIFT[letter] & 7
        else:
            found |= {"r": 4, "w": 2, "x": 1, "X": 1 if executable else 0}.get(letter, 0)
    return found

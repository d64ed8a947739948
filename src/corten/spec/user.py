"""Finds the user a container runs as, in the image's own /etc/passwd and /etc/group.

The files belong to whoever made the image, so they are hostile: they are opened below a handle of the root with
openat2(RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS), read to a bound, and never reached through a path of the host.

A user is written `name`, `uid`, `name:group`, `uid:gid` or mixed. Numbers need no entry; names do. Without a group
the supplementary groups are those whose member list names the user. The primary group is always among them too, or a
process could shed a negative group permission by leaving it (CVE-2022-36109). A number above 2^31-1 is refused: it
would wrap around to root in places that read it signed (CVE-2024-40635).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from corten.kernel import rooted
from corten.model.errors import InvalidArgument

__all__ = ["Identity", "lookup"]

MOST_BYTES = 4 << 20
HIGHEST_ID = (1 << 31) - 1


class Identity(NamedTuple):
    """Who a process is: the ids, the groups besides, and what HOME should be."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class Passwd(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


class Group(NamedTuple):
    name: str
    gid: int
    members: frozenset[str]


def lookup(root_fd: int, wanted: str, group_add: Iterable[str] = ()) -> Identity:
    """The identity that `wanted` means in the root behind `root_fd`; "" means root.

    `group_add` are further groups by name or number. Raises InvalidArgument with Docker's texts for what is unknown.
    """
    user, colon, group = wanted.partition(":")
    passwd = find_user(read_passwd(root_fd), user)
    groups = read_groups(root_fd)
    gid = find_group(groups, group) if colon and group else passwd.gid
    named = () if colon and group else tuple(g.gid for g in groups if passwd.name in g.members and passwd.name)
    added = tuple(find_added_group(groups, name) for name in group_add)
    return Identity(passwd.uid, gid, tuple(dict.fromkeys((gid, *named, *added))), passwd.home or "/")


def find_user(entries: list[Passwd], wanted: str) -> Passwd:
    """The entry of a name or number; a number without entry has group 0 and no name."""
    number = as_id(wanted) if wanted else 0
    for entry in entries:
        if entry.name == wanted or (number is not None and entry.uid == number):
            return entry
    if number is None:
        raise InvalidArgument(f"unable to find user {wanted}: no matching entries in passwd file")
    return Passwd("", number, 0, "/")


def find_group(groups: list[Group], wanted: str) -> int:
    number = as_id(wanted)
    for group in groups:
        if group.name == wanted or (number is not None and group.gid == number):
            return group.gid
    if number is None:
        raise InvalidArgument(f"unable to find group {wanted}: no matching entries in group file")
    return number


def find_added_group(groups: list[Group], wanted: str) -> int:
    try:
        return find_group(groups, wanted)
    except InvalidArgument:
        raise InvalidArgument(f"Unable to find group {wanted}") from None


def as_id(text: str) -> int | None:
    """The number, or None for a name. Only digits count: "+0", "0x0" and the like are names, which no file has."""
    if not (text.isascii() and text.isdigit()):
        return None
    if int(text) > HIGHEST_ID:
        raise InvalidArgument(f"uids and gids must be in range 0-{HIGHEST_ID}, not {text}")
    return int(text)


def read_passwd(root_fd: int) -> list[Passwd]:
    """The entries that are whole; lines that are not are passed over, as getpwnam(3) does."""
    entries = []
    for fields in records(root_fd, "etc/passwd", 4):
        uid, gid = whole(fields[2]), whole(fields[3])
        if uid is not None and gid is not None:
            entries.append(Passwd(fields[0], uid, gid, fields[5] if len(fields) > 5 else ""))
    return entries


def read_groups(root_fd: int) -> list[Group]:
    entries = []
    for fields in records(root_fd, "etc/group", 3):
        if (gid := whole(fields[2])) is not None:
            members = fields[3].split(",") if len(fields) > 3 else []
            entries.append(Group(fields[0], gid, frozenset(filter(None, members))))
    return entries


def whole(text: str) -> int | None:
    """An id in a file; one out of range makes its line no entry at all."""
    valid = text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= HIGHEST_ID
    return int(text) if valid else None


def records(root_fd: int, path: str, least: int) -> list[list[str]]:
    """The colon-separated records of a file in the root that have at least `least` fields; a missing file has none."""
    split = (line.strip().split(":") for line in read_text(root_fd, path).splitlines())
    return [fields for fields in split if len(fields) >= least and not fields[0].startswith("#")]


def read_text(root_fd: int, path: str) -> str:
    try:
        fd = rooted.open(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    with open(fd, "rb") as file:
        # A fifo or device in its place would block, or do something when read.
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return file.read(MOST_BYTES).decode(errors="replace")

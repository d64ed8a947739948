"""A snapshotter's mounts become rows that make the root file system out of everybody's sight."""

from typing import Any, cast

import pytest

from corten.kernel.probe import Host
from corten.model.errors import InvalidArgument
from corten.model.mount import Mount
from corten.plan import Step
from corten.runtime.compiler import Options, rootfs
from corten.runtime.compiler.draft import Draft


def rows(mount: Mount, *, release: tuple[int, int] = (6, 1)) -> list[Step]:
    host = Host(release=release, euid=0)
    draft = Draft({"ociVersion": "1.2.0"}, host, Options(rootfs=(mount,)), bundle="/b", id="x")
    rootfs.made(draft)
    return draft.before


def overlay(lowers: int) -> Mount:
    names = ":".join(f"/store/{number:05}/fs" for number in range(lowers))
    return Mount(
        "overlay",
        "overlay",
        (f"lowerdir={names}", "upperdir=/store/u/fs", "workdir=/store/u/work", "index=off", "volatile"),
    )


def test_names_are_relative_to_the_directory_they_share() -> None:
    opened, moved, made = rows(overlay(2))
    assert opened.args[0] == "/store"
    assert moved.op == "chdir-to"
    kind, options, switches, _ = cast(Any, made.args)
    assert kind == "overlay"
    assert options[2:] == ("lowerdir", "00000/fs:00001/fs", "upperdir", "u/fs", "workdir", "u/work", "index", "off")
    assert switches == ("volatile",)


def test_many_layers_are_given_one_by_one_where_the_kernel_takes_that() -> None:
    options = cast(Any, rows(overlay(40), release=(6, 6))[-1].args[1])
    assert options.count("lowerdir+") == 40
    with pytest.raises(InvalidArgument, match="too deep"):
        rows(overlay(40), release=(6, 1))


def test_a_directory_is_cloned() -> None:
    (row,) = rows(Mount("bind", "/store/a/fs", ("rbind", "rw")))
    assert (row.op, row.args[1]) == ("open-tree", "/store/a/fs")


def test_any_other_type_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="type tmpfs"):
        rows(Mount("tmpfs", "tmpfs"))

"""What may be kept of a compilation: it reads the host through `Witnessed` alone, and values reach their rows whole."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.plan.rules import check
from corten.runtime.compiler import Options, compile
from corten.runtime.plancache import holes as holes_of
from corten.runtime.plancache import template
from corten.runtime.plancache.host import Witnessed
from corten.runtime.plancache.values import BUNDLE, HOLES, ID, Value
from corten.runtime.template import config

# Told by the key: our cgroups, capabilities, limits and ids; where cgroups are mounted has witnesses of its own.
KEYED = {f"/proc/self/{name}" for name in ("cgroup", "mountinfo", "status", "limits", "uid_map")}
opened: list[str] | None = None


def note(event: str, args: tuple[Any, ...]) -> None:
    if opened is not None and event in ("open", "os.listdir", "os.scandir"):
        opened.append(str(args[0]))


sys.addaudithook(note)


@contextmanager
def watched() -> Iterator[list[str]]:
    global opened
    opened = []
    try:
        yield opened
    finally:
        opened = None


def rich() -> Any:
    """A configuration that makes the compiler ask the host many things."""
    spec: Any = json.loads(json.dumps(config()))
    spec["process"] |= {"terminal": False, "oomScoreAdj": 900}
    spec["process"]["env"].append("HOSTNAME=web")
    spec["linux"]["cgroupsPath"] = "/corten/web"
    spec["linux"]["resources"] = {"memory": {"limit": 1 << 27}, "cpu": {"shares": 512}, "pids": {"limit": 99}}
    spec["root"]["path"] = "/images/web"
    spec["mounts"].append({"destination": "/data", "type": "bind", "source": "/srv/web", "options": ["rbind"]})
    return spec


def test_compiling_opens_nothing_but_what_the_key_or_a_witness_tells() -> None:
    compile(rich(), Witnessed(), bundle="/bundle", id="web", options=Options())  # imports are done
    host = Witnessed()
    with watched() as files:
        compile(rich(), host, bundle="/bundle", id="web", options=Options())
    told = KEYED | {witness.path for witness in host.witnesses()}
    assert set(files) - told == set()
    assert host.unknown() == []


def compiled(raw: bytes, id: str, bundle: str) -> Any:
    spec = json.loads(raw)
    holes = holes_of.in_config(raw, spec)
    holes_of.mark(spec, holes, HOLES)
    return holes, compile(
        spec, Witnessed(), bundle=Value.of(bundle, BUNDLE), id=Value.of(id, ID), options=Options(listener=True)
    )


RAW = json.dumps(rich()).encode()
WORD = st.text("abcXYZ019_.:=@-", min_size=1, max_size=40).filter(lambda word: word not in (".", ".."))
PLACE = st.lists(WORD, min_size=1, max_size=5).map(lambda words: "/" + "/".join(words))


@given(values=st.data(), id=WORD, bundle=PLACE)
def test_any_values_that_fill_the_holes_compile_to_the_same_rows(values: st.DataObject, id: str, bundle: str) -> None:
    holes, plan = compiled(RAW, "web", "/bundle")
    assert len(holes) == 5
    texts = []
    for hole in holes:
        path = hole.flags & (holes_of.ABSOLUTE | holes_of.RELATIVE)
        text = hole.prefix + values.draw(PLACE if path else WORD)
        texts.append(f"/srv{text}" if hole.flags & holes_of.NO_PROC else text)
    others, other = compiled(holes_of.fill(RAW, holes, texts), id, bundle)
    assert [hole.pointer for hole in others] == [hole.pointer for hole in holes]
    assert template.same(plan, other)
    assert check(other) == []


@pytest.mark.parametrize("text", ['a"', "a\\", "é", "a b", "", "a\n", "x" * 1001])
def test_a_string_of_other_characters_is_no_hole(text: str) -> None:
    spec = rich() | {"hostname": text}
    raw = json.dumps(spec).encode()
    assert ("hostname",) not in [hole.pointer for hole in holes_of.in_config(raw, spec)]


def test_a_value_that_is_spliced_is_found_out() -> None:
    from corten.plan import LaunchPlan, ops

    def of(value: str) -> LaunchPlan:
        return LaunchPlan([ops.sethostname(f"host-{Value.of(value, HOLES)}")])

    assert not template.same(of("a"), of("b"))


def test_byte_ranges_are_right_in_any_layout() -> None:
    odd = json.dumps(rich() | {"é": '\\"é'}, ensure_ascii=False)
    for raw in (RAW, json.dumps(rich(), indent=3).encode(), odd.encode()):
        for hole in holes_of.in_config(raw, json.loads(raw)):
            assert raw[hole.start - 1 : hole.start] == raw[hole.end : hole.end + 1] == b'"'
            assert raw[hole.start : hole.end].decode() == hole.text

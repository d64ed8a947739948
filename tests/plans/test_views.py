"""The views of a plan: text, JSON, diagram, explanation, difference, and back from the wire."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten import plan as plans
from corten.model.errors import InvalidArgument
from corten.plan import LaunchPlan, Step
from corten.plan.catalog import OPERATIONS
from corten.plan.flags import CLONE_NEWNS, MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY
from corten.plan.ops import SIGNATURES
from corten.plan.step import Arg
from tests.root.plans import bundle

PLAN = bundle.docker_like(Path("/rootfs"), ("sh", "-c", "echo hello"))


def row(step: Step) -> str:
    return plans.describe(LaunchPlan([step])).split(maxsplit=2)[2].strip()


def test_a_row_reads_as_a_sentence_without_empty_arguments() -> None:
    assert row(plans.ops.clone(CLONE_NEWNS, "", slot="pidfd")) == "clone mnt -> pidfd"
    assert row(plans.ops.clone(CLONE_NEWNS, "cg", slot="pidfd")) == "clone mnt into cgroup cg -> pidfd"
    attributes = plans.ops.mount_setattr("m", MOUNT_ATTR_RDONLY, MOUNT_ATTR_NODEV, 0, "", 1)
    assert row(attributes) == "set m ro not nodev recursively"
    assert row(plans.ops.mkdir("/sys/fs/cgroup/x", 0o755, accept=(17,))) == "mkdir /sys/fs/cgroup/x 0755 unless EEXIST"
    assert row(plans.ops.exec(("sh", "-c", 'echo "a b"\n'), ())) == r'exec sh -c "echo \"a b\"\n"'


def test_blobs_are_shown_as_text_or_by_digest() -> None:
    assert (
        row(plans.ops.write_at("cg", "cpu.max", b"50000 100000", actor="host")) == 'write "50000 100000" to cg/cpu.max'
    )
    assert "(8 bytes, sha256 af5570f5a181)" in row(plans.ops.seccomp(bytes(8), 0))


def test_json_has_every_row_with_its_reason() -> None:
    document = json.loads(json.dumps(plans.as_json(PLAN)))
    assert [step["op"] for step in document["steps"]] == [step.op for step in PLAN.steps]
    assert all(step["why"] and step["text"] for step in document["steps"])


def test_the_diagram_names_every_row_once() -> None:
    text = plans.mermaid(PLAN)
    assert text.startswith("sequenceDiagram\n")
    notes = [
        note for line in text.splitlines() if "Note over" in line for note in line.split(": ", 1)[1].split("<br/>")
    ]
    assert [int(note.split()[0]) for note in notes] == list(range(len(PLAN.steps)))


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_can_be_explained(op: str) -> None:
    operation = OPERATIONS[op]
    sample: dict[str, Arg] = {"s": "s0", "o": "", "S": (), "t": "x", "T": ("x",), "b": b"x", "d": (1,), "i": 1}
    args = tuple(sample[letter] for letter in SIGNATURES[op][3])
    step = Step(op, args, "s1" if operation.slot != "none" else "", operation.actors[0])
    text = plans.explain(LaunchPlan([step]), 0)
    for part in (operation.text, operation.man, operation.since, operation.spec, *operation.calls):
        assert part in text


def test_explaining_a_row_that_is_not_there_says_which_are() -> None:
    with pytest.raises(InvalidArgument, match="rows 0 to 64"):
        plans.explain(PLAN, 65)


def test_a_difference_shows_only_what_changed() -> None:
    other = bundle.docker_like(Path("/rootfs"), ("ls",))
    assert plans.diff(PLAN, PLAN) == ""
    changed = plans.diff(PLAN, other).splitlines()
    assert [line[0] for line in changed] == ["-", "+", "-", "+"]
    assert changed[-1].endswith("exec ls  [/process/args]")


def test_the_wire_form_reads_back_to_the_same_bytes() -> None:
    raw = plans.encode(PLAN)
    again = plans.decode(raw)
    assert plans.encode(again) == raw
    assert [step.op for step in again.steps] == [step.op for step in PLAN.steps]


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_do_anything_but_refuse(raw: bytes) -> None:
    with pytest.raises(InvalidArgument):
        plans.decode(raw)


@given(st.data())
def test_a_damaged_plan_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(plans.encode(PLAN))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidArgument):
        plans.decode(bytes(raw))

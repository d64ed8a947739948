"""The wire form of a plan: what fits is written, what does not is refused with the row and its origin."""

import pytest

from corten.model.errors import InvalidArgument
from corten.plan import LaunchPlan, Step, encode, ops
from corten.plan.encode import HEADER, MAGIC, MAX_ROWS, MAX_SLOTS, ROW
from corten.plan.flags import CLONE_NEWUTS, O_PATH


def test_a_plan_begins_with_its_own_size_and_counts() -> None:
    raw = encode(LaunchPlan([ops.clone(CLONE_NEWUTS, "", slot="pidfd"), ops.sethostname("web")], [(5, "start")]))
    magic, version, flags, _, size, rows, slots, inherits, _, _ = HEADER.unpack_from(raw)
    assert (magic, version, flags, size, rows, slots, inherits) == (MAGIC, 1, 0, len(raw), 2, 2, 1)


def test_equal_strings_are_written_once() -> None:
    steps = [ops.exec(("/bin/true",) * 20, ("/bin/true",) * 20)]
    assert encode(LaunchPlan(steps)).count(b"/bin/true\0") == 1


def test_integers_keep_all_their_64_bits() -> None:
    raw = encode(LaunchPlan([ops.rlimit(7, -1, 2**64 - 1, actor="child")]))
    assert ROW.unpack_from(raw, HEADER.size)[6:9] == (7, 2**64 - 1, 2**64 - 1)


@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (ops.attach("nowhere", "root"), "no row before it makes the slot 'nowhere'"),
        (ops.sethostname("we\0b"), "NUL byte"),
        (ops.open("/", O_PATH, slot=""), "signature"),
        (ops.sethostname("web").replace(slot="s"), "signature"),
        (ops.sethostname("web").replace(actor="host"), "signature"),
        (ops.open("/", O_PATH, slot="s", accept=(1, 2, 3, 4)), "at most three"),
        (ops.open("/", O_PATH, slot="s", accept=(1000,)), ""),
        (Step("rlimit", ("a", 1, 2), "", "child"), ""),
        (Step("groups", ((-1,),), "", "child"), ""),
        (Step("fly", (), "", "child"), "fly"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_place(step: Step, cause: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot encode row 1") as caught:
        encode(LaunchPlan([ops.setsid(), step.replace(origin="/hostname")]))
    assert cause in caught.value.message
    assert caught.value.place == "/hostname"


def test_limits_are_refused_before_c_would() -> None:
    with pytest.raises(InvalidArgument, match="rows"):
        encode(LaunchPlan([ops.setsid()] * (MAX_ROWS + 1)))
    with pytest.raises(InvalidArgument, match="slots"):
        encode(LaunchPlan(ops.open("/", O_PATH, slot=f"s{number}") for number in range(MAX_SLOTS + 1)))

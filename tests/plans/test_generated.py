"""The generated sides of the opcode table are what native/generate.py writes, and the table itself is complete."""

import errno
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from corten.kernel.syscalls import numbers
from corten.plan import encode, ops
from corten.plan.catalog import OPERATIONS, Operation

NATIVE = Path(__file__).parent.parent.parent / "native"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", NATIVE / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_files_are_what_the_table_says() -> None:
    for path, text in generator().generated().items():
        assert path.read_text() == text, f"{path.name} is stale: run ./dev generate"


def test_the_constants_of_the_wire_are_the_same_in_c() -> None:
    header = (NATIVE / "launch.h").read_text()
    for name in ("MAX_ROWS", "MAX_SLOTS"):
        match = re.search(rf"{name} = (\d+)", header)
        assert match
        assert int(match[1]) == getattr(encode_module(), name)


def encode_module() -> ModuleType:
    return importlib.import_module(encode.__module__)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_every_operation_teaches(operation: Operation) -> None:
    assert operation.text.endswith(".")
    assert len(operation.text) > 30, "one whole sentence"
    assert re.fullmatch(r"[a-z0-9_.]+\([1-8]\)", operation.man)
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", operation.since)
    assert re.fullmatch(r"(config|config-linux|runtime|runtime-linux)\.md#[a-z-]+", operation.spec)
    shown = set(re.findall(r"\{(\w+)", operation.show))
    assert {name for name, _ in operation.args} - {"env", "metadata"} == shown, "a row shows what it is about"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_every_operation_names_real_calls_and_errors(operation: Operation) -> None:
    assert all(hasattr(errno, name) for name in operation.accept)
    assert set(operation.calls) <= numbers("x86_64").keys()
    assert ops.SIGNATURES[operation.name][0] == list(OPERATIONS).index(operation.name)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_the_kernel_floor_has_every_operation(operation: Operation) -> None:
    version = tuple(map(int, operation.since.split(".")))
    assert version <= (5, 15), "a newer call needs a probe and a choice in the compiler, not a row"

"""Every declared flag, field, parameter and opcode has a true row in tests/claims.toml.

The declaring tables are asked for their names; the file must have exactly those rows, and each test must exist.
"""

import ast
import functools
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.compared_claims import unseen
from tests.declared import declared

ROOT = Path(__file__).parent.parent
KINDS = {"works", "ignored-as-docker", "refused"}
CLAIMS: dict[str, dict[str, dict[str, dict[str, str]]]] = tomllib.loads((ROOT / "tests/claims.toml").read_text())
DECLARED = declared()


def rows() -> Iterator[tuple[str, str, str, dict[str, str]]]:
    for family, sections in CLAIMS.items():
        for section, entries in sections.items():
            for name, row in entries.items():
                yield family, section, name, row


@functools.cache
def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_declared_name_has_a_row() -> None:
    for (family, table), names in DECLARED.items():
        claimed = set(CLAIMS.get(family, {}).get(table, {}))
        assert claimed == names, f"[{family}.{table}] of tests/claims.toml differs from the declaring table"


def test_no_section_is_claimed_that_no_table_declares() -> None:
    assert {(family, section) for family, section, _, _ in rows()} <= set(DECLARED)


def test_each_row_has_one_kind_and_a_test_that_exists() -> None:
    for family, section, name, row in rows():
        where = f"{family}.{section}.{name}"
        assert len(row) == 1, f"{where}: a row has one kind"
        assert set(row) <= KINDS, f"{where}: unknown kind"
        if "works" in row:
            file, _, test = row["works"].partition("::")
            assert (ROOT / file).is_file(), f"{where}: no file {file}"
            assert test.partition("[")[0] in functions_in(ROOT / file), f"{where}: {file} has no {test}"
        else:
            assert len(next(iter(row.values()))) > 10, f"{where}: say the reason"


def test_flags_that_shape_a_container_are_seen_from_inside_it() -> None:
    assert unseen() == []

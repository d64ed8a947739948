"""The storeys of docs/house.md, enforced: a package imports only packages of a lower storey."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "corten"

STOREYS = [
    {"model", "wire", "plan", "kernel"},
    {"content", "metadata", "snapshots", "layers", "remote", "runtime", "sbom"},
    {"images", "tasks", "network", "spec", "registry"},
    {"engine", "build", "pods", "supply"},
    {"api"},
    {"daemon", "client", "compose"},
    {"cli", "web"},
]
STOREY = {package: number for number, storey in enumerate(STOREYS) for package in storey}
# Wire types (exact JSON of one API) and errors are nouns that any package of the ground storey may name.
GROUND_MAY_IMPORT = {"model"}
FORBIDDEN = {("cli", "daemon"), ("web", "daemon"), ("client", "daemon"), ("compose", "daemon")}
# Neighbours on one storey that the house allows, each with its reason in docs/house.md.
NEIGHBOURS = {("cli", "web")}

MODULES = sorted(SOURCE.rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("corten.")}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_package_imports_only_lower_storeys(module: Path) -> None:
    package = module.relative_to(SOURCE).parts[0]
    if package not in STOREY:
        return
    for target in imported(ast.parse(module.read_text())) & STOREY.keys() - {package}:
        if (package, target) in NEIGHBOURS or (STOREY[package] == 0 and target in GROUND_MAY_IMPORT):
            continue
        assert STOREY[target] < STOREY[package], f"{package} must not import {target}"
        assert (package, target) not in FORBIDDEN, f"{package} must not import {target}"


def test_every_package_opens_with_a_docstring_and_pins_what_it_exports() -> None:
    for package in sorted(STOREY.keys()):
        init = SOURCE / package / "__init__.py"
        if not init.exists():
            continue
        tree = ast.parse(init.read_text())
        assert ast.get_docstring(tree), f"{package} has no tutorial docstring"
        targets = {getattr(t, "id", "") for n in tree.body if isinstance(n, ast.Assign) for t in n.targets}
        targets |= {getattr(n.target, "id", "") for n in tree.body if isinstance(n, ast.AnnAssign)}
        assert "__all__" in targets, f"{package} does not pin __all__"

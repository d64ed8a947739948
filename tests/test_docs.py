"""Documents that lie are worse than none: their links lead somewhere, their commands exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_link_leads_to_a_file(document: Path) -> None:
    targets = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


def test_the_house_names_every_package() -> None:
    house = (ROOT / "docs/house.md").read_text()
    packages = {path.parent.name for path in (ROOT / "src/corten").glob("*/__init__.py")}
    assert not {package for package in packages if f"`{package}`" not in house}


def test_the_readmes_commands_are_the_developer_scripts() -> None:
    script = (ROOT / "dev").read_text()
    named = set(re.findall(r"\./dev (\w+)", (ROOT / "README.md").read_text()))
    assert named <= set(re.findall(r"\./dev (\w+)", script))

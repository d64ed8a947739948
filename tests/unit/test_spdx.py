"""The SPDX document of a bootstrapped image: valid, whole, the same twice; licences in SPDX's words."""

import json
from pathlib import Path

import pytest

from corten.images.bootstrap.licences import NOTHING, expression, references
from tests.mirror import Mirror
from tests.unit.test_bootstrap import bootstrap, layer, mirror

__all__ = ["mirror"]

HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (["GPL-2+"], "GPL-2.0-or-later"),
        (["GPL-2", "Expat"], "GPL-2.0-only AND MIT"),
        (["GPL-2+ or Artistic", "LGPL-2.1"], "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND LGPL-2.1-only"),
        (["GPL-3+ and ISC"], "GPL-3.0-or-later AND ISC"),
        (["BSD-3-clause or GPL-1+ and Zlib"], "BSD-3-Clause OR (GPL-1.0-or-later AND Zlib)"),
        (["GFDL-NIV-1.3+"], "GFDL-1.3-no-invariants-or-later"),
        (["GPL-2 with Linux-syscall-note exception"], "LicenseRef-GPL-2-with-Linux-syscall-note-exception"),
        (["public-domain"], "LicenseRef-public-domain"),
    ],
)
def test_a_machine_readable_copyright_file_gives_an_expression(fields: list[str], wanted: str) -> None:
    assert expression(HEAD + "".join(f"\nFiles: *\nLicense: {one}\n text\n" for one in fields)) == wanted


def test_free_prose_says_nothing_that_is_repeated() -> None:
    assert expression("This is free software; License: GPL-2\n") == NOTHING
    assert expression("") == NOTHING
    assert references(["MIT AND LicenseRef-a", "LicenseRef-b OR LicenseRef-a"]) == ["LicenseRef-a", "LicenseRef-b"]


def test_the_document_is_valid_and_names_every_package(mirror: Mirror, tmp_path: Path) -> None:
    parser = pytest.importorskip("spdx_tools.spdx.parser.parse_anything", reason="spdx-tools is not installed")
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    text = HEAD + "License: GPL-2+ or custom\n"
    mirror.add(
        "c++-things",
        {"usr/share/doc/c++-things/copyright": text.encode()},
        version="1:2.0+dfsg-1~x",
        Maintainer="A B <a@example.test>",
        Homepage="https://example.test/",
        Source="things (2.0)",
        Description="things",
        Depends="libc6, dash",
    )
    mirror.publish()
    result = bootstrap(mirror, tmp_path / "cache", packages=("c++-things",))
    file = tmp_path / "sbom.spdx.json"
    file.write_bytes(result.sbom)
    assert validate_full_spdx_document(parser.parse_file(str(file)), "SPDX-2.3") == []
    document = json.loads(result.sbom)
    packages = {one["name"]: one for one in document["packages"]}
    assert set(packages) == {one.name for one in result.packages} | {"debian:bookworm"}
    things = packages["c++-things"]
    assert things["licenseDeclared"] == "GPL-2.0-or-later OR LicenseRef-custom"
    assert things["externalRefs"][0]["referenceLocator"] == (
        "pkg:deb/debian/c%2B%2B-things@1:2.0%2Bdfsg-1~x?arch=amd64&distro=bookworm"
    )
    assert things["supplier"] == "Person: A B (a@example.test)"
    edges = {
        (row["spdxElementId"], row["relationshipType"], row["relatedSpdxElement"]) for row in document["relationships"]
    }
    assert (things["SPDXID"], "DEPENDS_ON", packages["dash"]["SPDXID"]) in edges
    with layer(result) as archive:
        inside = archive.extractfile("var/lib/db/sbom/corten.spdx.json")
        assert inside
        assert inside.read() == result.sbom

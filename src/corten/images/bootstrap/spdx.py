"""What is in the image, as an SPDX 2.3 document (<https://spdx.github.io/spdx-spec/v2.3/>).

It lies in the image at `PATH`, where scanners look for such files, and says for each package its version, its purl,
the SHA-256 of the file it came from, its source, and its licences as far as Debian's copyright files name them.
Nothing in it depends on the mirror, the clock or this machine, so that the image's digest does not either.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from corten import __version__
from corten.images.bootstrap.index import Package, relations
from corten.images.bootstrap.licences import NOTHING, expression, references

__all__ = ["PATH", "Contents", "document"]

PATH = "var/lib/db/sbom/corten.spdx.json"
ROOT = "SPDXRef-image"
PERSON = re.compile(r"^\s*(.*?)\s*<([^<>]+)>\s*$")


class Contents(NamedTuple):
    """What the document tells of: control paragraphs and copyright files by package name."""

    name: str
    codename: str
    date: int
    packages: Sequence[Package]
    controls: Mapping[str, str]
    copyrights: Mapping[str, str]


def document(contents: Contents) -> bytes:
    """The document's bytes: the same contents give the same ones."""
    packages = [described(one, contents) for one in contents.packages]
    used = references([one["licenseDeclared"] for one in packages])
    body: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": contents.name,
        "creationInfo": {
            "created": datetime.fromtimestamp(contents.date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: corten-{__version__}"],
        },
        "packages": [image(contents), *packages],
        "relationships": relationships(contents),
    }
    if used:
        body["hasExtractedLicensingInfos"] = [extracted(one) for one in used]
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    body["documentNamespace"] = f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=5)}"
    return json.dumps(body, sort_keys=True, indent=1).encode() + b"\n"


def image(contents: Contents) -> dict[str, Any]:
    return {
        "SPDXID": ROOT,
        "name": contents.name,
        "downloadLocation": NOTHING,
        "filesAnalyzed": False,
        "licenseConcluded": NOTHING,
        "licenseDeclared": NOTHING,
        "copyrightText": NOTHING,
        "primaryPackagePurpose": "CONTAINER",
    }


def described(one: Package, contents: Contents) -> dict[str, Any]:
    fields = paragraph(contents.controls[one.name])
    found = {
        "SPDXID": identifier(one.name),
        "name": one.name,
        "versionInfo": one.version,
        "packageFileName": one.url.rpartition("/")[2],
        "supplier": supplier(fields.get("Maintainer", "")),
        "downloadLocation": NOTHING,
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": one.sha256}],
        "sourceInfo": f"built from the source package {fields.get('Source', one.name)}",
        "licenseConcluded": NOTHING,
        "licenseDeclared": expression(contents.copyrights.get(one.name, "")),
        "copyrightText": NOTHING,
        "summary": fields.get("Description", ""),
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": purl(one, contents.codename),
            }
        ],
    }
    homepage = fields.get("Homepage", "")
    return {**found, **({"homepage": homepage} if re.match(r"https?://\S+$", homepage) else {})}


def purl(one: Package, codename: str) -> str:
    version = quote(one.version, safe=":~")
    return f"pkg:deb/debian/{quote(one.name, safe='')}@{version}?arch={one.architecture}&distro={codename}"


def identifier(name: str) -> str:
    """An SPDX id may hold letters, digits, dots and dashes: a plus is spelled out."""
    return "SPDXRef-Package-" + re.sub(r"[^0-9A-Za-z.-]", "-plus-", name)


def supplier(maintainer: str) -> str:
    match = PERSON.match(maintainer)
    if not match:
        return NOTHING
    kind = "Person" if "list" not in match[2] and "team" not in match[1].lower() else "Organization"
    return f"{kind}: {match[1]} ({match[2]})"


def relationships(contents: Contents) -> list[dict[str, str]]:
    names = {one.name for one in contents.packages}
    rows = [("SPDXRef-DOCUMENT", "DESCRIBES", ROOT)]
    for one in contents.packages:
        rows.append((ROOT, "CONTAINS", identifier(one.name)))
        fields = paragraph(contents.controls[one.name])
        wanted = relations(fields.get("Pre-Depends", "")) + relations(fields.get("Depends", ""))
        met = {next((name for name in options if name in names), "") for options in wanted} - {"", one.name}
        rows += [(identifier(one.name), "DEPENDS_ON", identifier(name)) for name in sorted(met)]
    return [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b} for a, kind, b in rows]


def extracted(reference: str) -> dict[str, str]:
    name = reference.removeprefix("LicenseRef-")
    text = f"The licence that Debian names {name}; its text is in the packages' /usr/share/doc/*/copyright."
    return {"licenseId": reference, "name": name, "extractedText": text}


def paragraph(text: str) -> dict[str, str]:
    """The fields of a control paragraph, the first line of each with its continuation lines."""
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            if key in ("Depends", "Pre-Depends"):
                fields[key] += line
        elif ":" in line:
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    return fields

"""One member of a manifest list as Docker's command line keeps and shows it: `ImageManifest`.

{"Ref": NAME, "Descriptor": {…, "platform": …}, "Raw": base64, "SchemaV2Manifest" or "OCIManifest": the document}
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from corten.model import mediatype
from corten.model.reference import Reference
from corten.wire.codec import loads

__all__ = ["PLATFORM_KEYS", "document_of", "entry", "list_of", "platform_of", "raw_of"]

Entry = dict[str, Any]
PLATFORM_KEYS = ("architecture", "os", "os.version", "os.features", "variant")
KINDS = {mediatype.DOCKER_MANIFEST: "SchemaV2Manifest", mediatype.OCI_MANIFEST: "OCIManifest"}


def entry(reference: Reference, media_type: str, digest: str, raw: bytes, platform: dict[str, Any]) -> Entry:
    """The member that `raw`, a manifest of this media type, makes."""
    described = {"mediaType": media_type, "digest": digest, "size": len(raw), "platform": platform}
    kind = KINDS.get(media_type, "OCIManifest")
    return {"Ref": str(reference), "Descriptor": described, "Raw": b64encode(raw).decode(), kind: loads(raw)}


def raw_of(one: Entry) -> bytes:
    """The manifest's exact bytes."""
    return b64decode(one["Raw"])


def document_of(one: Entry) -> dict[str, Any]:
    """The manifest itself."""
    found: dict[str, Any] = one.get("SchemaV2Manifest") or one.get("OCIManifest") or {}
    return found


def platform_of(config: dict[str, Any]) -> dict[str, Any]:
    """The platform that an image's config, or a descriptor's platform, names; in the order Docker writes it."""
    return {key: config[key] for key in PLATFORM_KEYS if config.get(key)}


def list_of(entries: list[Entry]) -> dict[str, Any]:
    """The manifest list, or index where its first member is OCI's, that these members make."""
    kinds = {mediatype.OCI_MANIFEST: mediatype.OCI_INDEX, mediatype.OCI_INDEX: mediatype.OCI_INDEX}
    first = entries[0]["Descriptor"]["mediaType"] if entries else ""
    members = [
        {
            "mediaType": one["Descriptor"]["mediaType"],
            "size": one["Descriptor"]["size"],
            "digest": one["Descriptor"]["digest"],
            "platform": platform_of(one["Descriptor"].get("platform") or {}),
        }
        for one in entries
    ]
    return {"schemaVersion": 2, "mediaType": kinds.get(first, mediatype.DOCKER_INDEX), "manifests": members}

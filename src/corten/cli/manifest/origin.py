"""Registries as the `manifest` commands ask them: by this process and with this user's logins, as docker's do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from corten.cli.image.login import login_at
from corten.cli.image.names import HUB
from corten.cli.manifest.entry import entry, platform_of
from corten.cli.table import Fault
from corten.model import manifest as documents
from corten.model import mediatype
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import encode
from corten.model.errors import NotFound
from corten.model.manifest import Index, Manifest
from corten.model.reference import DEFAULT_DOMAIN, Reference
from corten.remote import Credentials, Fetched, HostRules, Registries, Repository
from corten.wire.codec import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["members", "repository", "single"]

CONFIG_LIMIT = 8 << 20


@contextmanager
def repository(reference: Reference, *, insecure: bool) -> Iterator[Repository]:
    """The repository of a name; `insecure` lets its host speak plain HTTP or show a bad certificate."""
    registries = Registries(HostRules(HostRules().insecure + ((reference.domain,) if insecure else ())))
    login = login_at(HUB if reference.domain == DEFAULT_DOMAIN else reference.domain)
    names = ("username", "password", "identitytoken", "registrytoken")
    try:
        yield registries.repository(reference, Credentials(*(login.get(name, "") for name in names)))
    finally:
        registries.close()


def members(reference: Reference, *, insecure: bool) -> tuple[bool, list[dict[str, Any]]]:
    """What a name leads to: whether it is a list, and its members (the one image itself when it is none)."""
    with repository(reference, insecure=insecure) as remote:
        fetched = look_up(remote, reference)
        value = documents.parse(fetched.raw, fetched.media_type).value
        if isinstance(value, Manifest):
            return False, [described(remote, reference, fetched, value, {})]
        return True, [of_index(remote, reference, one) for one in value.manifests]


def single(reference: Reference, *, insecure: bool) -> dict[str, Any]:
    """The one image under a name; Fault when it is a list."""
    is_list, found = members(reference, insecure=insecure)
    if is_list:
        raise Fault(f"{reference} is a manifest list", hint="name its members by digest")
    return found[0]


def look_up(remote: Repository, reference: Reference) -> Fetched:
    try:
        return remote.manifest(str(reference.digest or reference.tag))
    except NotFound:
        raise Fault(f"no such manifest: {reference}") from None


def of_index(remote: Repository, reference: Reference, one: Descriptor) -> dict[str, Any]:
    fetched = remote.manifest(str(one.digest))
    value = documents.parse(fetched.raw, fetched.media_type).value
    if isinstance(value, Index):
        raise Fault(f"{reference} holds the list {one.digest}: lists within lists are not shown")
    named = Reference(reference.domain, reference.path, reference.tag, one.digest)
    platform = loads(encode(one.platform)) if one.platform else {}
    return described(remote, named, fetched, value, platform_of(platform))


def described(
    remote: Repository, reference: Reference, fetched: Fetched, value: Manifest, platform: dict[str, Any]
) -> dict[str, Any]:
    """A member; its platform is the list's, else what the image's own config says."""
    if not platform and value.config.media_type in mediatype.CONFIGS:
        platform = platform_of(loads(config_of(remote, value.config)))
    return entry(reference, fetched.media_type, str(fetched.digest), fetched.raw, platform)


def config_of(remote: Repository, config: Descriptor) -> bytes:
    if config.size > CONFIG_LIMIT:
        raise Fault(f"cannot read the config {config.digest}: it is larger than {CONFIG_LIMIT} bytes")
    body = b""
    with remote.blob(config) as stream:
        while data := stream.read():
            body += data
    if Digest.of(body, config.digest.algorithm) != config.digest:
        raise Fault(f"cannot read the config {config.digest}: the registry sent something else")
    return body

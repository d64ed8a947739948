"""What the engine does at registries for its clients: pull, push, search, look at, check a login.

The engine keeps no credentials: each request lends its own, and they are forgotten with it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from corten.engine.services import Services
from corten.images.pull import resolve
from corten.images.transfer import Done, Notice, Step, Told
from corten.model import manifest as documents
from corten.model.cancel import Cancel
from corten.model.digest import Digest
from corten.model.errors import InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from corten.model.manifest import Index
from corten.model.platform import Platform
from corten.model.reference import DEFAULT_DOMAIN, Reference
from corten.remote import Credentials, Registries

__all__ = ["RegistryUses"]

Message = dict[str, Any]
BAR = 50


class RegistryUses:
    """Docker's registry endpoints over one `Registries`."""

    def __init__(self, services: Services, registries: Registries) -> None:
        self._images = services.images
        self._registries = registries

    def settings(self) -> dict[str, Any]:
        """How registries are reached, in the shape of Docker's `info`."""
        rules = self._registries.rules
        mirrors = [mirror if mirror.endswith("/") else f"{mirror}/" for mirror in rules.mirrors]
        networks = sorted(one for one in rules.insecure if "/" in one)
        hosts = [one for one in rules.insecure if "/" not in one]
        hub = {"Name": DEFAULT_DOMAIN, "Mirrors": mirrors, "Secure": True, "Official": True}
        others = {host: {"Name": host, "Mirrors": [], "Secure": False, "Official": False} for host in hosts}
        return {
            "AllowNondistributableArtifactsCIDRs": None,
            "AllowNondistributableArtifactsHostnames": None,
            "InsecureRegistryCIDRs": networks,
            "IndexConfigs": {DEFAULT_DOMAIN: hub, **others},
            "Mirrors": mirrors or None,
        }

    def pull(
        self, name: str, tag: str, platform: str, credentials: Credentials, cancel: Cancel | None = None
    ) -> Iterator[Message]:
        """Bring an image here; every tag of the repository when neither tag nor digest is named."""
        cancel = cancel or Cancel()
        wanted = Platform.parse(platform).normal() if platform else None
        reference = named(name, tag)
        repository = self._registries.repository(reference, credentials, cancel)
        tags = [reference] if reference.tag or reference.digest else map(reference.with_tag, repository.tags())
        for one in tags:
            with_words = denied_as_docker_says(one, self._images.pull(repository, one, wanted, cancel))
            yield from map(message, with_words)

    def push(self, name: str, tag: str, credentials: Credentials, cancel: Cancel | None = None) -> Iterator[Message]:
        """Send an image to the registry of its name; every tag of it when none is named."""
        cancel = cancel or Cancel()
        reference = named(name, tag)
        repository = self._registries.repository(reference, credentials, cancel)
        tags = [reference] if reference.tag else self._local_tags(reference)
        for one in tags:
            yield from map(message, self._images.push(str(one), one, repository, cancel))

    def _local_tags(self, reference: Reference) -> list[Reference]:
        found = self._images.summaries({"reference": (reference.familiar_name,)})
        tags = sorted({tag for one in found for tag in one.tags})
        if not tags:
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        return [Reference.parse(tag) for tag in tags]

    def inspect(self, name: str, credentials: Credentials) -> dict[str, Any]:
        """What the registry says the name is, and for which platforms (`GET /distribution/…/json`)."""
        reference = named(name, "").with_default_tag()
        repository = self._registries.repository(reference, credentials)
        fetched = repository.manifest(str(reference.digest or reference.tag))
        value = documents.parse(fetched.raw, fetched.media_type).value
        platforms: Iterable[Platform | None]
        if isinstance(value, Index):
            platforms = [one.platform for one in value.manifests]
        else:
            platforms = []
        size = len(fetched.raw)
        return {
            "Descriptor": {"mediaType": fetched.media_type, "digest": str(fetched.digest), "size": size},
            "Platforms": [
                {"architecture": one.architecture, "os": one.os, **({"variant": one.variant} if one.variant else {})}
                for one in platforms
                if one
            ],
        }

    def digest(self, name: str, credentials: Credentials) -> Digest:
        """The manifest's digest for this machine under a remote name, without pulling anything."""
        reference = named(name, "").with_default_tag()
        repository = self._registries.repository(reference, credentials)
        found = resolve(repository, str(reference.digest or reference.tag), self._images.platform)
        return found.named.digest

    def login(self, server: str, credentials: Credentials) -> dict[str, str]:
        """Check a name and password; `Unauthenticated` when the registry does not know them."""
        domain = server.removeprefix("https://").removeprefix("http://").split("/")[0] or DEFAULT_DOMAIN
        if domain == "index.docker.io":
            domain = DEFAULT_DOMAIN
        self._registries.login(domain, credentials)
        return {"IdentityToken": "", "Status": "Login Succeeded"}

    def search(self, term: str, limit: int, credentials: Credentials) -> list[dict[str, Any]]:
        """Repositories whose name or description has `term`; a registry's own host may stand before it."""
        if not 0 <= limit <= 100:
            raise InvalidArgument(f"Limit {limit} is outside the range of [1, 100]")
        return self._registries.search(term, limit or 25, credentials)


def named(name: str, tag: str) -> Reference:
    """A repository's name with a tag or digest that is given apart."""
    reference = Reference.parse_name(name)
    if not tag:
        return reference
    return reference.with_digest(Digest(tag)) if ":" in tag else reference.with_tag(tag)


def denied_as_docker_says(reference: Reference, told: Iterator[Told]) -> Iterator[Told]:
    """The words that clients match when an image is not there or not ours to see (moby `distribution/errors.go`)."""
    try:
        yield from told
    except (Unauthenticated, PermissionDenied) as error:
        words = f"pull access denied for {reference.familiar_name}, repository does not exist or may require"
        raise NotFound(f"{words} 'docker login': {error.message}", hint=error.hint) from None
    except NotFound as error:
        if "manifest unknown" not in error.message:
            raise
        raise NotFound(f"manifest for {reference.familiar} not found: {error.message}", hint=error.hint) from None


def message(told: Told) -> Message:
    """One line of the progress stream, as docker's clients draw it."""
    if isinstance(told, Done):
        aux = {"Tag": told.tag, "Digest": str(told.digest), "Size": told.size}
        return {"progressDetail": {}, "aux": aux}
    if isinstance(told, Notice):
        return {"status": told.text, **({"id": told.id} if told.id else {})}
    detail = {"current": told.current, "total": told.total} if told.total else {}
    bar = {"progress": drawn(told)} if told.total else {}
    return {"status": told.status, "progressDetail": detail, **bar, "id": told.id}


def drawn(step: Step) -> str:
    done = min(step.current * BAR // step.total, BAR)
    return f"[{'=' * done}>{' ' * (BAR - done)}] {human(step.current):>8}/{human(step.total)}"


def human(size: float) -> str:
    """Four significant digits and a decimal unit (go-units `HumanSize`)."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.4g}{unit}"
        size /= 1000
    return f"{size:.4g}TB"

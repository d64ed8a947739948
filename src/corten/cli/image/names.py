"""Names of images as people write them: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`."""

from __future__ import annotations

from corten.cli.table import Fault

__all__ = ["HUB", "canonical", "check_name", "familiar", "registry_of", "split_reference"]

HUB = "https://index.docker.io/v1/"
_DEFAULTS = ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/")


def familiar(name: str) -> str:
    """A name without the default registry and its `library/`."""
    return next((name[len(prefix) :] for prefix in _DEFAULTS if name.startswith(prefix)), name)


def split_reference(name: str) -> tuple[str, str]:
    """The repository and the tag or digest; an empty second part when there is none."""
    repository, mark, digest = name.partition("@")
    if mark:
        return (repository.rpartition(":")[0] if ":" in repository.rpartition("/")[2] else repository), digest
    head, mark, tag = name.rpartition(":")
    return (head, tag) if mark and "/" not in tag else (name, "")


def registry_of(name: str) -> str:
    """The registry that a name belongs to; Docker Hub's key when it names none."""
    first, mark, _ = name.partition("/")
    is_host = mark and ("." in first or ":" in first or first == "localhost")
    return first if is_host and first not in ("docker.io", "index.docker.io") else HUB


def canonical(name: str) -> str:
    """The full name, registry and all."""
    if registry_of(name) != HUB:
        return name
    plain = familiar(name)
    return f"docker.io/{plain}" if "/" in plain else f"docker.io/library/{plain}"


def check_name(name: str, prefix: str = "") -> None:
    """Fault when a name that is to be given is none; an empty one names nothing and is fine."""
    if not name or _is_plain(name):
        return
    from corten.model.errors import InvalidArgument
    from corten.model.reference import Reference

    try:
        Reference.parse(name)
    except InvalidArgument as error:
        raise Fault(f"{prefix}{error.message}", hint=error.hint) from None


def _is_plain(name: str) -> bool:
    """Whether a name is so simple that the whole grammar, whose module costs 40 ms, need not be asked."""
    repository, mark, tag = name.partition(":")
    words = repository.replace("/", "-").replace(".", "-").replace("_", "-").split("-")
    words += tag.replace(".", "-").replace("_", "-").split("-") if mark else ()
    return len(name) < 64 and name.isascii() and name.islower() and all(word.isalnum() for word in words)

"""The closure of the wanted packages over Pre-Depends and Depends.

It is a walk, not a solver: within one signed release the first alternative that exists is what the distribution's own
tools install. Conflicts cannot arise among the packages of one release that depend on each other.
"""

from corten.images.bootstrap.index import Package
from corten.model.errors import NotFound

__all__ = ["closure"]

PRIORITIES = {"required": 0, "important": 1, "standard": 2, "optional": 3}


def closure(
    wanted: list[str],
    packages: dict[str, Package],
    *,
    without: frozenset[str] = frozenset(),
    leaves: frozenset[str] = frozenset(),
) -> list[Package]:
    """`wanted` and all they depend on, sorted by name.

    A dependency on a name in `without` is left out; those of a package in `leaves` are not followed (it is wanted for
    its data, and its dependencies serve only its scripts). Raises `NotFound` for a name that no package has or
    provides, saying who asked for it.
    """
    names = Names(packages)
    chosen: dict[str, Package] = {}
    queue: list[tuple[tuple[str, ...], str]] = [((name,), "") for name in wanted]
    while queue:
        options, asker = queue.pop()
        if any(name in chosen for option in options for name in names.meaning(option)):
            continue
        one = names.first(options)
        if one is None:
            by = f", which {asker} depends on" if asker else ""
            raise NotFound(f"choose packages: the release has no package {options[0]}{by}")
        if asker and one.name in without:
            continue
        chosen[one.name] = one
        if one.name not in leaves:
            queue += [(options, one.name) for options in one.depends if not without.intersection(options)]
    return [chosen[name] for name in sorted(chosen)]


class Names:
    """What a name may mean: a package, or those that provide it, the more basic ones first."""

    def __init__(self, packages: dict[str, Package]) -> None:
        self.packages = packages
        self.providers: dict[str, list[str]] = {}
        for one in sorted(packages.values(), key=lambda one: (PRIORITIES.get(one.priority, 9), one.name)):
            for name in one.provides:
                self.providers.setdefault(name, []).append(one.name)

    def meaning(self, name: str) -> list[str]:
        return ([name] if name in self.packages else []) + self.providers.get(name, [])

    def first(self, options: tuple[str, ...]) -> Package | None:
        """The first alternative that is a package itself, else the first that something provides."""
        for option in options:
            if option in self.packages:
                return self.packages[option]
        return next((self.packages[name] for option in options for name in self.meaning(option)), None)

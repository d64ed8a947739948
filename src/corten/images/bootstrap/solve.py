"""The closure of the wanted packages over Pre-Depends and Depends.

It is a walk, not a solver: within one signed release the first alternative that exists is what the distribution's own
tools install. Conflicts cannot arise among the packages of one release that depend on each other.
"""

from corten.images.bootstrap.index import Package
from corten.model.errors import NotFound

__all__ = ["closure", "stages"]

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
    its data, and its dependencies serve only its scripts). An alternative that is wanted anyway wins. Raises
    `NotFound` for a name that no package has or provides, saying who asked for it.
    """
    names = Names(packages)
    chosen: dict[str, Package] = {}
    taken = {name for one in wanted for name in names.meaning(one)[:1]}
    queue: list[tuple[tuple[str, ...], str]] = [((name,), "") for name in wanted]
    while queue:
        options, asker = queue.pop()
        met = taken if asker else chosen.keys()
        if any(name in met for option in options for name in names.meaning(option)):
            continue
        one = names.first(options)
        if one is None:
            by = f", which {asker} depends on" if asker else ""
            raise NotFound(f"choose packages: the release has no package {options[0]}{by}")
        if asker and one.name in without:
            continue
        chosen[one.name] = one
        taken.add(one.name)
        if one.name not in leaves:
            queue += [(options, one.name) for options in one.depends if not without.intersection(options)]
    return [chosen[name] for name in sorted(chosen)]


def stages(packages: list[Package], base: frozenset[str]) -> tuple[tuple[Package, ...], ...]:
    """Groups of packages in the order of their installation, each in the order of its unpacking.

    First those named in `base`, which need each other to run at all; then, group by group, whatever has its
    Pre-Depends in an earlier group. A circle of Pre-Depends, which no archive has, would end up in one group.
    """
    names = Names({one.name: one for one in packages})
    left = [one for one in packages if one.name not in base]
    groups = [by_predepends([one for one in packages if one.name in base], names)]
    there = set(base)
    while left:
        ready = [one for one in left if all(there & set(needed) for needed in needs(one, names))] or left
        groups.append(by_predepends(ready, names))
        there |= {one.name for one in ready}
        left = [one for one in left if one.name not in there]
    return tuple(tuple(group) for group in groups if group)


def needs(one: Package, names: "Names") -> list[list[str]]:
    """For each Pre-Depends the packages of this set that meet it; what none of them meets was left out on purpose."""
    met = ([name for option in options for name in names.meaning(option)] for options in one.depends[: one.predepends])
    return [found for found in met if found]


def by_predepends(packages: list[Package], names: "Names") -> list[Package]:
    """`packages` sorted by name, but each behind what it pre-depends on."""
    known = {one.name: one for one in sorted(packages)}
    ordered: dict[str, Package] = {}
    entered: set[str] = set()

    def place(one: Package) -> None:
        if one.name in entered:
            return
        entered.add(one.name)
        for needed in needs(one, names):
            for name in needed[:1]:
                if name in known:
                    place(known[name])
        ordered[one.name] = one

    for one in known.values():
        place(one)
    return list(ordered.values())


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

"""The words of a mount, sorted by who understands them."""

import pytest

from corten.runtime.mount_options import ATTRIBUTES, PROPAGATION, names, parse

# runtime-spec v1.3.0, config.md, "Linux mount options": what a runtime MUST and SHOULD support.
REQUIRED = (
    "async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime noexec "
    "noiversion nolazytime norelatime nostrictatime nosuid private ratime rbind rdev rdiratime relatime remount "
    "rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate "
    "rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave "
    "strictatime suid symfollow sync nosymfollow idmap ridmap unbindable tmpcopyup mand "
)


def test_every_option_of_the_specification_is_understood() -> None:
    assert set(REQUIRED.split()) <= set(names())


@pytest.mark.parametrize("word", sorted(ATTRIBUTES))
def test_an_attribute_and_its_recursive_form_set_the_same_bits(word: str) -> None:
    plain, deep = parse([word]), parse([f"r{word}"])
    assert (plain.set, plain.clear) == (deep.recursive_set, deep.recursive_clear) == ATTRIBUTES[word]
    assert (plain.recursive_set, deep.set) == (0, 0)


def test_the_later_word_wins() -> None:
    options = parse(["ro", "noatime", "rw", "strictatime"])
    assert (options.set, options.clear & 1) == (0x20, 1)


@pytest.mark.parametrize("word", sorted(PROPAGATION))
def test_propagation_and_its_depth(word: str) -> None:
    assert (parse([word]).propagation, parse([word]).propagation_recursive) == (PROPAGATION[word], False)
    assert (parse([f"r{word}"]).propagation, parse([f"r{word}"]).propagation_recursive) == (PROPAGATION[word], True)


def test_what_nobody_knows_is_the_filesystems() -> None:
    options = parse(["size=64k", "newinstance", "sync", "", "lowerdir=a:b=c"])
    assert options.values == ["size", "64k", "lowerdir", "a:b=c"]
    assert options.switches == ["newinstance", "sync"]

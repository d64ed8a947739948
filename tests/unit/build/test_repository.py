"""Which addresses are git repositories, and what may stand behind the #."""

import pytest

from corten.build.repository import Repository, parse, redacted
from corten.model.errors import InvalidArgument


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("https://h/x.git", Repository("https://h/x.git")),
        ("https://h/x.git#main", Repository("https://h/x.git", "main")),
        ("https://h/x.git#:a/b/", Repository("https://h/x.git", "", "a/b")),
        ("git://h:1/x#v1:d", Repository("git://h:1/x", "v1", "d")),
        ("git@h:team/x.git#refs/heads/f", Repository("git@h:team/x.git", "refs/heads/f")),
        ("ssh://git@h/x", Repository("ssh://git@h/x")),
        ("github.com/team/x#main", Repository("https://github.com/team/x", "main")),
    ],
)
def test_an_address_names_a_repository(address: str, found: Repository) -> None:
    assert parse(address) == found


@pytest.mark.parametrize(
    "address",
    [
        "https://h/x.tar.gz",
        "x.git",
        "./dir.git",
        "file:///x.git",
        "ext::sh -c x",
        "git@h:-x",
        "-x@h:y",
        "ssh://-oX/y",
        "",
    ],
)
def test_other_addresses_name_none(address: str) -> None:
    assert parse(address) is None


@pytest.mark.parametrize("ref", ["--upload-pack=x", "-x", "+main", "a..b", "a b", "a^", "a~1", "a*", "@{-1}\n", "a\\b"])
def test_a_reference_that_is_more_than_a_name_is_refused(ref: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid git reference"):
        parse(f"https://h/x.git#{ref}")


def test_credentials_are_not_shown() -> None:
    assert redacted("cannot https://me:word@h/x.git") == "cannot https://***@h/x.git"

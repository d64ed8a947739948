"""Docker's rules for image names, as laws and as a table of what people type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.model.digest import Digest
from corten.model.errors import InvalidArgument
from corten.model.reference import Reference

SHA = "sha256:" + "ab" * 32

FAMILIAR = [
    ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
    ("nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"),
    ("me/app", "docker.io/me/app:latest", "me/app:latest"),
    ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
    ("index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
    ("library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
    ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
    ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
    ("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest", "ghcr.io/a/b/c:latest"),
    ("HOST/app", "HOST/app:latest", "HOST/app:latest"),
    ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
    (f"nginx@{SHA}", f"docker.io/library/nginx@{SHA}", f"nginx@{SHA}"),
    (f"nginx:1@{SHA}", f"docker.io/library/nginx:1@{SHA}", f"nginx:1@{SHA}"),
    ("a__b/c--d.e", "docker.io/a__b/c--d.e:latest", "a__b/c--d.e:latest"),
]


@pytest.mark.parametrize(("typed", "full", "familiar"), FAMILIAR)
def test_a_name_is_completed_and_shown_as_docker_does(typed: str, full: str, familiar: str) -> None:
    reference = Reference.parse(typed)
    assert (str(reference), reference.familiar) == (full, familiar)


REFUSED = [
    ("", "invalid reference format"),
    ("a b", "invalid reference format"),
    ("-nginx", "invalid reference format"),
    ("nginx:", "invalid reference format"),
    ("nginx:-x", "invalid reference format"),
    ("nginx:" + "x" * 129, "invalid reference format"),
    ("a//b", "invalid reference format"),
    ("a/../b", "invalid reference format"),
    ("a___b", "invalid reference format"),
    ("https://nginx", "invalid reference format"),
    ("nginx\n", "invalid reference format"),
    ("ab" * 32, "cannot specify 64-byte hexadecimal strings"),
    ("a/" + "b" * 256, "must not be more than 255 characters"),
    ("Nginx", "repository name (library/Nginx) must be lowercase"),
    ("nginx@sha256:abc", "invalid digest"),
    ("nginx@md5:" + "a" * 32, "unsupported digest algorithm"),
]


@pytest.mark.parametrize(("typed", "cause"), REFUSED)
def test_a_malformed_name_is_refused_with_the_cause(typed: str, cause: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        Reference.parse(typed)
    assert cause in str(error.value)


def test_a_repository_keeps_its_missing_tag() -> None:
    assert Reference.parse_name("nginx").tag is None


component = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
tags = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
digests = st.none() | st.binary(max_size=8).map(Digest.of)


@given(st.lists(component, min_size=1, max_size=4), tags, digests)
def test_full_and_familiar_forms_parse_back_to_the_same_reference(
    parts: list[str], tag: str | None, digest: Digest | None
) -> None:
    parts = [parts[0].replace(".", "-"), *parts[1:]]  # with a dot it would be a host
    typed = "/".join(parts) + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    reference = Reference.parse_name(typed)
    assert Reference.parse_name(str(reference)) == reference
    assert Reference.parse_name(reference.familiar) == reference


@given(st.text(max_size=80))
def test_any_text_is_a_reference_or_an_invalid_argument(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        return
    assert ".." not in reference.path.split("/")
    assert not reference.path.startswith("/")

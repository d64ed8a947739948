"""Contexts and Dockerfiles that want out: every link and name ends inside, every mistake names its line."""

import base64
import json
import tarfile

import pytest

from tests.root.build.building import Site, context
from tests.root.engines import OTHER_HOST

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(OTHER_HOST), reason="our own words and mounts")]


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def test_a_link_out_of_the_context_ends_inside_it(site: Site) -> None:
    archive = context("FROM tiny\nCOPY out /got\n", None, link("out", "/etc/hostname"))
    assert "not in the build context" in site.build(archive).error


def test_a_directory_link_out_of_the_context_leads_nowhere(site: Site) -> None:
    archive = context("FROM tiny\nCOPY up/etc/shadow /got\n", None, link("up", "../../../../../.."))
    assert "not in the build context" in site.build(archive).error


@pytest.mark.parametrize("name", ["../outside", "/../../outside", "a/../../../outside"])
def test_an_entry_that_climbs_out_is_refused(site: Site, name: str) -> None:
    assert site.build(context("FROM tiny\n", {name: "x"})).error


def test_a_hard_link_to_the_host_is_refused(site: Site) -> None:
    archive = context("FROM tiny\nCOPY h /h\n", None, link("h", "../../../../etc/passwd", tarfile.LNKTYPE))
    assert site.build(archive).error


def test_a_dockerfile_that_is_a_link_to_the_host_is_not_read(site: Site) -> None:
    archive = context("FROM tiny\n", None, link("Other", "/etc/passwd"))
    assert "Cannot locate" in site.build(archive, dockerfile="Other").error


def test_a_mount_source_that_climbs_ends_in_its_tree(site: Site) -> None:
    text = "FROM tiny\nRUN --mount=type=bind,source=../../../../../../etc,target=/m cat /m/secret > /s\n"
    assert site.files(site.build(context(text, {"etc/secret": "ours"})).id)["s"].endswith('"ours"')


def test_a_mount_source_through_a_link_ends_in_its_tree(site: Site) -> None:
    text = "FROM tiny AS evil\nRUN ln -s / /l\nFROM tiny\n"
    text += "RUN --mount=from=evil,source=/l,target=/m test -e /m/linuxrc && touch /s\n"
    assert "s" in site.files(site.build(context(text)).id)


def test_a_cache_named_by_a_path_stays_among_the_caches(site: Site) -> None:
    text = "FROM tiny\nRUN --mount=type=cache,id=../../../../etc,target=/c ls -A /c > /s\n"
    assert site.files(site.build(context(text)).id)["s"].endswith('""')


def test_a_run_that_swaps_its_mount_targets_removes_nothing_of_others(site: Site) -> None:
    """CVE-2024-23652: what a mount stood on is never cleaned up by its path."""
    text = "FROM tiny\nRUN mkdir /keep && touch /keep/f\n"
    text += "RUN --mount=type=tmpfs,target=/a/b mv /a /x; ln -s /keep /a; true\n"
    files = site.files(site.build(context(text)).id)
    assert "keep/f" in files


def test_target_links_end_in_the_image(site: Site) -> None:
    text = "FROM tiny\nRUN ln -s ../../../../../../var/log /l && ln -s /var/nowhere /dangling\nCOPY f /l/f\n"
    assert "var/log/f" in site.files(site.build(context(text, {"f": "x"})).id)
    assert "leads nowhere" in site.build(context(text + "COPY f /dangling/f\n", {"f": "x"})).error


def test_a_heredoc_with_a_path_for_a_name_is_refused(site: Site) -> None:
    assert "no file name" in site.build(context("FROM tiny\nCOPY <<'../../x' /y\nz\n../../x\n")).error


@pytest.mark.parametrize(
    ("text", "line", "caret"),
    [
        ("FROM tiny\nRUNN x\n", 2, "did you mean RUN?"),
        ("FROM tiny\nCOPY a\n", 2, "at least two arguments"),
        ("FROM tiny\n\nEXPOSE x\n", 3, "invalid containerPort"),
    ],
)
def test_a_mistake_shows_its_line_and_a_caret(site: Site, text: str, line: int, caret: str) -> None:
    error = site.build(context(text)).error
    assert f"line {line}:" in error
    assert caret in error
    assert "^" in error


def test_a_failing_run_says_its_code_and_its_output_stands_above(site: Site) -> None:
    built = site.build(context("FROM tiny\nRUN echo why && exit 3\n"))
    assert "why" in built.text
    assert built.messages[-1]["errorDetail"]["code"] == 3
    assert built.error == "The command '/bin/sh -c echo why && exit 3' returned a non-zero code: 3"


def test_a_secret_is_in_no_layer_no_history_and_no_cache_key(site: Site) -> None:
    text = "FROM tiny\nRUN --mount=type=secret,id=token,required=true stat -c '%a %u' /run/secrets/token > /s\n"
    archive = context(text)
    assert "secret token: not found" in site.build(archive).error

    def given(value: str) -> dict[str, str]:
        encoded = json.dumps({"token": base64.b64encode(value.encode()).decode()})
        return {"X-Corten-Secrets": base64.b64encode(encoded.encode()).decode()}

    built = site.build(archive, given("hidden-word"))
    files = site.files(built.id)
    assert files["s"].endswith('"400 0\\n"')
    assert "run/secrets" not in files
    assert "hidden-word" not in b"".join(site.client.images.save(built.id)).decode("latin-1")
    assert site.build(archive, given("another")).cached == 1

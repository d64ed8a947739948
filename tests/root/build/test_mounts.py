"""`RUN --mount`: who shares a cache with whom, what one begins with, and secrets that nobody prints."""

import base64
import json

import pytest

from tests.root.build.building import Site, context
from tests.root.engines import OTHER_HOST

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(OTHER_HOST), reason="our own words and mounts")]


def two(mount: str, first: str, second: str) -> str:
    """Two stages that run at the same time on one cache."""
    text = f"FROM tiny AS one\nRUN --mount=type=cache,target=/c,{mount} {first}\n"
    text += f"FROM tiny AS two\nRUN --mount=type=cache,target=/c,{mount} {second}\n"
    return text + "FROM tiny\nCOPY --from=one /out /one\nCOPY --from=two /out /two\n"


def test_a_shared_cache_is_seen_by_both_at_once(site: Site) -> None:
    wait = "i=0; while [ ! -e /c/{0} ]; do sleep 0.05; i=$((i+1)); [ $i -lt 200 ] || exit 9; done; echo {0} > /out"
    text = two("id=shared", "touch /c/a; " + wait.format("b"), "touch /c/b; " + wait.format("a"))
    files = site.files(site.build(context(text)).id)
    assert files["one"].endswith('"b\\n"')


def test_a_locked_cache_is_one_runs_at_a_time(site: Site) -> None:
    alone = "mkdir /c/lock || exit 9; sleep 0.4; rmdir /c/lock; echo alone > /out; true {0}"
    built = site.build(context(two("id=locked,sharing=locked", alone.format(1), alone.format(2))))
    assert "one" in site.files(built.id)


def test_a_private_cache_is_another_for_each_and_used_again_afterwards(site: Site) -> None:
    alone = "touch /c/{0}; sleep 0.5; ls /c > /out"
    text = two("id=private,sharing=private", alone.format("a"), alone.format("b"))
    files = site.files(site.build(context(text)).id)
    assert {files["one"][-5:], files["two"][-5:]} == {'"a\\n"', '"b\\n"'}
    later = "FROM tiny\nRUN --mount=type=cache,target=/c,id=private,sharing=private ls /c > /out\n"
    assert "\\n" in site.files(site.build(context(later)).id)["out"]


def test_a_cache_begins_with_files_an_owner_and_a_mode(site: Site) -> None:
    text = "FROM tiny AS seed\nRUN mkdir /s && echo kept > /s/f\nFROM tiny\n"
    flags = "id=seeded,from=seed,source=/s,uid=3,gid=4,mode=0711"
    text += f"RUN --mount=type=cache,target=/c,{flags} (stat -c '%u:%g %a' /c; cat /c/f) > /out\n"
    assert site.files(site.build(context(text)).id)["out"].endswith('"3:4 711\\nkept\\n"')


def test_a_cache_with_another_owner_is_another_cache(site: Site) -> None:
    text = "FROM tiny\nRUN --mount=type=cache,target=/c,id=owned,uid=3 touch /c/f\n"
    text += "RUN --mount=type=cache,target=/c,id=owned ls /c > /out\n"
    assert site.files(site.build(context(text)).id)["out"].endswith('""')


def test_a_read_only_cache_and_the_size_of_memory_hold(site: Site) -> None:
    text = "FROM tiny\nRUN --mount=type=cache,target=/c,ro sh -c 'touch /c/f || echo refused' > /out\n"
    text += "RUN --mount=type=tmpfs,target=/t,size=1m df -k /t | tail -1 | awk '{print $2}' > /size\n"
    files = site.files(site.build(context(text)).id)
    assert files["out"].endswith('"refused\\n"')
    assert files["size"].endswith('"1024\\n"')


def test_a_secret_is_shown_to_the_command_and_to_nobody_else(site: Site) -> None:
    encoded = json.dumps({"word": base64.b64encode(b"open-sesame\n").decode()})
    header = {"X-Corten-Secrets": base64.b64encode(encoded.encode()).decode()}
    text = "FROM tiny\nRUN --mount=type=secret,id=word --mount=type=secret,id=word,env=WORD "
    text += 'test -n "$WORD"; cat /run/secrets/word; echo "<$WORD>" >&2; printf open-; printf sesame\n'
    built = site.build(context(text), header)
    assert built.id
    assert "open-sesame" not in json.dumps(built.messages)
    assert "***" in built.text
    assert "open-sesame" not in " ".join(site.history(built.id))
    assert "open-sesame" not in site.engine.log


def test_ssh_is_refused_with_its_line(site: Site) -> None:
    error = site.build(context("FROM tiny\nRUN --mount=type=ssh true\n")).error
    assert "line 2" in error
    assert "type=ssh" in error

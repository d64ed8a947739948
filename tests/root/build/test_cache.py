"""What is built again and what is not; what runs at the same time."""

import json
import re
import time

import pytest

from tests.root.build.building import Site, context
from tests.root.engines import OTHER_HOST

pytestmark = pytest.mark.root
ours = pytest.mark.skipif(bool(OTHER_HOST), reason="dockerd's classic builder does less")


def test_a_second_build_takes_every_step_from_the_cache(site: Site) -> None:
    archive = context("FROM tiny\nENV A=second\nRUN echo $A > /a\nWORKDIR /w\nCOPY f .\nCMD x\n", {"f": "1"})
    first, second = site.build(archive), site.build(archive)
    assert (first.cached, second.cached) == (0, 5)
    assert site.files(first.id) == site.files(second.id)


def test_changing_a_file_rebuilds_only_what_depends_on_it(site: Site) -> None:
    text = "FROM tiny\nRUN echo changing > /x\nCOPY one /one\nCOPY two /two\nRUN cat /two > /seen\n"
    site.build(context(text, {"one": "1", "two": "2"}))
    again = site.build(context(text, {"one": "1", "two": "changed"}))
    kept, rebuilt = re.split("Step 4/5", again.text)
    assert (kept.count("Using cache"), rebuilt.count("Using cache")) == (2, 0)
    assert site.files(again.id)["seen"].endswith('"changed"')


def test_times_and_names_of_the_context_do_not_matter_but_modes_do(site: Site) -> None:
    text = "FROM tiny\nCOPY f /f\nRUN cat /f > /times\n"
    site.build(context(text, {"f": "same", "other": "a"}))
    assert site.build(context(text, {"f": "same", "another": "b"})).cached == 2


@ours
def test_a_stage_that_gives_the_same_files_again_rebuilds_nothing_after_it(site: Site) -> None:
    text = "FROM tiny AS make\nRUN echo {0} > /dev/null; echo out > /out\n"
    text += "FROM tiny\nCOPY --from=make /out /o\nRUN cat /o > /p\n"
    site.build(context(text.format("one")))
    again = site.build(context(text.format("two")))
    assert again.text.count("Running in") == 1


@ours
def test_a_linked_copy_is_a_layer_of_its_own_that_outlives_its_base(site: Site) -> None:
    text = "FROM tiny\nRUN echo {0} > /base; mkdir -p /l; chmod 700 /l\nCOPY --link f /l/f\nRUN cat /l/f > /seen\n"
    first = site.build(context(text.format("one"), {"f": "linked"}))
    second = site.build(context(text.format("two"), {"f": "linked"}))
    below, copied, after = (part.count("Using cache") for part in re.split("Step [34]/4", second.text))
    assert (below, copied, after) == (0, 1, 0)
    files = site.files(second.id)
    assert [files[name].split(" ", 3)[3] for name in ("base", "l/f", "seen")] == [
        json.dumps("two\n"),
        *[json.dumps("linked")] * 2,
    ]
    layers = [site.client.images.get(built.id)["RootFS"]["Layers"] for built in (first, second)]
    assert [one == other for one, other in zip(*layers, strict=True)] == [True, False, True, True]


def test_no_cache_builds_everything_anew(site: Site) -> None:
    archive = context("FROM tiny\nRUN echo anew > /a\n")
    site.build(archive)
    assert site.build(archive, nocache="1").cached == 0


@ours
def test_two_stages_run_at_the_same_time(site: Site) -> None:
    text = "FROM tiny AS {0}\nRUN sleep 0.6; echo parallel > /{0}\n"
    text = text.format("one") + text.format("two") + "FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n"
    begin = time.monotonic()
    built = site.build(context(text))
    assert time.monotonic() - begin < 1.1, built.text
    assert site.files(built.id).keys() >= {"one", "two"}


def test_the_stream_is_in_the_order_of_the_file(site: Site) -> None:
    text = "FROM tiny AS a\nRUN sleep 0.2; echo first\nFROM tiny\nRUN echo second\nCOPY --from=a /etc/passwd /p\n"
    shown = site.build(context(text)).text
    assert re.findall(r"Step (\d)/5", shown) == ["1", "2", "3", "4", "5"]
    assert shown.index("first") < shown.index("Step 3/5") < shown.index("Step 4/5")


@ours
def test_the_same_build_with_an_epoch_gives_the_same_bytes(site: Site) -> None:
    archive = context("FROM tiny\nRUN echo reproducible > /r && mkdir /d\nCOPY f /f\n", {"f": "x"})
    epoch = '{"SOURCE_DATE_EPOCH": "1700000000"}'
    first = site.build(archive, buildargs=epoch, nocache="1")
    time.sleep(1.1)
    assert site.build(archive, buildargs=epoch, nocache="1").id == first.id


@ours
def test_pruning_empties_the_cache_and_leaves_the_images(site: Site) -> None:
    archive = context("FROM tiny\nRUN echo pruned > /a\n")
    image = site.build(archive).id
    assert site.client.ask("GET", "/system/df")["BuildCache"]
    assert site.client.ask("POST", "/build/prune", {"all": "1"})["CachesDeleted"]
    assert site.client.ask("GET", "/system/df")["BuildCache"] == []
    assert "a" in site.files(image)
    assert site.build(archive).cached == 0


@ours
def test_the_cache_outlives_its_image(site: Site) -> None:
    archive = context("FROM tiny\nRUN echo outlives > /a\n")
    image = site.build(archive).id
    site.client.images.remove(image)
    assert site.build(archive).cached == 1


@ours
def test_pruning_stops_where_it_is_told(site: Site) -> None:
    site.build(context("FROM tiny\nRUN echo prune > /told\n"))
    for name in ("keep-storage", "reserved-space"):
        assert site.client.ask("POST", "/build/prune", {name: str(1 << 30)})["CachesDeleted"] == []
    old = {"filters": '{"until": {"1h": true}}'}
    assert site.client.ask("POST", "/build/prune", old)["CachesDeleted"] == []
    unknown = site.client._connection.request("POST", "/build/prune", query={"filters": '{"id": {"x": true}}'})
    assert unknown.status == 501
    unknown.read()

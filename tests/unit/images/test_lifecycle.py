"""Tag, remove, prune, list, commit and import keep Docker's rules and words."""

import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.images import Authored, Deleted, Images, Untagged, User
from corten.model.digest import Digest
from corten.model.errors import Conflict, InvalidArgument, NotFound
from corten.model.image import RunConfig
from corten.model.reference import Reference
from tests.image_rig import Rig
from tests.images import Layer, config, docker_archive

pytestmark = pytest.mark.root

BASE = Layer().directory("etc").file("etc/base", b"base").close()
TOP = Layer().file("top", b"top!").close()
ABOUT = Authored(created_ns=1_700_000_000_123_000_000, author="me", comment="why")


@pytest.fixture
def rig(scratch: Path) -> Iterator[Rig]:
    made = Rig(scratch / "engine")
    yield made
    made.close()


def add(rig: Rig, *names: str, layers: tuple[bytes, ...] = (BASE,), note: str = "x", **run: Any) -> Digest:
    [first, *_] = rig.load(docker_archive([(config(layers, note=note, **run), list(layers), list(names))]))
    return first.id


def name(text: str) -> Reference:
    return Reference.parse(text)


def container(rig: Rig, image: Digest, key: str = "container") -> Path:
    rig.snapshots.prepare(key, rig.images.unpack(rig.images.get(image)))
    return rig.snapshots.changes(key).path


def derived(rig: Rig, image: Digest, text: str | None = None, *, content: str = "new") -> Digest:
    """An image that was committed from a container of another."""
    key = f"container {content}"
    (container(rig, image, key) / content).write_text(content)
    base = rig.images.get(image)
    made = rig.images.commit(base, key, base.config.run, ABOUT, name=name(text) if text else None)
    rig.snapshots.remove(key)
    return made


@pytest.mark.parametrize("text", ["app", "app:latest", "docker.io/library/app", "ID", "SHORT", "sha256:SHORT"])
def test_an_image_is_found_by_each_of_its_names(rig: Rig, text: str) -> None:
    id = add(rig, "app")
    assert rig.images.get(text.replace("ID", id).replace("SHORT", id.short)).id == id


def test_an_unknown_image_is_told_in_dockers_words(rig: Rig) -> None:
    add(rig, "app")
    for text, shown in (("other", "other:latest"), ("app:2", "app:2"), ("beef", "beef:latest")):
        with pytest.raises(NotFound) as error:
            rig.images.get(text)
        assert str(error.value) == f"No such image: {shown}"
    with pytest.raises(InvalidArgument, match="invalid reference format"):
        rig.images.get("a b")


def test_an_ambiguous_beginning_of_an_id_is_not_found(rig: Rig) -> None:
    for number in range(17):
        add(rig, f"app:{number}", note=str(number))
    ids = [summary.image.id.encoded for summary in rig.images.summaries({})]
    shared = next(id[:1] for id in ids if sum(other.startswith(id[:1]) for other in ids) > 1)
    with pytest.raises(NotFound):
        rig.images.get(shared)


def test_a_tag_moves_to_the_image_that_gets_it_last(rig: Rig) -> None:
    old, new = add(rig, "app:1"), add(rig, "app:2", note="y")
    assert rig.images.tag("app:2", name("app:1")).familiar == "app:1"
    assert rig.images.get("app:1").id == new
    assert rig.images.get(old).tags == []
    assert [event.action for event in rig.db.events()][-1] == "tag"
    for bad in (f"app@{old}", "sha256:x"):
        with pytest.raises(InvalidArgument, match="refusing"):
            rig.images.tag("app:1", name(bad))


def test_an_image_of_another_platform_is_not_run(rig: Rig) -> None:
    add(rig, "app")
    with pytest.raises(NotFound, match="does not match the specified platform"):
        rig.images.resolve_for_run("app", "linux/s390x")
    assert rig.images.resolve_for_run("app", str(rig.images.platform)).tags == ["app:latest"]


def test_removing_the_last_name_removes_the_image_and_all_it_had(rig: Rig) -> None:
    id = add(rig, "app:1", "app:2", layers=(BASE, TOP))
    chain = rig.images.get(id).chain
    assert rig.images.remove("app:1") == [Untagged("app:1")]
    removed = rig.images.remove("app:2")
    assert removed == [Untagged("app:2"), Deleted(id), Deleted(chain[1]), Deleted(chain[0])]
    assert rig.everything() == ([], [], 0)
    assert [event.action for event in rig.db.events()][-2:] == ["untag", "delete"]


def test_what_another_image_needs_stays(rig: Rig) -> None:
    add(rig, "small")
    big = add(rig, "big", layers=(BASE, TOP))
    chain = rig.images.get(big).chain
    assert rig.images.remove("big") == [Untagged("big:latest"), Deleted(big), Deleted(chain[1])]
    assert rig.images.unpack(rig.images.get("small")) == chain[0]


def test_by_id_needs_force_when_names_are_in_several_repositories(rig: Rig) -> None:
    id = add(rig, "one:1", "two:1")
    with pytest.raises(Conflict) as error:
        rig.images.remove(id.short)
    assert str(error.value) == (
        f"conflict: unable to delete {id.short} (must be forced) - image is referenced in multiple repositories"
    )
    assert rig.images.remove(id.short, force=True)[:3] == [Untagged("one:1"), Untagged("two:1"), Deleted(id)]


def test_a_used_image_is_not_removed(rig: Rig) -> None:
    id = add(rig, "app")
    rig.images.users = lambda _: (User("c" * 64, running=False),)
    with pytest.raises(Conflict) as error:
        rig.images.remove("app")
    assert str(error.value) == (
        'conflict: unable to remove repository reference "app:latest" (must force) -'
        f" container cccccccccccc is using its referenced image {id.short}"
    )
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is being used by stopped container cccccccccccc"):
        rig.images.remove(id)
    rig.images.users = lambda _: (User("c" * 64, running=True),)
    with pytest.raises(Conflict, match=r"\(cannot be forced\) - image is being used by running container c{12}"):
        rig.images.remove(id, force=True)
    assert rig.images.remove("app", force=True) == [Untagged("app:latest")]


def test_a_container_keeps_its_filesystem_when_its_image_is_forced_away(rig: Rig) -> None:
    id = add(rig, "app")
    container(rig, id)
    rig.images.users = lambda _: (User("c" * 64, running=False),)
    assert rig.images.remove("app", force=True) == [Untagged("app:latest"), Deleted(id)]
    assert [path.read_text() for path in (rig.snapshots.changes("container").lowers[0] / "etc").iterdir()] == ["base"]


def test_a_parent_is_kept_by_its_child_and_goes_after_it(rig: Rig) -> None:
    base = add(rig, "base")
    child = derived(rig, base, "child")
    with pytest.raises(Conflict, match=r"\(cannot be forced\) - image has dependent child images"):
        rig.images.remove(base, force=True)
    assert rig.images.remove("base") == [Untagged("base:latest")]
    removed = rig.images.remove("child")
    assert removed[:3] == [Untagged("child:latest"), Deleted(child), Deleted(base)]
    assert rig.everything() == ([], [], 0)


def test_noprune_keeps_the_parent(rig: Rig) -> None:
    base = add(rig, "base")
    derived(rig, base, "child")
    rig.images.remove("base")
    rig.images.remove("child", prune=False)
    assert rig.images.get(base).id == base


def test_prune_takes_what_has_no_name_and_with_all_what_nobody_uses(rig: Rig) -> None:
    used, free = add(rig, "used"), add(rig, "free", note="y")
    add(rig, "moved", note="z")
    lost = rig.images.get("moved").id
    rig.images.tag("used", name("moved"))
    rig.images.users = lambda id: (User("c" * 64, running=False),) if id == used else ()
    removed, freed = rig.images.prune({})
    assert removed == [Deleted(lost)]
    assert freed > 0
    assert Deleted(free) in rig.images.prune({"dangling": ["false"]})[0]
    assert [summary.image.id for summary in rig.images.summaries({})] == [used]
    with pytest.raises(InvalidArgument, match="invalid filter 'colour'"):
        rig.images.prune({"colour": ["red"]})


def tags(images: Images, **filters: list[str]) -> list[str]:
    found = images.summaries({"label!" if key == "label_not" else key: values for key, values in filters.items()})
    return sorted(tag for summary in found for tag in summary.tags)


def test_filters_let_the_right_ones_through(rig: Rig) -> None:
    add(rig, "one:1", "reg.io/team/one:2", Labels={"tier": "web"})
    add(rig, "two", note="y", Labels={"tier": "db"})
    assert tags(rig.images) == ["one:1", "reg.io/team/one:2", "two:latest"]
    assert tags(rig.images, label=["tier=web"]) == ["one:1", "reg.io/team/one:2"]
    assert tags(rig.images, label_not=["tier=web"]) == ["two:latest"]
    assert tags(rig.images, reference=["one"]) == ["one:1"]
    assert tags(rig.images, reference=["*:latest"]) == ["two:latest"]
    assert tags(rig.images, reference=["reg.io/*/one", "tw?"]) == ["reg.io/team/one:2", "two:latest"]
    assert tags(rig.images, dangling=["true"]) == []
    assert tags(rig.images, until=["1700000000"]) == []
    for bad in ({"reference": ["["]}, {"dangling": ["maybe"]}, {"until": ["soon"]}, {"colour": ["red"]}):
        with pytest.raises(InvalidArgument):
            rig.images.summaries(bad)
    with pytest.raises(NotFound):
        rig.images.summaries({"before": ["nothing"]})


def test_before_and_since_compare_with_an_image(rig: Rig) -> None:
    old = add(rig, "old")
    derived(rig, old, "older")  # committed with a time before the stand-in's
    assert tags(rig.images, before=["old"]) == ["older:latest"]
    assert tags(rig.images, since=["older"]) == ["old:latest"]


def test_steps_to_other_images_are_shown_only_when_asked_for(rig: Rig) -> None:
    base = add(rig, "base")
    derived(rig, base, "child")
    rig.images.remove("base")
    assert [summary.tags for summary in rig.images.summaries({})] == [["child:latest"]]
    assert len(rig.images.summaries({}, everything=True)) == 2
    assert rig.images.summaries({}, shared_size=True)[0].shared_size == len(b"base")


def test_a_commit_holds_what_changed_and_remembers_where_it_came_from(rig: Rig) -> None:
    base = add(rig, "base", layers=(BASE, TOP), Cmd=["sh"])
    root = container(rig, base)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "added").write_text("x")
    os.mknod(root / "top", 0o020000, 0)
    (root / "etc" / "hosts").write_text("")
    run = RunConfig(cmd=["added"])
    image = rig.images.get(base)
    id = rig.images.commit(image, "container", run, ABOUT, name=name("made"), hidden=frozenset({"etc/hosts"}))
    made = rig.images.get("made")
    assert (made.id, made.parent, made.config.run, made.config.author) == (id, base, run, "me")
    assert made.chain[:2] == image.chain
    assert made.config.created == "2023-11-14T22:13:20.123Z"
    layer = rig.snapshots.changes(made.chain[-1])
    assert sorted(path.name for path in layer.path.iterdir()) == ["etc", "top"]
    assert [path.name for path in (layer.path / "etc").iterdir()] == ["added"]
    steps = rig.images.history("made")
    assert [(step.id, step.comment, step.size) for step in steps[:2]] == [(id, "why", 1), (base, "", 4)]
    assert steps[0].tags == ["made:latest"]
    assert rig.save("made") == rig.save("made")


def test_committing_nothing_adds_no_layer(rig: Rig) -> None:
    base = add(rig, "base")
    container(rig, base)
    image = rig.images.get(base)
    made = rig.images.get(rig.images.commit(image, "container", RunConfig(user="me"), ABOUT))
    assert made.chain == image.chain
    assert made.config.history is not None
    assert made.config.history[-1].empty_layer


def test_a_root_filesystem_is_imported_as_one_layer(rig: Rig) -> None:
    id = rig.images.import_(io.BytesIO(gzip.compress(BASE)), RunConfig(cmd=["sh"]), ABOUT, name=name("os:1"))
    image = rig.images.get("os:1")
    assert (image.id, image.parent, image.chain) == (id, None, [Digest.of(BASE)])
    assert (rig.snapshots.changes(image.chain[0]).path / "etc/base").read_text() == "base"
    before = rig.everything()
    for bad in (b"", b"no tar at all" * 100, BASE[:700]):
        with pytest.raises(InvalidArgument):
            rig.images.import_(io.BytesIO(bad), RunConfig(), ABOUT)
    rig.images.collect()
    assert rig.everything() == before


def test_what_nobody_refers_to_is_collected_and_the_rest_stays(rig: Rig) -> None:
    add(rig, "app")
    before = rig.everything()
    rig.content.put(b"stray")
    rig.snapshots.prepare("x")
    rig.snapshots.commit("stray", "x")
    assert len(rig.images.collect().nodes) == 2
    assert rig.everything() == before

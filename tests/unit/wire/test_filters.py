"""Docker's filters parameter: two shapes, one meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.model.errors import InvalidArgument
from corten.wire.filters import NONE, parse

WORDS = st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=8), unique=True, max_size=4), max_size=4)


@given(WORDS)
def test_the_documented_and_the_go_clients_shape_mean_the_same(wishes: dict[str, list[str]]) -> None:
    import json

    lists = json.dumps(wishes)
    maps = json.dumps({key: dict.fromkeys(values, True) for key, values in wishes.items()})
    assert parse(lists) == parse(maps)
    assert all(parse(maps).values(key) == tuple(values) for key, values in wishes.items())


def test_absent_filters_accept_everything() -> None:
    assert parse("") is NONE
    assert parse("null").accepts("status", "running")
    assert not parse('{"status":["exited"]}').accepts("status", "running")


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"a":1}', '{"a":[1]}', '{"a":{"b":1}}', "NaN"])
def test_another_shape_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    assert caught.value.place.startswith("/filters")


def test_an_unknown_key_is_refused_with_dockers_words() -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid filter 'colour'$"):
        parse('{"colour":["red"]}').only(("status", "label"))


def test_label_filters_want_keys_or_pairs_and_their_absence() -> None:
    labels = {"tier": "web", "stage": "test"}
    assert parse('{"label":["tier","stage=test"]}').labels(labels)
    assert not parse('{"label":["tier=db"]}').labels(labels)
    assert not parse('{"label!":["tier"]}').labels(labels)
    assert parse('{"label!":["tier=db"]}').labels(labels)


def test_a_flag_is_gos_boolean_and_never_both() -> None:
    assert parse('{"dangling":["true"]}').flag("dangling", False)
    assert not parse('{"dangling":["0"]}').flag("dangling", True)
    assert NONE.flag("dangling", True)
    for both in ('{"dangling":["true","false"]}', '{"dangling":["maybe"]}', '{"dangling":[]}'):
        with pytest.raises(InvalidArgument):
            parse(both).flag("dangling", False)

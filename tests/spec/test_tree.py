from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raytao.errors import SpecError
from raytao.spec import flatten, get_in, reachable, set_in
from raytao.spec.tree import Various, depth_of, find, merge, reached

names = st.text("abc", min_size=1, max_size=2)
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
leaves = scalars | st.lists(st.integers(), max_size=2)
trees = st.recursive(
    st.dictionaries(names, leaves, max_size=3),
    lambda inner: st.dictionaries(names, leaves | inner, max_size=3),
    max_leaves=12,
)


@given(tree=trees)
def test_every_leaf_is_found_under_its_flat_name(tree: dict[str, Any]) -> None:
    for key, value in flatten(tree).items():
        assert get_in(tree, key) == value


@given(tree=trees, data=st.data())
def test_setting_changes_one_leaf_of_a_copy(tree: dict[str, Any], data: st.DataObject) -> None:
    settable = [key for key, value in flatten(tree).items() if not isinstance(value, dict)]
    if not settable:
        return
    before, key = copy.deepcopy(tree), data.draw(st.sampled_from(settable))
    changed = set_in(tree, {key: "new"})
    assert tree == before
    assert flatten(changed) == {**flatten(tree), key: "new"}
    assert list(flatten(changed)) == list(flatten(tree))


@given(base=trees, changes=trees)
def test_a_merge_has_the_leaves_of_what_was_laid_over(
    base: dict[str, Any], changes: dict[str, Any]
) -> None:
    merged = merge(base, changes)
    for key, value in flatten(changes).items():
        if value != {}:
            assert get_in(merged, key) == value
    assert merge(merged, changes) == merged
    assert merge(base, {}) == base


def test_keys_that_contain_dots_are_found() -> None:
    tree = {"custom": {"backbone.norm": {"lr": 1}, "backbone": {"x": 2}, 3: "three"}}
    assert find(tree, "custom.backbone.norm.lr") == ("custom", "backbone.norm", "lr")
    assert get_in(tree, "custom.backbone.x") == 2
    assert get_in(tree, "custom.3") == "three"
    assert set_in(tree, {"custom.3": 0})["custom"][3] == 0


def test_an_empty_section_and_a_list_are_leaves() -> None:
    assert flatten({"a": {}, "b": [{"c": 1}]}) == {"a": {}, "b": [{"c": 1}]}


def test_an_unknown_key_is_refused_with_the_nearest_leaf() -> None:
    with pytest.raises(SpecError, match=r"'train\.lrr'(.|\n)*did you mean 'train\.lr'"):
        set_in({"train": {"lr": 1, "seed": 2}}, {"train.lrr": 1})
    with pytest.raises(SpecError, match=r"no key 'a\.b\.c'"):
        get_in({"a": {"b": 1}}, "a.b.c")


def test_a_section_stays_a_section_and_a_value_a_value() -> None:
    tree = {"a": {"b": 1, "open": None}}
    with pytest.raises(SpecError, match="'a' is a section and cannot become 1"):
        set_in(tree, {"a": 1})
    with pytest.raises(SpecError, match=r"'a\.b' is the value 1 and cannot become a section"):
        set_in(tree, {"a.b": {}})
    assert set_in(tree, {"a.open": {"x": 1}}) == {"a": {"b": 1, "open": {"x": 1}}}


listed = st.recursive(
    st.dictionaries(names, leaves, max_size=3),
    lambda inner: st.dictionaries(
        names, leaves | inner | st.lists(inner, min_size=1, max_size=3), max_size=3
    ),
    max_leaves=12,
)


@given(tree=listed)
def test_what_is_reachable_is_found_and_set_in_every_element(tree: dict[str, Any]) -> None:
    found = reachable(tree)
    assert {key: value for key, value in found.items() if key in flatten(tree)} == flatten(tree)
    for key, value in found.items():
        assert get_in(tree, key) == value
        way = find(tree, key)
        assert way is not None
        assert depth_of(tree, way) >= len(way)
        if all(not isinstance(old, dict) for old in reached(tree, way)):
            changed = set_in(tree, {key: "new"})
            assert get_in(changed, key) == "new"
            assert reached(changed, way) == ["new"] * len(reached(tree, way))


def test_values_that_differ_come_together() -> None:
    tree = {"blocks": [{"w": 1, "x": {"y": 2}, "z": 0}, {"w": 1.0, "x": {"y": 2}}]}
    assert reachable(tree) == {"blocks": tree["blocks"], "blocks.w": [1, 1.0], "blocks.x.y": 2}
    assert isinstance(get_in(tree, "blocks.w"), Various)
    assert not isinstance(get_in(tree, "blocks"), Various)
    with pytest.raises(SpecError, match=r"number 2 of the 2 'blocks' has none: write it there"):
        set_in(tree, {"blocks.z": 1})
    with pytest.raises(SpecError, match=r"'blocks\.x' is a section and cannot become 1"):
        set_in(tree, {"blocks.x": 1})

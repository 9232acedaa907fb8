"""Which leaves of two trees differ, and how far."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import surgery


def only(a, b):
    (leaf,) = surgery.difference({"x": a}, {"x": b}).leaves
    return leaf


def test_equal_trees_have_no_difference():
    tree = {"a": {"b": jnp.arange(3.0)}, "nan": np.array([np.nan, np.inf])}
    found = surgery.difference(tree, tree)
    assert found.equal
    assert str(found) == "0 of 2 leaves differ, 2 are equal"


def test_distances_are_those_of_numpy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    leaf = only(a, b)
    assert leaf.kind == "values"
    assert leaf.max_abs == np.abs(a - b).max()
    assert leaf.relative == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(a), rel=1e-14)
    cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    assert leaf.cosine == pytest.approx(cosine, rel=1e-14)


def test_one_last_bit_is_seen():
    a = np.ones(3, np.float32)
    b = a.copy()
    b[1] = np.nextafter(np.float32(1), np.float32(2))
    assert only(a, b).max_abs == np.finfo(np.float32).eps


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (np.ones(3), np.ones(4), "shape"),
        (np.ones(3, np.float32), np.ones(3), "dtype"),
        (np.ones(3), -np.ones(3), "values"),
        (np.zeros(3), np.ones(3), "values"),
        (np.array([np.nan, 1]), np.array([0.0, 1]), "values"),
        (np.array([True]), np.array([False]), "values"),
        (jnp.ones(2, jnp.bfloat16), jnp.zeros(2, jnp.bfloat16), "values"),
        (np.array([1 + 2j]), np.array([1 - 2j]), "values"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "equal"),
    ],
)
def test_kinds(a, b, kind):
    assert only(a, b).kind == kind


def test_numbers_where_one_side_is_special():
    assert only(np.ones(3), -np.ones(3)).cosine == pytest.approx(-1)
    assert only(np.zeros(3), np.ones(3)).relative == 1
    assert np.isnan(only(np.zeros(3), np.ones(3)).cosine)
    assert np.isnan(only(np.array([np.nan]), np.array([0.0])).max_abs)
    assert only(np.array([np.inf, 1.0]), np.ones(2)).max_abs == np.inf
    assert only(np.array([np.inf]), np.array([-np.inf])).max_abs == np.inf
    assert np.isnan(only(np.array([np.inf, np.nan]), np.ones(2)).max_abs)
    # NaN and infinity on both sides are no distance.
    both = only(np.array([np.nan, np.inf, 1.0]), np.array([np.nan, np.inf, 3.0]))
    assert both.max_abs == 2


def test_the_table_shows_what_differs_alone():
    a = {"dense_0": {"kernel": np.array([3.0, 4.0]), "bias": np.zeros(2)}, "old": np.ones(1)}
    b = {"dense_0": {"kernel": np.array([3.0, 4.5]), "bias": np.zeros(2)}, "new": np.ones(1)}
    found = surgery.difference(a, b)
    assert not found.equal
    assert [line.split()[0] for line in str(found).splitlines()] == [
        "path",
        "dense_0.kernel",
        "new",
        "old",
        "3",
    ]
    assert "nan" not in str(found)


def test_only_trees_are_compared():
    with pytest.raises(TypeError, match="expected nested dicts of arrays"):
        surgery.difference({}, np.ones(1))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.array([2**53]), np.array([2**53 + 1])),
        (np.array([2**64 - 1], np.uint64), np.array([2**64 - 2], np.uint64)),
        (np.array(2**62), np.array(2**62 + 1, np.uint64)),
    ],
)
def test_integers_are_compared_exactly(a, b):
    leaf = only(a, b)
    assert (leaf.kind, leaf.max_abs) == ("values", 1)
    assert only(a, a).kind == "equal"


def test_a_distance_between_two_integers_may_exceed_both() -> None:
    leaf = only(np.array(-1), np.array(2**64 - 1, np.uint64))
    assert (leaf.kind, leaf.max_abs) == ("values", 2.0**64)


def test_large_integers_beside_what_is_no_number():
    leaf = only(np.array([1, 2, 3]), np.array([1.0, np.nan, 3.0]))
    assert leaf.kind == "values"
    assert np.isnan(leaf.max_abs)
    assert only(np.array([1, 2]), np.array([1.0, 2.0])).kind == "dtype"
    assert only(np.array([2**53 + 1]), np.array([2.0**53])).kind == "values"


def test_random_keys_are_compared_by_their_bits():
    keys = jax.random.split(jax.random.key(0), 2)
    assert only(keys, jax.random.split(jax.random.key(0), 2)).kind == "equal"
    assert only(keys[0], keys[1]).kind == "values"
    assert only(keys[0], jax.random.key(0, impl="rbg")).kind == "values"
    assert only(keys, np.zeros(2, np.uint32)).kind == "values"
    assert "key<fry>[]" in str(surgery.difference({"x": keys[0]}, {"x": keys[1]}))

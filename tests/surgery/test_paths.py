"""Parts of a tree by dotted path."""

import re

import numpy as np
import pytest

from jaxnn import surgery

TREE = {
    "trunk": {"dense_0": {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}},
    "head": {"kernel": np.ones((3, 1), np.float32)},
}


def test_get_gives_leaves_and_subtrees():
    assert surgery.get(TREE, "trunk.dense_0.bias") is TREE["trunk"]["dense_0"]["bias"]
    assert surgery.get(TREE, "head") is TREE["head"]


def test_put_copies_and_adds():
    new = surgery.put(TREE, "trunk.dense_1", {"kernel": np.ones((3, 3))})
    assert list(new["trunk"]) == ["dense_0", "dense_1"]
    assert list(TREE["trunk"]) == ["dense_0"]
    assert new["head"] is TREE["head"]
    assert surgery.put(TREE, "head", 1)["head"] == 1


def test_replace_keeps_the_tree():
    head = {"kernel": np.zeros((3, 1), np.float32)}
    assert surgery.replace(TREE, "head", head)["head"] is head
    assert TREE["head"]["kernel"].sum() == 3


@pytest.mark.parametrize("function", [surgery.get, surgery.put, surgery.replace])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trunc.dense_0", "no 'trunc' below the root; did you mean 'trunk'? known: 'head', 'trunk'"),
        ("trunk.dense_1.bias", "no 'dense_1' below 'trunk'; did you mean 'dense_0'?"),
        (
            "head.kernel.scale.x",
            "no 'scale' below 'head.kernel', which is float32[3, 1]; the path ends there",
        ),
    ],
)
def test_a_wrong_path_names_the_nearest(function, path, message):
    arguments = (TREE, path) if function is surgery.get else (TREE, path, 1)
    with pytest.raises(KeyError, match=re.escape(message)):
        function(*arguments)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "head.kernel",
            np.ones((3, 2), np.float32),
            "head.kernel: expected float32[3, 1], got float32[3, 2]",
        ),
        ("head.kernel", np.ones((3, 1)), "head.kernel: expected float32[3, 1], got float64[3, 1]; cast it"),
        ("head", np.ones((3, 1)), "head: expected {'kernel': float32[3, 1]}, got float64[3, 1]"),
        ("head", {"bias": np.ones(1)}, "head: expected the entries ['kernel'], got ['bias']"),
        (
            "trunk",
            {"dense_0": {"kernel": np.ones((2, 4), np.float32), "bias": np.zeros(3, np.float32)}},
            "trunk.dense_0.kernel: expected float32[2, 3], got float32[2, 4]; put accepts other shapes",
        ),
    ],
)
def test_replace_refuses_other_specs(path, value, message):
    with pytest.raises(ValueError, match=re.escape(f"replace: {message}")):
        surgery.replace(TREE, path, value)


def test_what_is_no_tree_or_no_path():
    with pytest.raises(TypeError, match="expected nested dicts of arrays, got"):
        surgery.get([1], "a")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"path must be names joined with dots.*got ''"):
        surgery.get(TREE, "")
    with pytest.raises(KeyError, match=r"'head.kernel' is float32\[3, 1\], not a dict to put into"):
        surgery.put(TREE, "head.kernel.scale", 1)


@pytest.mark.parametrize("path", ["head.", ".head", "trunk..dense_0"])
def test_an_empty_name_is_refused(path):
    for function in (surgery.put, surgery.replace):
        with pytest.raises(ValueError, match=f"{function.__name__}: path '{path}' holds an empty name"):
            function(TREE, path, 1)
    with pytest.raises(ValueError, match=r"get: path .* holds an empty name"):
        surgery.get(TREE, path)

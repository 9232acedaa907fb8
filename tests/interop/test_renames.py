"""The map of names: holes, prefixes, precedence, mistakes."""

import pytest

from jaxnn.interop._renames import Renames


@pytest.mark.parametrize(
    ("names", "path", "expected"),
    [
        (None, "dense_0", "dense_0"),
        ({"dense_0": "fc"}, "dense_0", "fc"),
        ({"dense_0": ""}, "dense_0", ""),
        ({"": "fc"}, "", "fc"),
        ({"body": "features"}, "body.conv_1", "features.conv_1"),
        ({"body": ""}, "body.conv_1", "conv_1"),
        ({"body": "features", "body.conv_1": "last"}, "body.conv_1", "last"),
        ({"block_{i}": "layers.{i+1}"}, "block_3.dense_0", "layers.4.dense_0"),
        ({"block_{i}": "layers.{i-1}"}, "block_3", "layers.2"),
        ({"block_{i}.dense_{j}": "{j}.{i}"}, "block_3.dense_12", "12.3"),
        ({"dense_{i}": "fc{i}", "dense_0": "stem"}, "dense_0", "stem"),
        ({"dense_{i}": "fc{i}"}, "dense_x", "dense_x"),
        ({"a.b": "c"}, "axb", "axb"),
        ({"dense_0": "*_l0"}, "dense_0", "*_l0"),
    ],
)
def test_what_a_path_is_called(names, path, expected):
    assert Renames("test", names).find(path) == expected


def test_the_copy_of_a_repeated_layer():
    names = {"repeat_{i}.dense_0": "stages.{i}.layers.{copy+1}"}
    assert Renames("test", names).find("repeat_2.dense_0", (4,)) == "stages.2.layers.5"


def test_a_name_that_matches_nothing():
    renames = Renames("test", {"dense_0": "a", "dens_1": "b"})
    renames.find("dense_0")
    with pytest.raises(
        ValueError, match="test: names has 'dens_1', which is no layer of this model; did you mean"
    ):
        renames.check_used(["dense_0", "dense_1"])


def test_paths_are_text():
    with pytest.raises(TypeError, match="names must map paths"):
        Renames("test", {0: "a"})

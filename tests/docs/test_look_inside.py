"""The page on looking inside runs as printed, and its pictures are those that it makes."""

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "look_inside.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = doctest.testfile(
            str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        )
    return folder, result


def test_every_example_runs_as_printed(made):
    _, result = made
    assert result.failed == 0
    assert result.attempted > 30


@pytest.mark.parametrize("name", ["look_inside_neuron.png", "look_inside_model.png"])
def test_its_pictures_are_made_by_its_examples(made, name):
    from PIL import Image

    with Image.open(made[0] / name) as new, Image.open(PAGE.parent / "img" / name) as shown:
        assert new.size == shown.size

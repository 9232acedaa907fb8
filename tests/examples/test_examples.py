"""The examples of the documentation: under 40 lines of code each, and they learn."""

import ast

import pytest
from examples.load import FOLDER, load

# A few steps of a small form of each, and by which factor the loss must fall.
SMALL = {
    "bidirectional_gru": ({"epochs": 3, "examples": 512, "features": 4}, 0.97),
    "resnet": ({"epochs": 2, "widths": (4, 8), "examples": 640}, 0.95),
    "unet": ({"epochs": 2, "examples": 64, "features": 4, "depth": 1}, 0.95),
}
# What the full ones reach.
ACCURACY = {"bidirectional_gru": 0.9, "resnet": 0.94, "unet": 0.95}


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_in_a_few_steps(name: str) -> None:
    options, factor = SMALL[name]
    history = load(name).main(**options)
    assert history["loss"][-1] < factor * history["loss"][0]
    assert 0 <= history["val_accuracy"][-1] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ACCURACY)
def test_it_learns_the_task(name: str) -> None:
    assert load(name).main()["val_accuracy"][-1] > ACCURACY[name]


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_it_is_short(name: str) -> None:
    """Lines that are neither blank, nor comments, nor docstrings; data and imports included."""
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    words: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node) is not None:
            words |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(source.splitlines(), 1)
    code = [line for number, line in lines if line.strip() and line.strip()[0] != "#" and number not in words]
    assert len(code) < 40


def test_every_example_is_run() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert names == {*SMALL, "encoder_decoder_transformer"}

"""The image examples of the documentation run, learn, and stay short."""

import ast
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def user_lines(name):
    """Lines of code: neither empty, nor docstrings, nor comments."""
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    text = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            text.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return [
        line
        for number, line in enumerate(source.splitlines(), 1)
        if line.strip() and number not in text and not line.strip().startswith("#")
    ]


@pytest.mark.parametrize("name", ["resnet", "unet"])
def test_example_is_short(name):
    assert len(user_lines(name)) < 40


def test_resnet_learns_digits():
    history = load("resnet").main(epochs=3, widths=(8, 16), examples=512)
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    assert history["val_accuracy"][-1] > 0.3


def test_unet_learns_to_find_discs():
    history = load("unet").main(epochs=2, examples=256, features=4, depth=2)
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    assert history["val_accuracy"][-1] > 0.8


def test_unet_keeps_the_size_at_every_depth():
    unet = load("unet").unet
    for depth in (0, 1, 3):
        x = jax.ShapeDtypeStruct((2, 16, 24, 3), jnp.float32)
        model = unet(4, depth)
        y = jax.eval_shape(lambda x, model=model: model.apply(*model.init(jax.random.key(0), x), x)[0], x)
        assert y.shape == (2, 16, 24, 4)

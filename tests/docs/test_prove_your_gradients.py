"""The models of other libraries on the page are checked as it says."""

import re
from pathlib import Path

import jax
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "prove_your_gradients.md"


def blocks() -> list[str]:
    return re.findall(
        r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8").split("## Any JAX code")[1], flags=re.DOTALL
    )


def test_a_flax_and_an_equinox_model_pass() -> None:
    flax_model, equinox_model, *_ = blocks()
    names: dict = {}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        exec(flax_model, names)
        pytest.importorskip("equinox")
        exec(equinox_model, names)


def test_a_wrong_flax_model_does_not() -> None:
    source = blocks()[0].replace("jnp.tanh", "lambda h: jax.lax.stop_gradient(h) * h")
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        pytest.raises(AssertionError, match="a factor of 2 is missing"),
    ):
        exec(source, {})

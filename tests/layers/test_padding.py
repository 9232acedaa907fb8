"""``pad`` means what ``numpy.pad`` means, however wide, and its gradient gathers what it copied."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnn as nn

WIDTHS = st.tuples(st.integers(0, 9), st.integers(0, 9))


@settings(max_examples=60)
@given(
    st.sampled_from(["constant", "edge", "reflect", "wrap"]),
    st.integers(1, 4),
    st.integers(1, 3),
    WIDTHS,
    WIDTHS,
)
def test_pad_is_numpys_for_any_widths(mode, height, width, rows, columns) -> None:
    if mode == "reflect":
        height, width = height + 1, width + 1
    x = np.arange(1, 1 + 2 * height * width, dtype=np.float32).reshape(1, height, width, 2)
    every = ((0, 0), rows, columns, (0, 0))
    layer = nn.pad((rows, columns), mode)
    y = layer.apply({}, {}, x)[0]
    np.testing.assert_array_equal(y, np.pad(x, every, mode))
    weights = np.random.default_rng(0).integers(-4, 5, y.shape).astype(np.float32)
    slope = jax.grad(lambda x: jnp.sum(layer.apply({}, {}, x)[0] * weights))(x)
    source = np.pad(np.arange(1, 1 + x.size).reshape(x.shape), every, mode)
    expected = np.bincount(source.ravel(), weights.ravel(), 1 + x.size)[1:].reshape(x.shape)
    np.testing.assert_array_equal(slope, expected)


@pytest.mark.parametrize(("mode", "size"), [("edge", 0), ("wrap", 0), ("reflect", 0), ("reflect", 1)])
def test_pad_needs_cells_to_take_from(mode: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"pad: mode=.* needs . cell.* use mode='constant'"):
        nn.pad(((1, 1),), mode).apply({}, {}, jnp.ones((2, size, 3)))


def test_zeros_pad_an_empty_axis() -> None:
    assert nn.pad(((1, 2),)).apply({}, {}, jnp.ones((2, 0, 3)))[0].shape == (2, 3, 3)

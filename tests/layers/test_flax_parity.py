"""Dense, convolution, pooling and embedding beside Flax's, with the same weights, in both precisions."""

from typing import Any

import flax.linen as fnn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, draw, value_and_gradients

import jaxnn as nn

IMAGES = (2, 7, 6, 4)
# name: our layer, Flax's module or function, shape of the input
CASES: dict[str, Any] = {
    "dense": (nn.dense(5), fnn.Dense(5), (2, 3, 4)),
    "dense without bias": (nn.dense(5, use_bias=False), fnn.Dense(5, use_bias=False), (3, 4)),
    "conv strided": (
        nn.conv(3, (3, 2), (2, 1), "SAME"),
        fnn.Conv(3, (3, 2), (2, 1), "SAME"),
        IMAGES,
    ),
    "conv dilated": (
        nn.conv(3, (2, 2), dilation=2),
        fnn.Conv(3, (2, 2), padding="VALID", kernel_dilation=2),
        IMAGES,
    ),
    "conv grouped": (
        nn.conv(6, (3, 3), groups=2),
        fnn.Conv(6, (3, 3), padding="VALID", feature_group_count=2),
        IMAGES,
    ),
    "conv_transpose": (
        nn.conv_transpose(3, (3, 2), (2, 3), "SAME"),
        fnn.ConvTranspose(3, (3, 2), (2, 3), "SAME"),
        IMAGES,
    ),
    "max_pool": (nn.max_pool((2, 3), 2), lambda x: fnn.max_pool(x, (2, 3), (2, 2)), IMAGES),
    "max_pool same": (
        nn.max_pool((3, 3), (2, 1), "SAME"),
        lambda x: fnn.max_pool(x, (3, 3), (2, 1), "SAME"),
        IMAGES,
    ),
    "avg_pool": (nn.avg_pool((2, 2)), lambda x: fnn.avg_pool(x, (2, 2), (2, 2)), IMAGES),
    "avg_pool same": (
        nn.avg_pool((3, 2), 2, "SAME"),
        lambda x: fnn.avg_pool(x, (3, 2), (2, 2), "SAME", count_include_pad=False),
        IMAGES,
    ),
    "embedding": (nn.embedding(7, 3), fnn.Embed(7, 3), None),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-5)])
@pytest.mark.parametrize("name", CASES)
def test_equals_flax(name: str, dtype: str, tolerance: float) -> None:
    layer, theirs, shape = CASES[name]
    ids = jnp.array([[3, 0, 3], [6, 1, 2]], jnp.int32)
    with jax.enable_x64(dtype == "float64"), jax.numpy_dtype_promotion("standard"):
        x = ids if shape is None else jnp.asarray(draw(*shape), dtype)
        spec, _ = jax.eval_shape(layer.init, jax.random.key(0), x)
        params = {part: jnp.asarray(draw(*leaf.shape, seed=1), dtype) for part, leaf in spec.items()}
        moving = (params,) if shape is None else (params, x)

        def ours(params: Any, x: Any = ids) -> Any:
            return layer.apply(params, {}, x)[0]

        def flax(params: Any, x: Any = ids) -> Any:
            return theirs.apply({"params": params}, x) if isinstance(theirs, fnn.Module) else theirs(x)

        found, wanted = value_and_gradients(ours, *moving), value_and_gradients(flax, *moving)
    assert found[0].dtype == np.dtype(dtype)
    assert_close(found, wanted, tolerance)

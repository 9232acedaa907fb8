"""The small networks of "Deep learning, day 1" and "Back-propagation" whose every number is printed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn


class Printed(NamedTuple):
    """A network with its parameters, its input and its target."""

    model: nn.Layer
    params: Any
    x: Any
    target: Any


def _dense(kernel: Any, bias: Any, dtype: Any) -> dict[str, Any]:
    return {"kernel": jnp.asarray(np.asarray(kernel), dtype), "bias": jnp.asarray(np.asarray(bias), dtype)}


def sigmoid_neuron(dtype: Any = np.float64) -> Printed:
    """One sigmoid unit: weights 2 and -3, bias -3, input (-1, -2)."""
    params = {"dense_0": _dense([[2.0], [-3.0]], [-3.0], dtype)}
    return Printed(nn.chain(nn.dense(1), jax.nn.sigmoid), params, jnp.array([-1.0, -2.0], dtype), None)


def relu_unit(dtype: Any = np.float64) -> Printed:
    """One rectified unit: weights 1 and 1, the printed random bias, input (2, 3)."""
    params = {"dense_0": _dense([[1.0], [1.0]], [0.15691869859919338], dtype)}
    return Printed(nn.chain(nn.dense(1), jax.nn.relu), params, jnp.array([2.0, 3.0], dtype), None)


def sigmoid_layer(dtype: Any = np.float64) -> Printed:
    """Three sigmoid units on four inputs, all weights 1."""
    params = {"dense_0": _dense(np.ones((4, 3)), [0.1, 0.2, 0.3], dtype)}
    return Printed(nn.chain(nn.dense(3), jax.nn.sigmoid), params, jnp.array([1.0, 5, 2, -1], dtype), None)


def _three_five_four(dtype: Any) -> dict[str, Any]:
    first = [[0.1, 0.4, 0.7, 0.1, 0.3], [0.2, 0.5, 0.8, 0.1, 0.4], [0.3, 0.6, 0.9, 0.2, 0.5]]
    second = [
        [0.1, 0.6, 0.1, 0.6], [0.2, 0.7, 0.2, 0.7], [0.3, 0.8, 0.3, 0.8], [0.4, 0.9, 0.4, 0.9],
        [0.5, 0.1, 0.5, 0.1],
    ]  # fmt: skip
    return {
        "dense_0": _dense(first, [0.1, 0.2, 0.3, 0.4, 0.5], dtype),
        "dense_1": _dense(second, [0.1, 0.2, 0.3, 0.4], dtype),
    }


def classifier(dtype: Any = np.float64) -> Printed:
    """3-5-4 with rectified units; its four outputs are logits, and the right class is the last."""
    model = nn.chain(nn.dense(5), jax.nn.relu, nn.dense(4))
    return Printed(
        model, _three_five_four(dtype), jnp.array([1.0, 2, 3], dtype), jnp.array([0.0, 0, 0, 1], dtype)
    )


def regressor(dtype: Any = np.float64) -> Printed:
    """The same network, whose outputs are to be 2, 3, 4 and 5."""
    return classifier(dtype)._replace(target=jnp.array([2.0, 3, 4, 5], dtype))


def binary(dtype: Any = np.float64) -> Printed:
    """5-10-1 with rectified units; its output is a logit, and the right answer is 1."""
    first = [0.1, 0.3, 0.5, 0.1, 0.3, 0.5, 0.1, 0.3, 0.5, 0.6]
    others = [0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.7]
    params = {
        "dense_0": _dense([first, others, others, others, others], first, dtype),
        "dense_1": _dense(np.full((10, 1), 0.1), [0.1], dtype),
    }
    model = nn.chain(nn.dense(10), jax.nn.relu, nn.dense(1))
    return Printed(model, params, jnp.arange(1.0, 6.0, dtype=dtype), jnp.array([1.0], dtype))

"""The small nets whose every number is printed in courses, in float64."""

import jax
import jax.numpy as jnp

import jaxnn as nn


def classifier():
    """3-5-4 with ReLU: model, params, x."""
    params = {
        "dense_0": {
            "kernel": jnp.array(
                [[0.1, 0.4, 0.7, 0.1, 0.3], [0.2, 0.5, 0.8, 0.1, 0.4], [0.3, 0.6, 0.9, 0.2, 0.5]]
            ),
            "bias": jnp.array([0.1, 0.2, 0.3, 0.4, 0.5]),
        },
        "dense_1": {
            "kernel": jnp.array(
                [
                    [0.1, 0.6, 0.1, 0.6],
                    [0.2, 0.7, 0.2, 0.7],
                    [0.3, 0.8, 0.3, 0.8],
                    [0.4, 0.9, 0.4, 0.9],
                    [0.5, 0.1, 0.5, 0.1],
                ]
            ),
            "bias": jnp.array([0.1, 0.2, 0.3, 0.4]),
        },
    }
    return nn.chain(nn.dense(5), jax.nn.relu, nn.dense(4)), params, jnp.array([1.0, 2.0, 3.0])


def binary():
    """5-10-1 with ReLU: model, params, x."""
    first = jnp.array([0.1, 0.3, 0.5, 0.1, 0.3, 0.5, 0.1, 0.3, 0.5, 0.6])
    other = jnp.array([0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.7])
    params = {
        "dense_0": {"kernel": jnp.stack([first, other, other, other, other]), "bias": first},
        "dense_1": {"kernel": jnp.full((10, 1), 0.1), "bias": jnp.array([0.1])},
    }
    return nn.chain(nn.dense(10), jax.nn.relu, nn.dense(1)), params, jnp.arange(1.0, 6.0)


def itself(outputs, _):
    """The output of a single unit as its own cost."""
    return outputs[..., 0]

"""Wrong normalisations: the gradient agrees with them; an oracle or a law of values can tell."""

from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from benchmarks.mutants._mutant import Mutant, Patch, f32


def _scale_and_bias(key: Any, x: Any) -> dict[str, Any]:
    return {"scale": jnp.ones(x.shape[-1:], jnp.float32), "bias": jnp.zeros(x.shape[-1:], jnp.float32)}


def _layer_norm(variance: Any, root: Any) -> nn.Layer:
    def apply(params: Any, x: Any) -> Any:
        centred = x - jnp.mean(x, -1, keepdims=True)
        y = centred / root(variance(x, centred))
        axes = tuple(range(x.ndim - 1))
        return y * jnp.expand_dims(params["scale"], axes) + jnp.expand_dims(params["bias"], axes)

    return nn.stateless("layer_norm", _scale_and_bias, apply)


def _square_mean(x: Any, centred: Any) -> Any:
    return jnp.mean(jnp.square(centred), -1, keepdims=True)


def _root(v: Any) -> Any:
    return jnp.sqrt(v + 1e-5)


def _layer_norm_oracle(params: Any, x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt(np.mean(centred**2, -1, keepdims=True) + 1e-5)
    return y * params["scale"] + params["bias"]


def sample_variance(broken: bool) -> nn.Layer:
    ddof = 1 if broken else 0
    return _layer_norm(lambda x, c: jnp.sum(jnp.square(c), -1, keepdims=True) / (x.shape[-1] - ddof), _root)


def epsilon_outside(broken: bool) -> nn.Layer:
    return _layer_norm(_square_mean, lambda v: jnp.sqrt(v) + 1e-5 if broken else _root(v))


def one_pass_variance(broken: bool) -> nn.Layer:
    def one_pass(x: Any, centred: Any) -> Any:
        del centred
        return jnp.mean(jnp.square(x), -1, keepdims=True) - jnp.square(jnp.mean(x, -1, keepdims=True))

    return _layer_norm(one_pass if broken else _square_mean, _root)


def statistics_over_batch(broken: bool) -> nn.Layer:
    axis = 0 if broken else -1

    def apply(params: Any, x: Any) -> Any:
        centred = x - jnp.mean(x, axis, keepdims=True)
        y = centred / jnp.sqrt(jnp.mean(jnp.square(centred), axis, keepdims=True) + 1e-5)
        return y * params["scale"][None] + params["bias"][None]

    return nn.stateless("layer_norm", _scale_and_bias, apply)


def _batch_norm(old: str, new: str) -> Any:
    return lambda broken: Patch("jaxnn.layers._batch_norm", old, new).apply(broken).batch_norm()


_UPDATE = "            new_state = _running(state, mean, var, count, momentum)\n"
running_in_training = _batch_norm(
    _UPDATE,
    _UPDATE
    + '            mean, var = state["mean"].astype(wide), state["var"].astype(wide)\n'
    + "            z = x.astype(wide) - jnp.broadcast_to(mean, z.shape)\n",
)


def _batch_norm_oracle(params: Any, state: Any, x: Any, train: bool) -> Any:
    mean, var = (x.mean(0), x.var(0)) if train else (state["mean"], state["var"])
    y = (x - mean) / np.sqrt(var + 1e-5) * params["scale"] + params["bias"]
    if not train:
        return y, state
    return y, {"mean": 0.99 * state["mean"] + 0.01 * mean, "var": 0.99 * state["var"] + 0.01 * var}


_X = f32(3, 4, 5)
_OFFSET = {"offset 300": 300 + np.random.default_rng(0).standard_normal((3, 8))}

NORMALISATION = (
    Mutant("variance with ddof=1", "layer", sample_variance, "oracle", (_X,), {}, _layer_norm_oracle, True),
    Mutant("epsilon outside the root", "layer", epsilon_outside, "hard point", (_X,), {}, _layer_norm_oracle),
    Mutant(
        "one-pass variance",
        "layer",
        one_pass_variance,
        "float32 = float64, offset",
        (f32(3, 8),),
        {"precision_points": _OFFSET},
    ),
    Mutant(
        "statistics over the batch",
        "layer",
        statistics_over_batch,
        "rows independent",
        (f32(4, 5),),
        {},
        _layer_norm_oracle,
    ),
    Mutant(
        "running statistics in training (shipped batch_norm)",
        "layer",
        running_in_training,
        "oracle",
        (f32(5, 3),),
        {"cross_batch": True, "live": ("scale", "bias", "x")},
        _batch_norm_oracle,
    ),
)

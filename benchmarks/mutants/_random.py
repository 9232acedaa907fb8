"""Keys that are reused, ignored or missing, and noise that moves the mean."""

from typing import Any

import jax
import jax.numpy as jnp

import jaxnn as nn
from benchmarks.mutants._mutant import Mutant, Patch, f32


def _noise(name: str, apply: Any) -> nn.Layer:
    """A layer that is the identity in evaluation; ``apply(key, x)`` in training."""

    def run(params: Any, x: Any, *, key: Any, train: bool) -> Any:
        if not train:
            return x
        if key is None:
            raise ValueError(f"{name}: training needs a key")
        return apply(key, x)

    return nn.stateless(name, None, run)


def _drop(key: Any, x: Any, scale: float) -> Any:
    return jnp.where(jax.random.bernoulli(key, 0.7, x.shape), x * scale, 0)


def scaled_by_keep(broken: bool) -> nn.Layer:
    return _noise("dropout", lambda key, x: _drop(key, x, 0.7 if broken else 1 / 0.7))


def not_scaled(broken: bool) -> nn.Layer:
    return _noise("dropout", lambda key, x: _drop(key, x, 1.0 if broken else 1 / 0.7))


def one_key_for_all(broken: bool) -> nn.Layer:
    """Two draws from the key of the whole model."""

    def apply(key: Any, x: Any) -> Any:
        first, second = (key, key) if broken else jax.random.split(key)
        return _drop(second, _drop(first, x, 1 / 0.7), 1 / 0.7)

    return _noise("dropout", apply)


def same_fold(broken: bool) -> nn.Layer:
    """Two ``fold_in`` with equal data: ``jax.debug_key_reuse`` sees two variables, not one key."""

    def apply(key: Any, x: Any) -> Any:
        first, second = jax.random.fold_in(key, 1), jax.random.fold_in(key, 1 if broken else 2)
        return _drop(second, _drop(first, x, 1 / 0.7), 1 / 0.7)

    return _noise("dropout", apply)


def same_key_in_scan(broken: bool) -> nn.Layer:
    """Every step of a loop drops the same entries."""

    def apply(key: Any, x: Any) -> Any:
        def step(x: Any, index: Any) -> Any:
            return _drop(key if broken else jax.random.fold_in(key, index), x, 1 / 0.7), None

        return jax.lax.scan(step, x, jnp.arange(3))[0]

    return _noise("dropout", apply)


def split_and_drawn(broken: bool) -> nn.Layer:
    def apply(key: Any, x: Any) -> Any:
        first, second = jax.random.split(key)
        return _drop(key if broken else first, x, 1 / 0.7) + 0 * jax.random.normal(second, x.shape, x.dtype)

    return _noise("dropout", apply)


def constant_key(broken: bool) -> nn.Layer:
    return _noise("dropout", lambda key, x: _drop(jax.random.key(0) if broken else key, x, 1 / 0.7))


def noise_in_evaluation(broken: bool) -> nn.Layer:
    def run(params: Any, x: Any, *, key: Any, train: bool) -> Any:
        if key is None and (train or broken):
            raise ValueError("dropout: a key is needed")
        return _drop(key, x, 1 / 0.7) if train or broken else x

    return nn.stateless("dropout", None, run)


def biased_noise(broken: bool) -> nn.Layer:
    low = 0.0 if broken else -1.0
    return _noise("noise", lambda key, x: x + jax.random.uniform(key, x.shape, x.dtype, low, 1.0))


def default_key(broken: bool) -> nn.Layer:
    """A missing key is replaced in silence."""

    def run(params: Any, x: Any, *, key: Any, train: bool) -> Any:
        if not train:
            return x
        if key is None and not broken:
            raise ValueError("dropout: training needs a key")
        return _drop(jax.random.key(0) if key is None else key, x, 1 / 0.7)

    return nn.stateless("dropout", None, run)


def _two_kernels(broken: bool) -> nn.Layer:
    """Two kernels of one shape, initialised from one key."""

    def init(key: Any, x: Any) -> dict[str, Any]:
        first, second = (key, key) if broken else jax.random.split(key)
        shape = (x.shape[-1], x.shape[-1])
        return {"inner": jax.random.normal(first, shape), "outer": jax.random.normal(second, shape)}

    return nn.stateless("mlp", init, lambda p, x: jnp.tanh(x @ p["inner"]) @ p["outer"])


def _shipped(old: str, new: str) -> Any:
    def make(broken: bool) -> nn.Layer:
        drop = Patch("jaxnn.ops._dropout", old, new).apply(broken).dropout
        return _noise("dropout", lambda key, x: drop(key, x, 0.3))

    return make


shipped_scale = _shipped("jnp.asarray(1 / (1 - rate), wide.dtype)", "jnp.asarray(1 - rate, wide.dtype)")
shipped_keep = _shipped(
    "_words(key, x.size).reshape(x.shape) >= threshold", "_words(key, x.size).reshape(x.shape) < threshold"
)

_X = f32(4, 6)

RANDOM = (
    Mutant("dropout scaled by keep, not 1/keep", "layer", scaled_by_keep, "mean over keys", (_X,)),
    Mutant("dropout not scaled", "layer", not_scaled, "mean over keys", (_X,)),
    Mutant("one key for all draws", "layer", one_key_for_all, "distinct keys", (_X,)),
    Mutant("two fold_in with equal data", "layer", same_fold, "distinct keys", (_X,)),
    Mutant("one key for every step of a scan", "layer", same_key_in_scan, "distinct keys", (_X,)),
    Mutant("a key drawn from and split", "layer", split_and_drawn, "distinct keys", (_X,)),
    Mutant("a constant key inside", "layer", constant_key, "another key", (_X,)),
    Mutant("dropout in evaluation", "layer", noise_in_evaluation, "evaluation draws nothing", (_X,)),
    Mutant("noise with a mean", "layer", biased_noise, "mean over keys", (_X,)),
    Mutant("a missing key replaced in silence", "layer", default_key, "missing key", (_X,)),
    Mutant("scaled by keep (shipped dropout)", "layer", shipped_scale, "mean over keys", (_X,)),
    Mutant("kept where it should drop (shipped dropout)", "layer", shipped_keep, "mean over keys", (_X,)),
    Mutant("two kernels from one key", "layer", _two_kernels, "init: distinct keys", (_X,)),
)

"""Losses whose value is wrong, or right and unusable at the edge."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.mutants._mutant import Mutant, Patch, f32
from jaxnn.testing import HardPoint


def masked_mean(broken: bool) -> Any:
    def loss(outputs: Any, targets: Any, mask: Any) -> Any:
        _same_shape(outputs, targets)
        values = jnp.where(mask, jnp.mean(jnp.square(outputs - targets), -1), 0)
        count = (
            mask.size
            if broken
            else jnp.maximum(jnp.sum(mask, dtype=values.dtype), jnp.ones((), values.dtype))
        )
        return jnp.sum(values) / count

    return loss


def _same_shape(outputs: Any, targets: Any) -> None:
    if outputs.shape != jnp.shape(targets):
        raise ValueError(f"loss: outputs {outputs.shape} and targets {jnp.shape(targets)} differ")


def _labels(outputs: Any, targets: Any) -> None:
    if jnp.shape(targets) != outputs.shape[:-1]:
        raise ValueError(f"loss: labels {jnp.shape(targets)} do not fit outputs {outputs.shape}")


def _picked(log_p: Any, labels: Any) -> Any:
    return -jnp.take_along_axis(log_p, labels[..., None], -1)[..., 0]


def clipped_log(broken: bool) -> Any:
    def cross_entropy(outputs: Any, targets: Any) -> Any:
        _labels(outputs, targets)
        if broken:
            return _picked(jnp.log(jnp.clip(jax.nn.softmax(outputs), 1e-7, 1.0)), targets)
        return _picked(jax.nn.log_softmax(outputs), targets)

    return cross_entropy


def batch_mean(broken: bool) -> Any:
    def cross_entropy(outputs: Any, targets: Any) -> Any:
        _labels(outputs, targets)
        values = _picked(jax.nn.log_softmax(outputs), targets)
        return jnp.mean(values) if broken else values

    return cross_entropy


def softmax_over_batch(broken: bool) -> Any:
    def cross_entropy(outputs: Any, targets: Any) -> Any:
        _labels(outputs, targets)
        return _picked(jax.nn.log_softmax(outputs, axis=0 if broken else -1), targets)

    return cross_entropy


def negative_branch_sign(broken: bool) -> Any:
    def binary_cross_entropy(outputs: Any, targets: Any) -> Any:
        _same_shape(outputs, targets)
        no = (1 - targets) * jax.nn.softplus(-outputs if broken else outputs)
        return jnp.mean(targets * jax.nn.softplus(-outputs) + no, -1)

    return binary_cross_entropy


def log_of_sigmoid(broken: bool) -> Any:
    def binary_cross_entropy(outputs: Any, targets: Any) -> Any:
        _same_shape(outputs, targets)
        if broken:
            p = jax.nn.sigmoid(outputs)
            return -jnp.mean(targets * jnp.log(p) + (1 - targets) * jnp.log(1 - p), -1)
        return jnp.mean(jax.nn.softplus(outputs) - targets * outputs, -1)

    return binary_cross_entropy


def kl_swapped(broken: bool) -> Any:
    """``KL(targets || softmax(outputs))``, or the other way round."""

    def kl_divergence(outputs: Any, targets: Any) -> Any:
        _same_shape(outputs, targets)
        log_q, log_p = jax.nn.log_softmax(outputs), jax.nn.log_softmax(targets)
        if broken:
            return jnp.sum(jnp.exp(log_q) * (log_q - log_p), -1)
        return jnp.sum(jnp.exp(log_p) * (log_p - log_q), -1)

    return kl_divergence


def zero_times_infinity(broken: bool) -> Any:
    old = "jnp.sum(jnp.where(p == 0, 0, p * jnp.where(p == 0, 0, away)), -1)"
    return Patch("jaxnn.losses._cross_entropy", old, "jnp.sum(p * away, -1)").apply(broken).cross_entropy


def huber_offset(broken: bool) -> Any:
    """The linear branch is ``|r| - 1/2``; a slip writes ``|r| - 1``: a step down, the same slope."""

    def huber(outputs: Any, targets: Any) -> Any:
        _same_shape(outputs, targets)
        size = jnp.abs(outputs - targets)
        offset = 1.0 if broken else 0.5
        return jnp.mean(jnp.where(size <= 1, 0.5 * size * size, size - offset), -1)

    return huber


def broadcast_targets(broken: bool) -> Any:
    def squared_error(outputs: Any, targets: Any) -> Any:
        if not broken:
            _same_shape(outputs, targets)
        return jnp.mean(jnp.square(outputs - targets), -1)

    return squared_error


def hinge_sign(broken: bool) -> Any:
    def hinge(outputs: Any, targets: Any) -> Any:
        _same_shape(outputs, targets)
        margin = outputs * targets
        return jnp.mean(jax.nn.relu(1 + margin if broken else 1 - margin), -1)

    return hinge


def cosine_unsafe(broken: bool) -> Any:
    """The cosine with a row of zeros is 0, and so is its gradient."""

    def length(x: Any) -> Any:
        square = jnp.sum(jnp.square(x), -1)
        if broken:
            return jnp.sqrt(square)
        return jnp.sqrt(jnp.where(square > 0, square, 1))

    def cosine_distance(outputs: Any, targets: Any) -> Any:
        _same_shape(outputs, targets)
        return 1 - jnp.sum(outputs * targets, -1) / (length(outputs) * length(targets))

    return cosine_distance


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


def _ce_oracle(outputs: Any, targets: Any) -> Any:
    shifted = outputs - outputs.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return -np.take_along_axis(log_p, targets[..., None], -1)[..., 0]


def _bce_oracle(z: Any, y: Any) -> Any:
    return np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z))), -1)


def _kl_oracle(outputs: Any, targets: Any) -> Any:
    p, q = (np.exp(x) / np.exp(x).sum(-1, keepdims=True) for x in (targets, outputs))
    return np.sum(p * np.log(p / q), -1)


def _huber_oracle(outputs: Any, targets: Any) -> Any:
    size = np.abs(outputs - targets)
    return np.mean(np.where(size <= 1, 0.5 * size**2, size - 0.5), -1)


def _hinge_oracle(outputs: Any, targets: Any) -> Any:
    return np.mean(np.maximum(0, 1 - outputs * targets), -1)


_Z = f32(4, 5)
_INDEX = np.array([0, 3, 1, 4], np.int32)
_BINARY = _rng().integers(0, 2, (4, 5)).astype(np.float32)
_SIGNS = 2 * _BINARY - 1
_SOFT = _rng().standard_normal((4, 5)).astype(np.float32)
_CE = (HardPoint("confident and wrong", [1e4, -1e4, 0.0], 1, 20000.0, [1.0, -1.0, 0.0]),)
_BCE = (HardPoint("confident and wrong", [1e4, -1e4], [0.0, 1.0], 1e4, [0.5, -0.5]),)
_ABSENT = (HardPoint("absent class at -inf", [0.0, -np.inf], [1.0, 0.0], 0.0, [0.0, 0.0]),)
_NULL = (HardPoint("cosine of zeros", [0.0, 0.0], [1.0, 1.0], 1.0, None),)
_MASK = np.array([True, False, True, True])

LOSSES = (
    Mutant(
        "divides by N, not by the mask's count",
        "loss",
        masked_mean,
        "masked mean",
        (_Z, _SOFT),
        {"mask": _MASK},
    ),
    Mutant(
        "clip inside the log",
        "loss",
        clipped_log,
        "table",
        (_Z, _INDEX),
        {"table": _CE, "one_hot": False},
        _ce_oracle,
    ),
    Mutant(
        "mean over the batch",
        "loss",
        batch_mean,
        "rows independent",
        (_Z, _INDEX),
        {"one_hot": False},
        _ce_oracle,
    ),
    Mutant(
        "softmax over the batch",
        "loss",
        softmax_over_batch,
        "rows independent",
        (_Z, _INDEX),
        {"one_hot": False, "shift_invariant": True},
        _ce_oracle,
    ),
    Mutant(
        "BCE's negative branch with the wrong sign",
        "loss",
        negative_branch_sign,
        "oracle",
        (_Z, _BINARY),
        {"convex": True},
        _bce_oracle,
        True,
    ),
    Mutant("log of a sigmoid", "loss", log_of_sigmoid, "table", (_Z, _BINARY), {"table": _BCE}, _bce_oracle),
    Mutant(
        "KL swapped", "loss", kl_swapped, "oracle", (_Z, _SOFT), {"minimum": lambda t: t}, _kl_oracle, True
    ),
    Mutant(
        "0 * inf (shipped cross_entropy)",
        "loss",
        zero_times_infinity,
        "table",
        (_Z, np.eye(5, dtype=np.float32)[_INDEX]),
        {"table": _ABSENT},
    ),
    Mutant(
        "Huber's joint broken",
        "loss",
        huber_offset,
        "convexity",
        (_Z, _SOFT),
        {"convex": True},
        _huber_oracle,
    ),
    Mutant(
        "(N, 1) against (N,) accepted", "loss", broadcast_targets, "shapes that would broadcast", (_Z, _SOFT)
    ),
    Mutant(
        "hinge with the wrong sign",
        "loss",
        hinge_sign,
        "oracle",
        (_Z, _SIGNS),
        {"minimum": lambda t: 2.0 * t},
        _hinge_oracle,
    ),
    Mutant("cosine of zeros", "loss", cosine_unsafe, "table", (_Z, _SOFT), {"table": _NULL}),
)

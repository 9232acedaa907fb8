"""Custom derivative rules, and paths that a gradient does not take."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from benchmarks.mutants._mutant import Mutant, f32


def _layer(name: str, init: Any, apply: Any) -> nn.Layer:
    return nn.stateless(name, init, apply)


def _kernel(key: Any, x: Any) -> dict[str, Any]:
    return {
        "kernel": jax.random.normal(key, (x.shape[-1], 3), jnp.float32),
        "bias": jnp.zeros(3, jnp.float32),
    }


def _dense_rule(backward: Any) -> Any:
    """A dense layer with a hand-written backward rule ``(x, kernel, g) -> (dx, dkernel, dbias)``."""

    @jax.custom_vjp
    def affine(x: Any, kernel: Any, bias: Any) -> Any:
        return x @ kernel + bias[None]

    affine.defvjp(
        lambda x, kernel, bias: (affine(x, kernel, bias), (x, kernel)),
        lambda saved, g: backward(*saved, g),
    )
    return _layer("dense", _kernel, lambda p, x: affine(x, p["kernel"], p["bias"]))


def bias_mean(broken: bool) -> nn.Layer:
    reduce = jnp.mean if broken else jnp.sum
    return _dense_rule(lambda x, kernel, g: (g @ kernel.T, x.T @ g, reduce(g, axis=0)))


def kernel_gradient_halved(broken: bool) -> nn.Layer:
    share = 0.5 if broken else 1.0
    return _dense_rule(lambda x, kernel, g: (g @ kernel.T, share * (x.T @ g), jnp.sum(g, axis=0)))


def last_row_dropped(broken: bool) -> nn.Layer:
    """An off-by-one in a blocked backward pass: the last row of the batch does not reach the kernel."""
    end = -1 if broken else None
    return _dense_rule(lambda x, kernel, g: (g @ kernel.T, x[:end].T @ g[:end], jnp.sum(g, axis=0)))


def _elementwise(name: str, forward: Any, backward: Any) -> nn.Layer:
    @jax.custom_vjp
    def rule(x: Any) -> Any:
        return forward(x)

    rule.defvjp(lambda x: (forward(x), x), lambda x, g: (backward(x, g),))
    return _layer(name, None, lambda p, x: rule(x))


def ignores_cotangent(broken: bool) -> nn.Layer:
    return _elementwise("cube", lambda x: x**3, lambda x, g: 3 * x * x if broken else 3 * x * x * g)


def tanh_from_preactivation(broken: bool) -> nn.Layer:
    slope = (lambda x: 1 - x * x) if broken else (lambda x: 1 - jnp.tanh(x) ** 2)
    return _elementwise("tanh", jnp.tanh, lambda x, g: g * slope(x))


def sign_flipped(broken: bool) -> nn.Layer:
    return _elementwise("sine", jnp.sin, lambda x, g: -g * jnp.cos(x) if broken else g * jnp.cos(x))


def clipped_cotangent(broken: bool) -> nn.Layer:
    return _elementwise("identity", lambda x: 1.0 * x, lambda x, g: jnp.clip(g, -1, 1) if broken else g)


def gelu_term_missing(broken: bool) -> nn.Layer:
    """The derivative of ``x Phi(x)`` is ``Phi(x) + x phi(x)``."""

    def cdf(x: Any) -> Any:
        return 0.5 * (1 + jax.lax.erf(x * 0.5**0.5))

    def slope(x: Any) -> Any:
        density = jnp.exp(-0.5 * x * x) * (0.5 / jnp.pi) ** 0.5
        return cdf(x) if broken else cdf(x) + x * density

    return _elementwise("gelu", lambda x: x * cdf(x), lambda x, g: g * slope(x))


def custom_jvp_wrong(broken: bool) -> nn.Layer:
    """The derivative of softplus is sigmoid(x); a slip writes sigmoid(-x)."""

    @jax.custom_jvp
    def softplus(x: Any) -> Any:
        return jnp.logaddexp(x, jnp.zeros_like(x))

    @softplus.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (x,), (v,) = primals, tangents
        return softplus(x), v * jax.nn.sigmoid(-x if broken else x)

    return _layer("softplus", None, lambda p, x: softplus(x))


def residual_swapped(broken: bool) -> Any:
    """Two residuals saved in one order and read in the other; shapes agree, so nothing complains."""

    @jax.custom_vjp
    def product(a: Any, b: Any) -> Any:
        return a * b

    product.defvjp(
        lambda a, b: (a * b, (a, b)),
        lambda saved, g: (g * saved[0], g * saved[1]) if broken else (g * saved[1], g * saved[0]),
    )
    return product


def one_wrong_entry(broken: bool) -> Any:
    """One of 4096 gradients has the wrong sign: tolerances that grow with the size hide it."""

    @jax.custom_vjp
    def total(x: Any) -> Any:
        return jnp.sum(jnp.square(x))

    def backward(x: Any, g: Any) -> Any:
        slope = 2 * x * g
        return (slope.at[1234].multiply(-1) if broken else slope,)

    total.defvjp(lambda x: (total(x), x), backward)
    return total


def mean_gradient_doubled(broken: bool) -> Any:
    """The gradient of a mean over 4096 entries is twice what it should be: small beside atol times size."""

    @jax.custom_vjp
    def mean(x: Any) -> Any:
        return jnp.mean(jnp.square(x))

    factor = 4 if broken else 2
    mean.defvjp(lambda x: (mean(x), x), lambda x, g: (factor * x * g / x.size,))
    return mean


def vmap_rule(broken: bool) -> Any:
    """A ``custom_vmap`` rule that takes every argument for mapped: rows of one meet entries of the other."""

    @jax.custom_batching.custom_vmap
    def winner(x: Any, w: Any) -> Any:
        return jnp.argmax(x + w, -1)

    @winner.def_vmap
    def _(size: int, mapped: Any, x: Any, w: Any) -> Any:
        if not broken:
            x = x if mapped[0] else jnp.broadcast_to(x, (size, *x.shape))
            w = w if mapped[1] else jnp.broadcast_to(w, (size, *w.shape))
        return jax.lax.map(lambda row: jnp.argmax(row[0] + row[1], -1), (x, w)), True

    def routed(x: Any, w: Any) -> Any:
        chosen = winner(jax.lax.stop_gradient(x), jax.lax.stop_gradient(w))
        return jnp.tanh(x) * w * jax.nn.one_hot(chosen, x.shape[-1], dtype=x.dtype)

    return routed


def variance_stopped(broken: bool) -> nn.Layer:
    def apply(params: Any, x: Any) -> Any:
        mean = jnp.mean(x, -1, keepdims=True)
        variance = jnp.mean(jnp.square(x - mean), -1, keepdims=True)
        variance = jax.lax.stop_gradient(variance) if broken else variance
        return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * params["scale"][None]

    return _layer("layer_norm", lambda key, x: {"scale": jnp.ones(x.shape[-1:], jnp.float32)}, apply)


def carry_stopped(broken: bool) -> nn.Layer:
    """Truncated back-propagation left in by mistake: the carry's gradient stops at every step."""

    def apply(params: Any, x: Any) -> Any:
        def step(h: Any, row: Any) -> Any:
            h = jax.lax.stop_gradient(h) if broken else h
            h = jnp.tanh(row @ params["input"] + h @ params["recurrent"])
            return h, h

        start = jnp.zeros((x.shape[0], 3), x.dtype)
        return jnp.swapaxes(jax.lax.scan(step, start, jnp.swapaxes(x, 0, 1))[1], 0, 1)

    def init(key: Any, x: Any) -> dict[str, Any]:
        a, b = jax.random.split(key)
        return {"input": jax.random.normal(a, (x.shape[-1], 3)), "recurrent": jax.random.normal(b, (3, 3))}

    return _layer("rnn", init, apply)


def rounded_path(broken: bool) -> nn.Layer:
    """A debugging ``round`` left on the path: the gradient is zero wherever it is defined."""
    return _layer("scale", None, lambda p, x: jnp.round(64 * x) / 64 if broken else (64 * x) / 64)


def sqrt_single_where(broken: bool) -> nn.Layer:
    """``where(x > 0, sqrt(x), 0)``: its gradient at 0 is ``0 * inf``."""

    def apply(params: Any, x: Any) -> Any:
        square = jnp.sum(jnp.square(x), -1, keepdims=True)
        if broken:
            return x * jnp.where(square > 0, jnp.sqrt(square), 0)
        return x * jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)

    return _layer("radial", None, apply)


def tied_maxima(broken: bool) -> nn.Layer:
    """Every tied maximum gets the whole gradient instead of a share."""

    @jax.custom_vjp
    def largest(x: Any) -> Any:
        return jnp.max(x, -1)

    def backward(x: Any, g: Any) -> Any:
        ties = (x == jnp.max(x, -1, keepdims=True)).astype(x.dtype)
        ties = ties if broken else ties / jnp.sum(ties, -1, keepdims=True)
        return (ties * g[..., None],)

    largest.defvjp(lambda x: (largest(x), x), backward)
    return _layer("max", None, lambda p, x: largest(x))


def unsafe_softmax(broken: bool) -> nn.Layer:
    def apply(params: Any, x: Any) -> Any:
        shifted = jnp.exp(x if broken else x - jax.lax.stop_gradient(jnp.max(x, -1, keepdims=True)))
        return shifted / jnp.sum(shifted, -1, keepdims=True)

    return _layer("softmax", None, apply)


def leaf_unused(broken: bool) -> nn.Layer:
    """A parameter that is made, counted and saved, and never used."""

    def apply(params: Any, x: Any) -> Any:
        y = x @ params["kernel"]
        return y if broken else y + params["bias"][None]

    return _layer("dense", _kernel, apply)


_X = np.random.default_rng(5).standard_normal(4096).astype(np.float32)
_PAIR = (f32(3, 4), f32(3, 4))

GRADIENTS = (
    Mutant("bias gradient is a mean, not a sum", "layer", bias_mean, "finite difference", (f32(4, 5),)),
    Mutant("kernel gradient halved", "layer", kernel_gradient_halved, "finite difference", (f32(4, 5),)),
    Mutant("backward drops the last row", "layer", last_row_dropped, "finite difference", (f32(4, 5),)),
    Mutant("backward ignores its cotangent", "layer", ignores_cotangent, "cotangent linearity", (f32(3, 4),)),
    Mutant(
        "tanh' from the pre-activation", "layer", tanh_from_preactivation, "finite difference", (f32(3, 4),)
    ),
    Mutant("sign of a custom gradient", "layer", sign_flipped, "finite difference", (f32(3, 4),)),
    Mutant(
        "cotangent clipped inside a rule", "layer", clipped_cotangent, "cotangent linearity", (f32(3, 4),)
    ),
    Mutant("GELU' without x phi(x)", "layer", gelu_term_missing, "finite difference", (f32(3, 4),)),
    Mutant("custom_jvp of softplus mirrored", "layer", custom_jvp_wrong, "finite difference", (f32(3, 4),)),
    Mutant("saved residuals swapped", "function", residual_swapped, "finite difference", _PAIR),
    Mutant("one wrong sign among 4096", "function", one_wrong_entry, "finite difference", (_X,)),
    Mutant("gradient of a mean doubled", "function", mean_gradient_doubled, "finite difference", (_X,)),
    Mutant(
        "custom_vmap rule for mapped arguments only",
        "function",
        vmap_rule,
        "vmap over",
        (f32(3, 3), f32(3, 3)),
    ),
    Mutant("stop_gradient on the variance", "layer", variance_stopped, "finite difference", (f32(3, 5),)),
    Mutant("carry's gradient stopped", "layer", carry_stopped, "finite difference", (f32(2, 4, 3),)),
    Mutant("round() on the path", "layer", rounded_path, "live leaves", (f32(3, 4),)),
    Mutant("single-where square root", "layer", sqrt_single_where, "hard point: zeros", (f32(3, 4),)),
    Mutant("tied maxima each get all", "layer", tied_maxima, "hard point", (f32(3, 4),)),
    Mutant("softmax without subtracting the maximum", "layer", unsafe_softmax, "hard point", (f32(3, 4),)),
    Mutant("bias never used", "layer", leaf_unused, "live leaves", (f32(3, 4),)),
)

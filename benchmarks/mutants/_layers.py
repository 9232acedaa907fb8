"""Wrong forward passes: the gradient agrees with them; an oracle, a fact or a law of values can tell."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from benchmarks.mutants._mutant import Mutant, f32


def _attention(scale: Any, mask: Any, weights: Any = None) -> nn.Layer:
    """Single-head causal attention whose output carries its weights."""

    def init(key: Any, x: Any) -> dict[str, Any]:
        names = ("query", "key", "value")
        return {
            name: jax.random.normal(k, (x.shape[-1], 4)) / 2
            for name, k in zip(names, jax.random.split(key, 3), strict=True)
        }

    def apply(params: Any, x: Any) -> Any:
        q, k, v = (x @ params[name] for name in ("query", "key", "value"))
        scores = jnp.einsum("btd,bsd->bts", q, k) / scale(q.shape[-1])
        allowed = mask(x.shape[1])[None]
        if weights is not None:
            attend = weights(scores, allowed)
        else:
            attend = jax.nn.softmax(jnp.where(allowed, scores, -1e30), axis=-1)
        return attend @ v, attend

    return nn.stateless("attention", init, apply)


def _causal(length: int) -> Any:
    return jnp.tril(jnp.ones((length, length), bool))


def _attention_oracle(params: Any, x: Any) -> Any:
    q, k, v = (x @ params[name] for name in ("query", "key", "value"))
    scores = np.einsum("btd,bsd->bts", q, k) / np.sqrt(q.shape[-1])
    scores = np.where(np.tril(np.ones(scores.shape[1:], bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return weights @ v, weights


def attention_over_d(broken: bool) -> nn.Layer:
    return _attention((lambda d: d) if broken else math.sqrt, _causal)


def causal_off_by_one(broken: bool) -> nn.Layer:
    shift = 1 if broken else 0
    layer = _attention(math.sqrt, lambda t: jnp.tril(jnp.ones((t, t), bool), shift))
    return nn.Layer("attention", layer.init, lambda *a, **k: (layer.apply(*a, **k)[0][0], a[1]))


def mask_after_softmax(broken: bool) -> nn.Layer:
    def after(scores: Any, allowed: Any) -> Any:
        return jnp.where(allowed, jax.nn.softmax(scores, axis=-1), 0)

    return _attention(math.sqrt, _causal, after if broken else None)


def same_padding_flipped(broken: bool) -> nn.Layer:
    """For an even kernel SAME pads one more at the end; the mutant pads it at the start."""

    def apply(params: Any, x: Any) -> Any:
        pads = [(1, 0)] if broken else [(0, 1)]
        return jax.lax.conv_general_dilated(
            x, params["kernel"], (1,), pads, dimension_numbers=("NWC", "WIO", "NWC")
        )

    return nn.stateless("conv", lambda key, x: {"kernel": jax.random.normal(key, (2, x.shape[-1], 3))}, apply)


def _same_oracle(params: Any, x: Any) -> Any:
    padded = np.pad(x, ((0, 0), (0, 1), (0, 0)))
    return sum(padded[:, k : k + x.shape[1]] @ params["kernel"][k] for k in range(2))


def _gru(reset_after: bool, reverse: bool = False, restore: bool = True) -> nn.Layer:
    """A gated recurrent unit; ``reset_after`` moves the reset gate behind the product with the carry."""

    def init(key: Any, x: Any) -> dict[str, Any]:
        a, b = jax.random.split(key)
        return {
            "input": jax.random.normal(a, (x.shape[-1], 9)),
            "recurrent": jax.random.normal(b, (3, 9)) / 2,
        }

    def apply(params: Any, x: Any) -> Any:
        w, u = params["input"], params["recurrent"]

        def step(h: Any, row: Any) -> Any:
            gates = jax.nn.sigmoid(row @ w[:, :6] + h @ u[:, :6])
            r, z = gates[:, :3], gates[:, 3:]
            inner = r * (h @ u[:, 6:]) if reset_after else (r * h) @ u[:, 6:]
            h = (1 - z) * h + z * jnp.tanh(row @ w[:, 6:] + inner)
            return h, h

        rows = jnp.swapaxes(x, 0, 1)
        rows = rows[::-1] if reverse else rows
        ys = jax.lax.scan(step, jnp.zeros((x.shape[0], 3), x.dtype), rows)[1]
        ys = ys[::-1] if reverse and restore else ys
        return jnp.swapaxes(ys, 0, 1)

    return nn.stateless("gru", init, apply)


def _gru_oracle(params: Any, x: Any) -> Any:
    w, u, h, ys = params["input"], params["recurrent"], np.zeros((x.shape[0], 3)), []
    for t in range(x.shape[1]):
        gates = 1 / (1 + np.exp(-(x[:, t] @ w[:, :6] + h @ u[:, :6])))
        r, z = gates[:, :3], gates[:, 3:]
        h = (1 - z) * h + z * np.tanh(x[:, t] @ w[:, 6:] + (r * h) @ u[:, 6:])
        ys.append(h)
    return np.stack(ys, 1)


def reset_after_product(broken: bool) -> nn.Layer:
    return _gru(broken)


def not_reversed_back(broken: bool) -> nn.Layer:
    return _gru(False, reverse=True, restore=not broken)


def broadcast_column(broken: bool) -> nn.Layer:
    """A column (N, 1) plus a row (N,) makes a square (N, N)."""

    def apply(params: Any, x: Any) -> Any:
        total = jnp.sum(x, -1, keepdims=not broken)
        return x[..., :1] + total

    return nn.stateless("shifted", None, apply)


def divided_by_batch(broken: bool) -> nn.Layer:
    return nn.stateless("scaled", None, lambda p, x: jnp.tanh(x) / (x.shape[0] if broken else 2))


def row_number_added(broken: bool) -> nn.Layer:
    """Positions of the wrong axis: the batch is numbered instead of time."""

    def apply(params: Any, x: Any) -> Any:
        axis = 0 if broken else 1
        shape = [1] * x.ndim
        shape[axis] = x.shape[axis]
        return x + jnp.arange(x.shape[axis], dtype=x.dtype).reshape(shape)

    return nn.stateless("positions", None, apply)


def heads_mixed_with_batch(broken: bool) -> nn.Layer:
    """A reshape that forgets a transpose: features of one row become another row's."""

    def apply(params: Any, x: Any) -> Any:
        if broken:
            return jnp.swapaxes(x, 0, 1).reshape(x.shape)
        return jnp.swapaxes(jnp.swapaxes(x, 0, 1), 0, 1)

    return nn.stateless("heads", None, apply)


_SUMS = {"attention weights sum to one": lambda c: np.abs(c.y[1].sum(-1) - 1) < 1e-9}
_LOWER = np.tril(np.ones((5, 5), bool))

LAYERS = (
    Mutant(
        "attention over d, not sqrt(d)",
        "layer",
        attention_over_d,
        "oracle",
        (f32(2, 5, 4),),
        {},
        _attention_oracle,
        True,
    ),
    Mutant(
        "causal mask off by one",
        "layer",
        causal_off_by_one,
        "dependency mask",
        (f32(2, 5, 4),),
        {"depends": _LOWER},
        lambda p, x: _attention_oracle(p, x)[0],
    ),
    Mutant(
        "mask after the softmax",
        "layer",
        mask_after_softmax,
        "fact",
        (f32(2, 5, 4),),
        {"facts": _SUMS},
        _attention_oracle,
    ),
    Mutant(
        "SAME padding flipped for an even kernel",
        "layer",
        same_padding_flipped,
        "oracle",
        (f32(2, 5, 2),),
        {},
        _same_oracle,
        True,
    ),
    Mutant(
        "GRU reset gate after the product",
        "layer",
        reset_after_product,
        "oracle",
        (f32(2, 4, 3),),
        {},
        _gru_oracle,
        True,
    ),
    Mutant(
        "reverse scan not reversed back",
        "layer",
        not_reversed_back,
        "dependency mask",
        (f32(2, 5, 3),),
        {"depends": _LOWER.T},
        lambda p, x: _gru_oracle(p, x[:, ::-1])[:, ::-1],
    ),
    Mutant(
        "(N, 1) + (N,) broadcast",
        "layer",
        broadcast_column,
        "rows independent",
        (f32(4, 4),),
        {},
        lambda p, x: x[:, :1] + x.sum(-1, keepdims=True),
    ),
    Mutant(
        "divided by the batch size",
        "layer",
        divided_by_batch,
        "rows one by one",
        (f32(4, 3),),
        {},
        lambda p, x: np.tanh(x) / 2,
    ),
    Mutant(
        "batch numbered instead of time",
        "layer",
        row_number_added,
        "row permutation",
        (f32(3, 4, 2),),
        {},
        lambda p, x: x + np.arange(4)[:, None],
    ),
    Mutant(
        "reshape without its transpose",
        "layer",
        heads_mixed_with_batch,
        "rows independent",
        (f32(3, 4, 2),),
        {},
        lambda p, x: x,
    ),
)

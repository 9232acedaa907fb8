"""State, dtypes, purity: what breaks under jit, in a training loop or in bfloat16."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from benchmarks.mutants._mutant import Mutant, Patch, f32


def _counter(step: Any, start: Any, train_only: bool = True) -> nn.Layer:
    """A layer that counts its training steps in its state."""

    def init(key: Any, x: Any) -> Any:
        return {}, {"count": start()}

    def apply(params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> Any:
        moved = {"count": step(state["count"])} if train or not train_only else state
        return jnp.tanh(x), moved

    return nn.Layer("counter", init, apply)


def _zero() -> Any:
    return jnp.zeros((), jnp.int32)


def float_from_int(broken: bool) -> nn.Layer:
    return _counter(lambda c: c + 1.0 if broken else c + 1, _zero)


def weak_state(broken: bool) -> nn.Layer:
    """The state starts weakly typed, as a Python number does, and is not after a step: two traces."""
    return _counter(
        lambda c: c + jnp.ones((), c.dtype),
        lambda: jnp.asarray(0.0) if broken else jnp.zeros((), jnp.float32),
    )


def state_grows(broken: bool) -> nn.Layer:
    def apply(params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> Any:
        if not train:
            return x, state
        return x, {"count": state["count"] + 1, **({"seen": state["count"]} if broken else {})}

    return nn.Layer("counter", lambda key, x: ({}, {"count": _zero()}), apply)


def state_moves_in_evaluation(broken: bool) -> nn.Layer:
    return _counter(lambda c: c + 1, _zero, train_only=not broken)


def _batch_norm(old: str, new: str) -> Any:
    return lambda broken: Patch("jaxnn.layers._batch_norm", old, new).apply(broken).batch_norm()


never_updated = _batch_norm(
    "            new_state = _running(state, mean, var, count, momentum)", "            new_state = state"
)


def remembers_a_call(broken: bool) -> nn.Layer:
    """A Python list outside the state takes part in the result."""
    calls: list[int] = []

    def apply(params: Any, x: Any) -> Any:
        calls.append(1)
        return x * (1.0 + 0.1 * len(calls)) if broken else x * 1.1

    return nn.stateless("scaled", None, apply)


def writes_to_input(broken: bool) -> nn.Layer:
    def apply(params: Any, x: Any) -> Any:
        if broken and isinstance(x, np.ndarray):
            x *= 2
            return jnp.asarray(x)
        return 2 * jnp.asarray(x)

    return nn.stateless("doubled", None, apply)


def float32_inside(broken: bool) -> nn.Layer:
    """A cast left in: bfloat16 in, float32 out."""

    def apply(params: Any, x: Any) -> Any:
        return jnp.tanh(x.astype(jnp.float32) if broken else x)

    return nn.stateless("tanh", None, apply)


def float32_within_double(broken: bool) -> nn.Layer:
    """Statistics in float32 whatever comes in: float64 keeps half its digits."""

    def apply(params: Any, x: Any) -> Any:
        wide = jnp.float32 if broken or x.dtype != jnp.float64 else jnp.float64
        mean = jnp.mean(x.astype(wide), -1, keepdims=True).astype(x.dtype)
        return x - mean

    return nn.stateless("centred", None, apply)


def running_sum_in_bfloat16(broken: bool) -> nn.Layer:
    """A sum carried in bfloat16 stops growing at 256."""

    def apply(params: Any, x: Any) -> Any:
        wide = x.dtype if broken or x.dtype == jnp.float64 else jnp.float32
        total = jax.lax.scan(
            lambda c, row: (c + row.astype(wide), None),
            jnp.zeros(x.shape[:1], wide),
            jnp.swapaxes(jnp.square(x), 0, 1),
        )[0]
        return total.astype(x.dtype)

    return nn.stateless("energy", None, apply)


def python_branch(broken: bool) -> nn.Layer:
    """A decision on values: fine eagerly, an error under jit."""

    def apply(params: Any, x: Any) -> Any:
        if broken:
            return x if bool(jnp.sum(x) > 0) else -x
        return jnp.where(jnp.sum(x, -1, keepdims=True) > 0, x, -x)

    return nn.stateless("signed", None, apply)


def traced_differently(broken: bool) -> nn.Layer:
    """A fast path for concrete arrays that computes something else."""

    def apply(params: Any, x: Any) -> Any:
        if broken and not isinstance(x, jax.core.Tracer):
            return jnp.tanh(x) * 1.001
        return jnp.tanh(x)

    return nn.stateless("tanh", None, apply)


def accepts_anything(broken: bool) -> nn.Layer:
    """Features are cut to what the kernel has, instead of refused."""

    def apply(params: Any, x: Any) -> Any:
        rows = params["kernel"].shape[0]
        if not broken and x.shape[-1] != rows:
            raise ValueError(f"dense: expected input [..., {rows}], got {x.shape}")
        return x[..., :rows] @ params["kernel"]

    return nn.stateless("dense", lambda key, x: {"kernel": jax.random.normal(key, (x.shape[-1], 2))}, apply)


_X = f32(3, 4)

STRUCTURE = (
    Mutant("count becomes a float", "layer", float_from_int, "state fixpoint", (_X,)),
    Mutant("weakly typed state", "layer", weak_state, "state fixpoint", (_X,)),
    Mutant("state gains an entry", "layer", state_grows, "state fixpoint", (_X,)),
    Mutant(
        "state moves in evaluation", "layer", state_moves_in_evaluation, "evaluation keeps the state", (_X,)
    ),
    Mutant(
        "running statistics never updated (shipped batch_norm)",
        "layer",
        never_updated,
        "training moves the state",
        (f32(5, 3),),
        {"cross_batch": True},
    ),
    Mutant("a call remembered outside the state", "layer", remembers_a_call, "same arguments", (_X,)),
    Mutant("writes to its input", "layer", writes_to_input, "arguments unchanged", (_X,)),
    Mutant("float32 comes out of bfloat16", "layer", float32_inside, "bfloat16 kept", (_X,)),
    Mutant("float32 statistics within float64", "layer", float32_within_double, "float64 inside", (_X,)),
    Mutant(
        "sum carried in bfloat16",
        "layer",
        running_sum_in_bfloat16,
        "bfloat16 = float64",
        (f32(2, 600),),
        {"lanes": ("gradients", "dtypes")},
    ),
    Mutant("a Python branch on values", "layer", python_branch, "init and trace", (_X,)),
    Mutant("another formula for concrete arrays", "layer", traced_differently, "jit = eager", (_X,)),
    Mutant(
        "wrong features accepted", "layer", accepts_anything, "bad input", (_X,), {"bad_inputs": [f32(3, 5)]}
    ),
)

"""Update rules that are a little wrong: they still train, only not as their paper says."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.mutants._mutant import Mutant, Patch


def _rule(leaf: Callable[..., Any], start: Any, count: Callable[[Any], Any] = lambda t: t + 1) -> Any:
    """A transformation from ``leaf(g, slots, p, t) -> (update, slots)`` and starting slots for a leaf."""

    def init(params: Any) -> Any:
        return {"count": jnp.zeros((), jnp.int32), "slots": jax.tree.map(lambda p: start(p), params)}

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        t = count(state["count"])
        flat, structure = jax.tree.flatten(updates)
        slots = structure.flatten_up_to(state["slots"])
        leaves = structure.flatten_up_to(params)
        done = [leaf(g, s, p, t) for g, s, p in zip(flat, slots, leaves, strict=True)]
        new = {"count": t.astype(state["count"].dtype), "slots": structure.unflatten([s for _, s in done])}
        return structure.unflatten([u.astype(p.dtype) for (u, _), p in zip(done, leaves, strict=True)]), new

    return optax.GradientTransformation(init, update)


def _zeros(p: Any) -> Any:
    return jnp.zeros_like(p)


def _oracle(leaf: Callable[..., Any], start: Callable[[Any], Any]) -> Any:
    """An oracle from a NumPy rule for one leaf, ``leaf(g, slots, p, t) -> (update, slots)``."""

    def run(params: Any, gradients: Any) -> Any:
        params, structure = jax.tree.flatten(params)
        slots, updates = [start(p) for p in params], []
        for t, tree in enumerate(gradients, 1):
            done = [leaf(g, s, p, t) for g, s, p in zip(jax.tree.leaves(tree), slots, params, strict=True)]
            slots = [s for _, s in done]
            params = [p + u for (u, _), p in zip(done, params, strict=True)]
            updates.append(structure.unflatten([u for u, _ in done]))
        return updates

    return run


def _adam_leaf(g: Any, slots: Any, p: Any, t: int) -> Any:
    mu, nu = 0.9 * slots[0] + 0.1 * g, 0.999 * slots[1] + 0.001 * g * g
    root = np.sqrt(nu / (1 - 0.999**t)) + 1e-8
    return -0.1 * (mu / (1 - 0.9**t)) / root, (mu, nu)


_adam_oracle = _oracle(_adam_leaf, lambda p: (0 * p, 0 * p))


def _patched(name: str, old: str, new: str) -> Any:
    def make(broken: bool) -> Any:
        factory = getattr(Patch(f"jaxnn.optim._{name}", old, new).apply(broken), name)
        return factory(0.1)

    return make


late_count = _patched(
    "adam", "step = _hyper.increment(state.step)", "step = _hyper.increment(_hyper.increment(state.step))"
)
epsilon_inside = _patched(
    "adam",
    "root = jnp.sqrt(nu * factor2 + eps_root) + eps",
    "root = jnp.sqrt(nu * factor2 + eps_root + eps)",
)
second_moment_unsquared = _patched("rmsprop", "(1 - decay) * (g * g)", "(1 - decay) * g")
old_momentum = _patched(
    "nesterov",
    "    trace = g + decay * trace\n    return -rate * (g + decay * trace), trace",
    "    old, trace = trace, g + decay * trace\n    return -rate * (g + decay * old), trace",
)
lion_new_momentum = _patched(
    "lion", "    step = jnp.sign((1 - b1) * g + b1 * mu)\n", "    step = jnp.sign(b2 * mu + (1 - b2) * g)\n"
)


def _nesterov_leaf(g: Any, trace: Any, p: Any, t: int) -> Any:
    trace = g + 0.9 * trace
    return -0.1 * (g + 0.9 * trace), trace


def _lion_leaf(g: Any, mu: Any, p: Any, t: int) -> Any:
    return -0.1 * (np.sign(0.9 * mu + 0.1 * g) + 1e-3 * p), 0.99 * mu + 0.01 * g


def wrong_direction(broken: bool) -> Any:
    return _rule(lambda g, s, p, t: ((0.1 if broken else -0.1) * g, s), lambda p: ())


def momentum_sign(broken: bool) -> Any:
    decay = -0.9 if broken else 0.9

    def leaf(g: Any, trace: Any, p: Any, t: Any) -> Any:
        trace = g + decay * trace
        return -0.1 * trace, trace

    return _rule(leaf, _zeros)


def per_leaf_clip(broken: bool) -> Any:
    """Each leaf clipped to the norm on its own changes the direction of the step."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def norm(tree: Any) -> Any:
            square = sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(tree))
            return jnp.sqrt(jnp.where(square > 0, square, 1))

        def clipped(g: Any, size: Any) -> Any:
            return (-0.1 * g * jnp.minimum(jnp.ones((), g.dtype), 1 / size)).astype(g.dtype)

        if broken:
            return jax.tree.map(lambda g: clipped(g, norm(g)), updates), state
        size = norm(jax.tree.map(lambda g: g.astype(jnp.promote_types(g.dtype, jnp.float32)), updates))
        return jax.tree.map(lambda g: clipped(g, size.astype(g.dtype)), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def weak_rate(broken: bool) -> Any:
    """A rate kept in the state as a Python number's array becomes strongly typed after one step."""

    def init(params: Any) -> Any:
        return {"rate": jnp.asarray(0.1) if broken else jnp.asarray(0.1, jnp.float32)}

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        rate = jnp.asarray(state["rate"] * 1.0, jnp.float32)
        return jax.tree.map(lambda g: -rate.astype(g.dtype) * g, updates), {"rate": rate}

    return optax.GradientTransformation(init, update)


def count_in_float(broken: bool) -> Any:
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count = state["count"] + (1.0 if broken else 1)
        return jax.tree.map(lambda g: -0.1 * g, updates), {"count": count}

    return optax.GradientTransformation(lambda params: {"count": jnp.zeros((), jnp.int32)}, update)


def _decay_mask(decayed: Any) -> Any:
    return optax.adamw(0.1, weight_decay=0.1, mask=lambda params: jax.tree.map(decayed, params))


def inverted_mask(broken: bool) -> Any:
    """Biases decay, kernels do not."""
    return _decay_mask((lambda p: p.ndim < 2) if broken else (lambda p: p.ndim >= 2))


def coupled_decay(broken: bool) -> Any:
    """Decay added to the gradient, where Adam divides it by its own size."""
    if broken:
        return optax.chain(optax.add_decayed_weights(0.1), optax.adam(0.1))
    return optax.adamw(0.1, weight_decay=0.1)


def hidden_count(broken: bool) -> Any:
    """The number of updates lives in Python, so that a resumed run starts it anew."""
    seen: list[int] = []

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        seen.append(1)
        factor = 1.0 / (1.0 + 0.1 * len(seen)) if broken else 1.0
        return jax.tree.map(lambda g: -0.1 * factor * g, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def half_epsilon(broken: bool) -> Any:
    """An epsilon of 1e-8 is zero in float16: a zero gradient becomes 0 / 0."""

    def leaf(g: Any, nu: Any, p: Any, t: Any) -> Any:
        wide = g if broken else g.astype(jnp.promote_types(g.dtype, jnp.float32))
        nu = 0.9 * nu + 0.1 * wide * wide
        return -0.1 * wide / (jnp.sqrt(nu) + jnp.asarray(1e-8, wide.dtype)), nu.astype(wide.dtype)

    def start(p: Any) -> Any:
        return jnp.zeros_like(p, dtype=p.dtype if broken else jnp.promote_types(p.dtype, jnp.float32))

    return _rule(leaf, start)


def wide_updates(broken: bool) -> Any:
    """Updates in float32 for parameters in bfloat16."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def leaf(g: Any) -> Any:
            u = -0.1 * g.astype(jnp.promote_types(g.dtype, jnp.float32))
            return u if broken else u.astype(g.dtype)

        return jax.tree.map(leaf, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def shared_moment(broken: bool) -> Any:
    """One second moment for all leaves."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        squares = jax.tree.map(jnp.square, updates)
        if broken:
            leaves = jax.tree.leaves(squares)
            total = sum(jnp.sum(s) for s in leaves) / sum(s.size for s in leaves)
            squares = jax.tree.map(lambda s: jnp.broadcast_to(total, s.shape).astype(s.dtype), squares)
        nu = jax.tree.map(lambda n, s: 0.9 * n + 0.1 * s, state["nu"], squares)
        return jax.tree.map(lambda g, n: -0.1 * g / (jnp.sqrt(n) + 1e-3), updates, nu), {"nu": nu}

    return optax.GradientTransformation(lambda params: {"nu": jax.tree.map(jnp.zeros_like, params)}, update)


def aliased_state(broken: bool) -> Any:
    """The state starts as the parameters themselves: donating both gives one buffer away twice."""

    def init(params: Any) -> Any:
        return {"slow": params if broken else jax.tree.map(jnp.copy, params)}

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        slow = jax.tree.map(lambda s, p: 0.9 * s + 0.1 * p, state["slow"], params)
        return jax.tree.map(lambda g: -0.1 * g, updates), {"slow": slow}

    return optax.GradientTransformation(init, update)


_KERNELS = {"dense": {"kernel": True, "bias": False}, "scale": False}

OPTIMIZERS = (
    Mutant(
        "t off by one (shipped adam)", "optimizer", late_count, "oracle", (), {"unit_step": 0.1}, _adam_oracle
    ),
    Mutant(
        "epsilon inside the root (shipped adam)",
        "optimizer",
        epsilon_inside,
        "oracle",
        (),
        {},
        _adam_oracle,
        True,
    ),
    Mutant("squares forgotten (shipped rmsprop)", "optimizer", second_moment_unsquared, "finite"),
    Mutant(
        "Nesterov with the old momentum (shipped)",
        "optimizer",
        old_momentum,
        "oracle",
        (),
        {},
        _oracle(_nesterov_leaf, lambda p: 0 * p),
        True,
    ),
    Mutant(
        "sign of the updated momentum (shipped lion)",
        "optimizer",
        lion_new_momentum,
        "oracle",
        (),
        {"decays": True},
        _oracle(_lion_leaf, lambda p: 0 * p),
        True,
    ),
    Mutant("uphill", "optimizer", wrong_direction, "descent"),
    Mutant(
        "momentum with the wrong sign",
        "optimizer",
        momentum_sign,
        "oracle",
        (),
        {},
        _oracle(lambda g, s, p, t: (-0.1 * (g + 0.9 * s), g + 0.9 * s), lambda p: 0 * p),
        True,
    ),
    Mutant(
        "clipping leaf by leaf",
        "optimizer",
        per_leaf_clip,
        "leaves act together",
        (),
        {"cross_leaf": True, "dtypes": ("float32",)},
    ),
    Mutant("weakly typed rate in the state", "optimizer", weak_rate, "state fixpoint"),
    Mutant("count of updates becomes a float", "optimizer", count_in_float, "state fixpoint"),
    Mutant(
        "decay mask inverted",
        "optimizer",
        inverted_mask,
        "zero gradient",
        (),
        {"decays": _KERNELS, "dtypes": ("float32",)},
    ),
    Mutant(
        "decay inside the gradient",
        "optimizer",
        coupled_decay,
        "zero gradient",
        (),
        {"decays": True, "dtypes": ("float32",)},
    ),
    Mutant("count kept in Python", "optimizer", hidden_count, "jit = eager"),
    Mutant("epsilon underflows in float16", "optimizer", half_epsilon, "zero gradient, float16"),
    Mutant("float32 updates for bfloat16", "optimizer", wide_updates, "bfloat16 kept"),
    Mutant(
        "one second moment for all leaves",
        "optimizer",
        shared_moment,
        "leaves act alone",
        (),
        {"dtypes": ("float32",)},
    ),
    Mutant("state aliases the parameters", "optimizer", aliased_state, "donation"),
)

"""A module of nnx as a layer: its parameters, its other variables as state, its streams from the key."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    MissingKeyError,
    Params,
    State,
    check_key,
    check_train,
    describe,
    fold_name,
    refuse_masked,
)
from jaxnn.interop._flax_call import layer_name, nnx_apply
from jaxnn.interop._flax_trees import is_nnx


class _Template(NamedTuple):
    """What is static in an nnx module, and what its variables look like.

    Attributes:
        graphdef: nnx's.
        parts: states of parameters, of random streams and of the rest; abstract, or with the module's values.
        kind: the module's class.
    """

    graphdef: Any
    parts: tuple[Any, Any, Any]
    kind: type


def nnx_layer(module: Any) -> Layer:
    """Return the layer of an nnx module, or of what makes one; see ``flax_layer``."""
    from flax import nnx

    def split(made: Any) -> _Template:
        if not isinstance(made, nnx.Module):
            raise TypeError(f"flax_layer: expected a function rngs -> nnx module, it gave {describe(made)}")
        graphdef, params, streams, rest = nnx.split(made, nnx.Param, nnx.RngState, ...)
        return _Template(graphdef, (params, streams, rest), type(made))

    @functools.cache
    def template() -> _Template:
        return split(module if is_nnx(module) else nnx.eval_shape(lambda: module(nnx.Rngs(0))))

    kind = template().kind
    name = layer_name("nnx", kind)

    def init(key: Any, x: Any) -> tuple[Params, State]:
        check_key(name, key)
        refuse_masked(name, x)
        made = template() if is_nnx(module) else split(module(nnx.Rngs(key)))
        return _pure(made.parts[0]), _pure(made.parts[2])

    def run(params: Params, state: State, x: Any, key: Any, train: bool) -> tuple[Any, State]:
        graphdef, (param_like, stream_like, rest_like), _ = template()
        states = (_filled(param_like, params), _streams(stream_like, key), _filled(rest_like, state))
        y, after = nnx_apply(graphdef, states, x, train)
        _, _, _, rest = nnx.split(after, nnx.Param, nnx.RngState, ...)
        # What the call itself creates, as sown intermediates, is no part of the state.
        return y, _like(state, _pure(rest))

    def apply(
        params: Params, state: State, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        check_train(name, train)
        refuse_masked(name, x)
        if key is None and _draws(run, params, state, x, train):
            raise MissingKeyError(f"{name}: needs a random key here; pass key=jax.random.key(0) to apply")
        return run(params, state, x, jax.random.key(0) if key is None else key, train)

    return Layer(name, init, apply)


def _draws(run: Callable[..., Any], params: Params, state: State, x: Any, train: bool) -> bool:
    """Whether the result depends on the key; nnx draws some numbers that it does not use."""
    from jax.interpreters.partial_eval import dce_jaxpr

    key = jax.eval_shape(jax.random.key, 0)
    jaxpr = jax.make_jaxpr(lambda key: run(params, state, x, key, train))(key).jaxpr
    return dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[1][0]


def _pure(state: Any) -> dict[str, Any]:
    """Nested dicts with names for keys, where nnx numbers the entries of lists."""
    from flax import nnx

    tree: dict[str, Any] = {}
    for path, variable in nnx.to_flat_state(state):
        node = tree
        for name in path[:-1]:
            node = node.setdefault(str(name), {})
        node[str(path[-1])] = variable.get_value()
    return tree


def _filled(like: Any, tree: dict[str, Any]) -> Any:
    """Return the state ``like`` with the values of ``tree``."""
    from flax import nnx

    def value(path: tuple[Any, ...]) -> Any:
        node: Any = tree
        for name in path:
            if not isinstance(node, dict) or str(name) not in node:
                raise ValueError(
                    f"flax_layer: expected {'.'.join(map(str, path))!r} in the trees, got {describe(tree)}; "
                    "pass what init returned for this model"
                )
            node = node[str(name)]
        return node

    # nnx updates by index, which NumPy's arrays, as a file gives them, do not take from a traced value.
    arrays = {path: v.replace(jnp.asarray(value(path))) for path, v in nnx.to_flat_state(like)}
    return nnx.from_flat_state(arrays)


def _streams(like: Any, key: Any) -> Any:
    """Return random streams that start from ``key`` folded with their paths."""
    from flax import nnx

    def start(path: tuple[Any, ...], variable: Any) -> Any:
        shape = jnp.shape(variable.get_value())
        if not isinstance(variable, nnx.RngKey):
            return jnp.zeros(shape, jnp.uint32)
        own = fold_name(key, "apply", ".".join(map(str, path)))
        return jax.random.split(own, shape) if shape else own

    return nnx.from_flat_state({path: v.replace(start(path, v)) for path, v in nnx.to_flat_state(like)})


def _like(old: Any, new: Any) -> Any:
    return {name: _like(node, new[name]) for name, node in old.items()} if isinstance(old, dict) else new

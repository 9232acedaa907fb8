"""A module of linen or nnx as one of our layers."""

import functools
import re
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
    spec_of,
)
from jaxnn.interop._flax_call import flax_promotion, linen_apply, mode_flags, nnx_apply
from jaxnn.interop._flax_trees import is_flax, is_nnx


def flax_layer(module: Any, *, rngs: tuple[str, ...] = ("dropout",)) -> Layer:
    """Use a module of linen or nnx as a layer, anywhere in a model of ours.

    Parameters are the module's own; its other collections (linen) or variables (nnx), as running statistics,
    are the state; random streams are made from ``key`` by their names at every call and are no part of the
    state. ``train`` reaches the argument of ``__call__`` that is named ``train``, ``training`` or
    ``is_training``, or negated ``deterministic`` or ``use_running_average``; for nnx also
    ``module.train()`` and ``module.eval()``.

    Args:
        module: a module of linen; what makes one of nnx, ``lambda rngs: Net(rngs=rngs)``; or an nnx module,
            with whose weights the layer then starts, whatever the key.
        rngs: names of linen's random streams besides ``params``. nnx has its own.

    Returns:
        A layer named after the module's class.

    Raises:
        TypeError: ``module`` is none of these. At use, a key is missing where the module draws.

    Example:
        >>> import flax.linen as linen, jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import interop
        >>> model = nn.chain(nn.dense(8), interop.flax_layer(linen.Dense(4)), jax.nn.relu, nn.dense(1))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> sorted(params), model.apply(params, state, jnp.ones((2, 3)))[0].shape
        (['dense_0', 'dense_1', 'linen_dense_0'], (2, 1))
    """
    if is_flax(module, "linen"):
        return _linen_layer(module, rngs)
    if is_nnx(module) or callable(module):
        return _nnx_layer(module)
    raise TypeError(
        "flax_layer: expected a linen module, an nnx module, or a function rngs -> nnx module, got "
        f"{describe(module)}"
    )


def _name(library: str, of: type) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", of.__name__).lower()
    return f"{library}_{words}"


def _linen_layer(module: Any, streams: tuple[str, ...]) -> Layer:
    name = _name("linen", type(module))

    def init(key: Any, x: Any) -> tuple[Params, State]:
        check_key(name, key)
        refuse_masked(name, x)
        keys = {stream: fold_name(key, "init", stream) for stream in ("params", *streams)}
        flags = mode_flags(type(module).__call__, False)
        with flax_promotion():
            variables = dict(module.lazy_init(keys, spec_of(x), **flags))
        variables = jax.tree.map(_unboxed, variables, is_leaf=lambda leaf: hasattr(leaf, "unbox"))
        return variables.pop("params", {}), variables

    def apply(
        params: Params, state: State, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, State]:
        check_train(name, train)
        refuse_masked(name, x)
        keys = {} if key is None else {stream: fold_name(key, "apply", stream) for stream in streams}
        from flax.errors import InvalidRngError

        try:
            return linen_apply(module, params, state, x, keys, train)
        except InvalidRngError as error:
            if key is not None:
                raise
            raise MissingKeyError(
                f"{name}: needs a random key here; pass key=jax.random.key(0) to apply ({error})"
            ) from error

    return Layer(name, init, apply)


def _unboxed(leaf: Any) -> Any:
    return leaf.unbox() if hasattr(leaf, "unbox") else leaf


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


def _nnx_layer(module: Any) -> Layer:
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
    name = _name("nnx", kind)

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

    return nnx.from_flat_state({path: v.replace(value(path)) for path, v in nnx.to_flat_state(like)})


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

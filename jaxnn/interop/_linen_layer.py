"""A module of linen as a layer: its parameters, its other collections as state, its streams from the key."""

from typing import Any

import jax

from jaxnn.core import (
    Layer,
    MissingKeyError,
    Params,
    State,
    check_key,
    check_train,
    fold_name,
    refuse_masked,
    spec_of,
)
from jaxnn.interop._flax_call import flax_promotion, layer_name, linen_apply, mode_flags


def linen_layer(module: Any, streams: tuple[str, ...]) -> Layer:
    """Return the layer of an instance of ``linen.Module``; see ``flax_layer``."""
    name = layer_name("linen", type(module))

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

"""Calling a Flax module as our layers are called: with the two trees, and ``train`` by whatever name."""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax

_TRAINING = ("train", "training", "is_training")
_EVALUATING = ("deterministic", "use_running_average")


@contextlib.contextmanager
def flax_promotion() -> Iterator[None]:
    """Let Flax's own code promote types and ranks as it was written to, whatever the caller asked of his."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def mode_flags(call: Callable[..., Any], train: bool) -> dict[str, bool]:
    """Return the arguments of ``call`` that say whether it trains, by the names that users give them."""
    takes = inspect.signature(call).parameters
    flags = {name: train for name in _TRAINING if name in takes}
    return flags | {name: not train for name in _EVALUATING if name in takes}


def linen_apply(
    module: Any, params: Any, collections: dict[str, Any], x: Any, rngs: dict[str, Any], train: bool
) -> tuple[Any, dict[str, Any]]:
    """Apply a linen module; returns the output and the collections, those that did not change too."""
    variables = {"params": params, **collections} if params else dict(collections)
    flags = mode_flags(type(module).__call__, train)
    with flax_promotion():
        out = module.apply(variables, x, rngs=rngs, mutable=list(collections) or False, **flags)
    if not collections:
        return out, {}
    y, new = out
    return y, {**collections, **new}


def nnx_apply(graphdef: Any, states: tuple[Any, ...], x: Any, train: bool) -> tuple[Any, Any]:
    """Merge an nnx module, put it into its mode, call it; returns the output and the module."""
    from flax import nnx

    module: Any = nnx.merge(graphdef, *states)
    (module.train if train else module.eval)()
    with flax_promotion():
        return module(x, **mode_flags(type(module).__call__, train)), module


def layer_name(library: str, of: type) -> str:
    """Return the name of a layer: ``linen_dense`` for ``linen.Dense``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", of.__name__).lower()
    return f"{library}_{words}"

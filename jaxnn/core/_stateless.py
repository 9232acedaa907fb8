"""Layers without state: a user's own in five lines, and bare callables lifted."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxnn.core._cell import Cell
from jaxnn.core._errors import check_train
from jaxnn.core._keys import check_key
from jaxnn.core._layer import Layer, Params, PyTree, State
from jaxnn.core._masked import Masked, check_position_mask, filled, refuse_masked, spread_mask
from jaxnn.core._parameters import check_entries
from jaxnn.core._positions import acts_by_position
from jaxnn.core._spec import describe

MaskRule = Literal["raise", "pointwise", "aware"]


def stateless(
    name: str,
    init: Callable[[Any, PyTree], Params] | None,
    apply: Callable[..., PyTree],
    *,
    masked: MaskRule = "raise",
) -> Layer:
    """Lift ``init(key, x) -> params`` and ``apply(params, x) -> y`` to a ``Layer``.

    Where Flax and Equinox ask for a class, this asks for two functions.

    Args:
        name: kind of the layer.
        init: makes the dict of parameters from a key and the input (or its spec); ``None`` for none.
        apply: the function itself. If it takes ``key`` or ``train`` by name, it is given them.
        masked: what a ``Masked`` input does: ``"raise"``; ``"pointwise"``, where ``apply`` sees the
            value with zeros in its padding and the mask is kept; ``"aware"``, where ``apply`` sees the
            ``Masked`` itself. Whether ``apply`` acts on each position alone is found from its jaxpr.

    Raises:
        TypeError: ``init`` returned something else than a dict, or the input is ``Masked`` and
            ``masked`` is ``"raise"``, or ``"pointwise"`` and ``apply`` brings positions together; where that
            can't be seen, use ``"aware"``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def scale():
        ...     def init(key, x):
        ...         return {"scale": jnp.ones(x.shape[-1:], x.dtype)}
        ...     def apply(params, x):
        ...         return x * params["scale"]
        ...     return stateless("scale", init, apply)
        >>> params, state = scale().init(jax.random.key(0), jnp.ones((2, 3)))
        >>> params["scale"].shape, state
        ((3,), {})
    """
    takes = inspect.signature(apply).parameters
    takes_key, takes_train = "key" in takes, "train" in takes

    def init_layer(key: Any, x: PyTree) -> tuple[Params, State]:
        check_key(name, key)
        if masked == "raise":
            refuse_masked(name, x)
        if init is None:
            return {}, {}
        params = init(key, x.value if masked == "pointwise" and isinstance(x, Masked) else x)
        if not isinstance(params, dict):
            raise TypeError(
                f"{name}: init must return a dict of parameters, got {describe(params)}; "
                "name each array, as in {'scale': scale}"
            )
        return params, {}

    def apply_layer(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_train(name, train)
        check_entries(name, state, (), "state")
        if init is None:
            check_entries(name, params, ())
        given: dict[str, Any] = {}
        if takes_key:
            given["key"] = key
        if takes_train:
            given["train"] = train
        if masked == "pointwise" and isinstance(x, Masked):
            check_position_mask(name, x)
            value = filled(x)
            if not acts_by_position(lambda v: apply(params, v, **given), value, x.mask.ndim):
                refuse_masked(_MIXES.format(name=name), x)
            return Masked(apply(params, value, **given), x.mask), state
        if masked != "aware":
            refuse_masked(name, x)
        return apply(params, x, **given), state

    return Layer(name, init_layer, apply_layer)


def lift(layer: Any) -> Layer:
    """Return ``layer`` itself, or a bare callable as a layer without parameters.

    Raises:
        TypeError: ``layer`` is neither, or is a ``Cell``, or a factory that was not called.
    """
    if isinstance(layer, Layer):
        return layer
    if isinstance(layer, Cell):
        raise TypeError(f"expected a layer, got the cell {layer.name!r}; scan it over time with nn.rnn(cell)")
    if not callable(layer):
        raise TypeError(f"expected a Layer or a function of one array, got {describe(layer)}")
    name = _callable_name(layer)
    ours = str(getattr(layer, "__module__", "")).startswith(("jaxnn.layers", "jaxnn.compose"))
    if ours and not layer.__name__.startswith("_"):
        raise TypeError(f"{name} is a factory of layers and was not called; write {name}(...)")

    def apply(params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False) -> Any:
        del key, train
        check_entries(name, params, ())
        check_entries(name, state, (), "state")
        if isinstance(x, Masked):
            return Masked(_by_position(name, layer, x), x.mask), state
        return _called(name, layer, x), state

    return Layer(name, lambda _key, _x: ({}, {}), apply)


def _called(name: str, function: Callable[[Any], Any], x: PyTree) -> PyTree:
    y = function(x)
    if isinstance(y, Layer | Cell):
        raise TypeError(f"{name} is a factory of layers and was not called; write {name}(...)")
    return y


_MIXES = "{name} (which needs more than one position at a time, or can't be seen not to)"

# A value at which the usual functions (log, sqrt, 1 / x, arctanh, ...) and their slopes are finite.
_HARMLESS = 0.5


def _by_position(name: str, function: Callable[[Any], Any], x: Masked) -> Any:
    """Apply a function that acts on each position alone, so that it can't mix padding into what is real.

    Raises:
        TypeError: it brings positions together, or may do so.
    """
    value = filled(x, _HARMLESS) if jnp.issubdtype(x.value.dtype, jnp.inexact) else x.value
    if not acts_by_position(lambda v: _called(name, function, v), value, x.mask.ndim):
        refuse_masked(_MIXES.format(name=name), x)
    y = function(value)
    return jax.tree.map(lambda leaf: jnp.where(spread_mask(x.mask, leaf.shape), leaf, 0), y)


def _callable_name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    name = re.sub(r"\W", "_", name).strip("_") or "function"
    return name if not name[0].isdigit() else f"function_{name}"

"""What the cells with gates share: parameters, initial carries, recurrent dropout."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn import ops
from jaxnn.core import (
    Axes,
    Cell,
    Params,
    check_floating,
    check_key,
    check_min_rank,
    check_params,
    common_dtype,
    describe,
    positive_int,
    probability,
    require_key,
    wide_dtype,
)
from jaxnn.layers._affine import Initializer, check_dtype, drawn


def orthogonal(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Draw an orthogonal matrix (Saxe et al., 2014, arXiv:1312.6120), in float32 at least."""
    return jax.nn.initializers.orthogonal()(key, shape, wide_dtype(dtype)).astype(dtype)


@dataclass(frozen=True)
class Gated:
    """The options of a cell whose gates are an affine map of the input and the hidden state.

    Attributes:
        name: kind of the cell.
        features: size of the hidden state.
        gates: how many gates there are.
        carries: names of the learned parts of the initial carry; the hidden state comes first.
        bias_init: initializer of the bias, ``None`` for no bias.
        recurrent_bias: whether the last gate has a second bias, inside the recurrent product.
    """

    name: str
    features: int
    gates: int
    carries: tuple[str, ...]
    kernel_init: Initializer
    recurrent_init: Initializer
    bias_init: Initializer | None
    recurrent_bias: bool
    recurrent_dropout: Any
    learn_carry: bool
    param_dtype: Any

    def __post_init__(self) -> None:
        positive_int(self.name, "features", self.features)
        probability(self.name, "recurrent_dropout", self.recurrent_dropout)
        check_dtype(self.name, self.param_dtype)

    def weights(self) -> tuple[str, ...]:
        """Names of the parameters that the core takes, in its order."""
        bias = () if self.bias_init is None else ("bias",)
        inner = ("recurrent_bias",) if self.bias_init is not None and self.recurrent_bias else ()
        return ("input_kernel", "recurrent_kernel", *bias, *inner)

    def names(self) -> tuple[str, ...]:
        """Names of all parameters."""
        return (*self.weights(), *(self.carries if self.learn_carry else ()))

    def shapes(self) -> dict[str, Axes]:
        """Axes of all parameters."""
        gates = self.gates * self.features
        known: dict[str, Axes] = {
            "input_kernel": ("in", gates),
            "recurrent_kernel": (self.features, gates),
            "bias": (gates,),
        }
        return {name: known.get(name, (self.features,)) for name in self.names()}


def gated_cell(options: Gated, run: Callable[..., tuple[Any, Any]]) -> Cell:
    """Make the cell whose core is ``run(weights, carry, x, mask, reverse, scale) -> (carry, ys)``.

    ``weights`` holds the named arrays, ``carry`` is a tuple of arrays ``[..., features]``.
    """
    name, features = options.name, int(options.features)

    def init(key: Any, x: Any) -> Params:
        check_key(name, key)
        check_floating(name, x)
        check_min_rank(name, x, 1, "[..., features]")
        keys, dtype = jax.random.split(key, 2 + options.gates), options.param_dtype
        square = jax.vmap(lambda k: options.recurrent_init(k, (features, features), dtype))(keys[2:])
        params = {
            "input_kernel": drawn(
                options.kernel_init, keys[0], (x.shape[-1], options.gates * features), dtype
            ),
            "recurrent_kernel": jnp.moveaxis(square, 0, 1).reshape(features, -1),
        }
        if options.bias_init is not None:
            params["bias"] = options.bias_init(keys[1], (options.gates * features,), dtype)
        for extra in options.names()[len(params) :]:
            params[extra] = jnp.zeros((features,), dtype)
        return params

    def prepared(params: Params, x: Any) -> tuple[Any, dict[str, Any]]:
        check_floating(name, x)
        check_params(name, params, options.shapes())
        dtype = common_dtype(x.dtype, *(params[part].dtype for part in options.names()))
        named = {part: params[part].astype(dtype) for part in options.names()}
        x = x.astype(dtype)
        size = named["input_kernel"].shape[0]
        if x.shape[-1] != size:
            raise ValueError(
                f"{name}: expected input [..., {size}], got {describe(x)}; initialise the model with it"
            )
        return x, named

    def init_carry(params: Params, x: Any) -> Any:
        x, named = prepared(params, jnp.zeros(x.shape, x.dtype))
        shape = (*x.shape[:-1], features)
        parts = [named.get(part, jnp.zeros((features,), x.dtype)) for part in options.carries]
        carry = [jnp.broadcast_to(part, shape) for part in parts]
        return carry[0] if len(carry) == 1 else tuple(carry)

    def check_carry(carry: Any, x: Any) -> None:
        parts = carry if isinstance(carry, tuple | list) else (carry,)
        shape = (*x.shape[:-2], features)
        if len(parts) != len(options.carries) or any(getattr(p, "shape", None) != shape for p in parts):
            one = describe(jax.ShapeDtypeStruct(shape, x.dtype))
            wanted = one if len(options.carries) == 1 else f"({', '.join([one] * len(options.carries))})"
            raise ValueError(
                f"{name}: expected a carry {wanted} for this input, got {describe(carry)}; "
                "begin with what init_carry returns"
            )

    def scan(
        params: Params,
        carry: Any,
        x: Any,
        *,
        mask: Any = None,
        reverse: bool = False,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, Any]:
        x, named = prepared(params, x)
        scale, rate = None, options.recurrent_dropout
        if train and not (isinstance(rate, int | float) and rate == 0):
            ones = jnp.ones((*x.shape[:-2], features), x.dtype)
            scale = ops.dropout(require_key(name, key), ones, rate)
        weights = {part: named[part] for part in options.weights()}
        check_carry(carry, x)
        return run(weights, carry, x, mask, reverse, scale)

    def step(params: Params, carry: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        check_min_rank(name, x, 1, "[..., features]")
        carry, ys = scan(params, carry, jnp.expand_dims(x, -2), key=key, train=train)
        return carry, jnp.squeeze(ys, -2)

    return Cell(name, init, init_carry, step, scan=scan)

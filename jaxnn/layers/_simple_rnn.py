"""The simple recurrent network (Elman, 1990): ``h' = activation(x @ W + h @ U + b)``."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxnn import ops
from jaxnn.core import Cell, Layer, describe
from jaxnn.layers._affine import Initializer, lecun_normal, zeros
from jaxnn.layers._recurrent_cell import Gated, gated_cell, orthogonal
from jaxnn.layers._rnn import recurrent_layer


def simple_rnn_cell(
    features: int,
    *,
    activation: Callable[[Any], Any] = jnp.tanh,
    use_bias: bool = True,
    recurrent_dropout: Any = 0.0,
    learn_carry: bool = False,
    kernel_init: Initializer = lecun_normal,
    recurrent_init: Initializer = orthogonal,
    bias_init: Initializer = zeros,
    param_dtype: Any = jnp.float32,
    formulation: str | None = None,
) -> Cell:
    """One step of a simple recurrent network: ``[..., in] -> [..., features]``, with the output as carry.

    Parameters: ``input_kernel`` ``(in, features)``, ``recurrent_kernel`` ``(features, features)``, ``bias``
    ``(features,)``. PyTorch transposes the kernels and has two biases, whose sum this is.

    Args:
        features: size of the hidden state and of the output.
        activation: elementwise function.
        use_bias: whether to add ``bias``.
        recurrent_dropout: probability that an element of ``h`` is *dropped* in the recurrent product, in
            training; one mask for a sequence (Gal and Ghahramani, 2016, arXiv:1512.05287).
        learn_carry: whether the initial carry is a parameter, ``initial_hidden`` ``(features,)``, zero at
            first.
        kernel_init: initializer of ``input_kernel``.
        recurrent_init: initializer of ``recurrent_kernel``.
        bias_init: initializer of ``bias``.
        param_dtype: dtype of the parameters.
        formulation: see ``ops.simple_rnn``.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input of another size, or a missing key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> cell = nn.simple_rnn_cell(4)
        >>> params = cell.init(jax.random.key(0), jnp.ones((2, 3)))
        >>> h, y = cell.step(params, cell.init_carry(params, jnp.ones((2, 3))), jnp.ones((2, 3)))
        >>> y.shape
        (2, 4)
    """
    if not callable(activation):
        raise TypeError(
            f"simple_rnn_cell: activation must be a function, got {describe(activation)}; pass jax.nn.relu"
        )
    options = Gated(
        name="simple_rnn_cell",
        features=features,
        gates=1,
        carries=("initial_hidden",),
        kernel_init=kernel_init,
        recurrent_init=recurrent_init,
        bias_init=bias_init if use_bias else None,
        recurrent_bias=False,
        recurrent_dropout=recurrent_dropout,
        learn_carry=learn_carry,
        param_dtype=param_dtype,
    )

    def run(weights: Any, carry: Any, x: Any, mask: Any, reverse: bool, scale: Any) -> tuple[Any, Any]:
        return ops.simple_rnn(
            x,
            **weights,
            carry=carry,
            activation=activation,
            mask=mask,
            reverse=reverse,
            recurrent_scale=scale,
            formulation=formulation,
        )

    return gated_cell(options, run)


def simple_rnn(
    features: int,
    *,
    reverse: bool = False,
    return_sequences: bool = True,
    return_carry: bool = False,
    **cell_options: Any,
) -> Layer:
    """Simple recurrent network over time: ``[batch, time, in] -> [batch, time, features]``.

    ``nn.rnn(nn.simple_rnn_cell(features, **cell_options))`` under a name of its own: see ``rnn`` for inputs,
    carries and padding, ``simple_rnn_cell`` for parameters. A chain of these is a stack.

    Args:
        features: size of the hidden state and of the output.
        reverse: go from the last step to the first; outputs stay at the positions of their inputs.
        return_sequences: whether to give the outputs of all steps, or the last one read.
        return_carry: whether to give ``(y, h)``.
        **cell_options: see ``simple_rnn_cell``.

    Raises:
        TypeError, ValueError: see ``rnn`` and ``simple_rnn_cell``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.simple_rnn(4, activation=jax.nn.relu, reverse=True)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((1, 5, 3)))
        >>> layer.apply(params, state, jnp.ones((2, 5, 3)))[0].shape
        (2, 5, 4)
    """
    cell = simple_rnn_cell(features, **cell_options)
    return recurrent_layer("simple_rnn", cell, reverse, return_sequences, return_carry)

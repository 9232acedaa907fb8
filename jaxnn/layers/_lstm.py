"""Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate: Gers et al., 2000).

With ``z = x @ input_kernel + h @ recurrent_kernel + bias`` split into four, ``i, f, o = sigmoid(z_i, z_f,
z_o)`` and ``g = tanh(z_g)``: ``c' = f * c + i * g`` and ``h' = o * tanh(c')``.
"""

from typing import Any

import jax.numpy as jnp

from jaxnn import ops
from jaxnn.core import Cell, Layer, non_negative
from jaxnn.layers._affine import Initializer, lecun_normal, zeros
from jaxnn.layers._recurrent_cell import Gated, gated_cell, orthogonal
from jaxnn.layers._rnn import recurrent_layer


def lstm_cell(
    features: int,
    *,
    use_bias: bool = True,
    forget_bias: Any = 1.0,
    recurrent_dropout: Any = 0.0,
    learn_carry: bool = False,
    kernel_init: Initializer = lecun_normal,
    recurrent_init: Initializer = orthogonal,
    bias_init: Initializer = zeros,
    param_dtype: Any = jnp.float32,
    formulation: str | None = None,
) -> Cell:
    """One step of an LSTM: ``[..., in] -> [..., features]``, with carry ``(h, c)``, each ``[..., features]``.

    Parameters: ``input_kernel`` ``(in, 4 * features)``, ``recurrent_kernel`` ``(features, 4 * features)``,
    ``bias`` ``(4 * features,)``, with gates in the order input, forget, candidate, output. That is PyTorch's
    and Keras' order (PyTorch transposes the kernels and has two biases, whose sum this is); Flax keeps a
    kernel for each of ``i, f, g, o`` and orders its carry ``(c, h)``.

    Args:
        features: size of the hidden state and of the output.
        use_bias: whether to add ``bias``.
        forget_bias: added to the initial bias of the forget gate, so that memory lasts at first (Jozefowicz
            et al., 2015, "An empirical exploration of recurrent network architectures"); Keras does so too,
            PyTorch and Flax do not.
        recurrent_dropout: probability that an element of ``h`` is *dropped* in the recurrent product, in
            training; one mask for a sequence (Gal and Ghahramani, 2016, arXiv:1512.05287).
        learn_carry: whether the initial carry is a parameter, ``initial_hidden`` and ``initial_cell``
            ``(features,)``, zero at first.
        kernel_init: initializer of ``input_kernel``.
        recurrent_init: initializer of each gate's ``(features, features)`` part of ``recurrent_kernel``.
        bias_init: initializer of ``bias``.
        param_dtype: dtype of the parameters.
        formulation: see ``ops.lstm``.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input of another size, or a missing key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> cell = nn.lstm_cell(4)
        >>> params = cell.init(jax.random.key(0), jnp.ones((2, 3)))
        >>> carry = cell.init_carry(params, jnp.ones((2, 3)))
        >>> (h, c), y = cell.step(params, carry, jnp.ones((2, 3)))
        >>> y.shape, bool((h == y).all())
        ((2, 4), True)
    """
    non_negative("lstm_cell", "forget_bias", forget_bias)

    def biased(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        bias, size = bias_init(key, shape, dtype), shape[0] // 4
        return bias.at[size : 2 * size].add(jnp.asarray(forget_bias, dtype))

    options = Gated(
        name="lstm_cell",
        features=features,
        gates=4,
        carries=("initial_hidden", "initial_cell"),
        kernel_init=kernel_init,
        recurrent_init=recurrent_init,
        bias_init=biased if use_bias else None,
        recurrent_bias=False,
        recurrent_dropout=recurrent_dropout,
        learn_carry=learn_carry,
        param_dtype=param_dtype,
    )

    def run(weights: Any, carry: Any, x: Any, mask: Any, reverse: bool, scale: Any) -> tuple[Any, Any]:
        return ops.lstm(
            x,
            **weights,
            carry=carry,
            mask=mask,
            reverse=reverse,
            recurrent_scale=scale,
            formulation=formulation,
        )

    return gated_cell(options, run)


def lstm(
    features: int,
    *,
    reverse: bool = False,
    return_sequences: bool = True,
    return_carry: bool = False,
    **cell_options: Any,
) -> Layer:
    """LSTM over time: ``[batch, time, in] -> [batch, time, features]``.

    ``nn.rnn(nn.lstm_cell(features, **cell_options))`` under a name of its own: see ``rnn`` for inputs,
    carries and padding, ``lstm_cell`` for parameters and their gate order. A chain of these is a stack.

    Args:
        features: size of the hidden state and of the output.
        reverse: go from the last step to the first; outputs stay at the positions of their inputs.
        return_sequences: whether to give the outputs of all steps, or the last one read.
        return_carry: whether to give ``(y, (h, c))``.
        **cell_options: see ``lstm_cell``.

    Raises:
        TypeError, ValueError: see ``rnn`` and ``lstm_cell``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> model = nn.chain(nn.lstm(8), nn.lstm(8, return_sequences=False), nn.dense(1))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 5, 3)))
        >>> model.apply(params, state, jnp.ones((2, 5, 3)))[0].shape
        (2, 1)
    """
    return recurrent_layer(
        "lstm", lstm_cell(features, **cell_options), reverse, return_sequences, return_carry
    )

"""The gated recurrent unit (Cho et al., 2014, arXiv:1406.1078), in its original and its reset-after form.

``r = sigmoid(x @ W_r + h @ U_r + b_r)``, ``u = sigmoid(x @ W_u + h @ U_u + b_u)``, ``h' = u * h + (1 - u) *
n``, with ``n = tanh(x @ W_n + (r * h) @ U_n + b_n)`` in the form ``"original"``, and ``n = tanh(x @ W_n + b_n
+ r * (h @ U_n + recurrent_bias))`` in the form ``"reset_after"``.
"""

from typing import Any

import jax.numpy as jnp

from jaxnn import ops
from jaxnn.core import Cell, Layer, one_of
from jaxnn.layers._affine import Initializer, lecun_normal, zeros
from jaxnn.layers._recurrent_cell import Gated, gated_cell, orthogonal
from jaxnn.layers._rnn import recurrent_layer


def gru_cell(
    features: int,
    *,
    form: str = "reset_after",
    use_bias: bool = True,
    recurrent_dropout: Any = 0.0,
    learn_carry: bool = False,
    kernel_init: Initializer = lecun_normal,
    recurrent_init: Initializer = orthogonal,
    bias_init: Initializer = zeros,
    param_dtype: Any = jnp.float32,
    formulation: str | None = None,
) -> Cell:
    """One step of a GRU: ``[..., in] -> [..., features]``, with carry ``h`` ``[..., features]``.

    Parameters: ``input_kernel`` ``(in, 3 * features)``, ``recurrent_kernel`` ``(features, 3 * features)``,
    ``bias`` ``(3 * features,)``, with gates in the order reset, update, candidate; and, in the form
    ``"reset_after"``, ``recurrent_bias`` ``(features,)`` of the candidate. That is PyTorch's order (it
    transposes the kernels and has two biases: their sum is ``bias`` but for the candidate, whose second is
    ``recurrent_bias``); Keras puts update before reset; Flax keeps a kernel for each of ``r, z, n``.

    Args:
        features: size of the hidden state and of the output.
        form: ``"reset_after"``, the default, applies the reset gate after the recurrent product, as cuDNN,
            PyTorch, Flax and Keras 3 do; ``"original"`` before it, as in the paper.
        use_bias: whether to add the biases.
        recurrent_dropout: probability that an element of ``h`` is *dropped* in the recurrent product, in
            training; one mask for a sequence (Gal and Ghahramani, 2016, arXiv:1512.05287).
        learn_carry: whether the initial carry is a parameter, ``initial_hidden`` ``(features,)``, zero at
            first.
        kernel_init: initializer of ``input_kernel``.
        recurrent_init: initializer of each gate's ``(features, features)`` part of ``recurrent_kernel``.
        bias_init: initializer of ``bias``; ``recurrent_bias`` begins at zero.
        param_dtype: dtype of the parameters.
        formulation: see ``ops.gru``.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input of another size, or a missing key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> cell = nn.gru_cell(4, form="original")
        >>> params = cell.init(jax.random.key(0), jnp.ones((2, 3)))
        >>> h, y = cell.step(params, cell.init_carry(params, jnp.ones((2, 3))), jnp.ones((2, 3)))
        >>> sorted(params), y.shape
        (['bias', 'input_kernel', 'recurrent_kernel'], (2, 4))
    """
    one_of("gru_cell", "form", form, ("reset_after", "original"))
    options = Gated(
        name="gru_cell",
        features=features,
        gates=3,
        carries=("initial_hidden",),
        kernel_init=kernel_init,
        recurrent_init=recurrent_init,
        bias_init=bias_init if use_bias else None,
        recurrent_bias=form == "reset_after",
        recurrent_dropout=recurrent_dropout,
        learn_carry=learn_carry,
        param_dtype=param_dtype,
    )

    def run(weights: Any, carry: Any, x: Any, mask: Any, reverse: bool, scale: Any) -> tuple[Any, Any]:
        return ops.gru(
            x,
            **weights,
            carry=carry,
            form=form,
            mask=mask,
            reverse=reverse,
            recurrent_scale=scale,
            formulation=formulation,
        )

    return gated_cell(options, run)


def gru(
    features: int,
    *,
    reverse: bool = False,
    return_sequences: bool = True,
    return_carry: bool = False,
    **cell_options: Any,
) -> Layer:
    """GRU over time: ``[batch, time, in] -> [batch, time, features]``.

    ``nn.rnn(nn.gru_cell(features, **cell_options))`` under a name of its own: see ``rnn`` for inputs,
    carries and padding, ``gru_cell`` for parameters, their gate order and the two forms. A chain of these
    is a stack.

    Args:
        features: size of the hidden state and of the output.
        reverse: go from the last step to the first; outputs stay at the positions of their inputs.
        return_sequences: whether to give the outputs of all steps, or the last one read.
        return_carry: whether to give ``(y, h)``.
        **cell_options: see ``gru_cell``.

    Raises:
        TypeError, ValueError: see ``rnn`` and ``gru_cell``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.gru(4, return_sequences=False)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((1, 5, 3)))
        >>> words = nn.Masked(jnp.ones((2, 5, 3)), jnp.arange(5)[None] < jnp.array([[5], [2]]))
        >>> layer.apply(params, state, words)[0].shape
        (2, 4)
    """
    return recurrent_layer("gru", gru_cell(features, **cell_options), reverse, return_sequences, return_carry)

"""Sequences from a decoding cell: greedy, sampled or by beam search, in one compiled loop."""

import contextlib
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.compose._beam_search import beam_search
from jaxnn.compose._choose import chooser, log_probabilities
from jaxnn.compose._decoding_cell import DecodingCell
from jaxnn.compose._generated import Generated, continuation
from jaxnn.core import (
    Cell,
    Masked,
    Params,
    PyTree,
    as_array,
    check_key,
    describe,
    is_traced,
    kept,
    non_negative,
    positive_int,
    require_key,
    wide_dtype,
)

# Under which a cell keeps the largest id of a prompt that it was found to have a row for.
_LARGEST = "_largest_id"


def generate(
    cell: Cell,
    params: Params,
    prompt: Any,
    steps: int,
    *,
    memory: PyTree = None,
    key: Any = None,
    end_token: int | None = None,
    temperature: Any = 0.0,
    top_k: int | None = None,
    top_p: Any = None,
    beams: int = 1,
    length_penalty: Any = 0.0,
) -> Generated:
    """Continue each row of ``prompt`` by up to ``steps`` tokens.

    The cell maps one token to logits: ``[batch]`` int32 to ``[batch, vocabulary]``;
    ``nn.decoding_cell(model, n)`` makes one of any causal model, and a recurrent cell will do. The prompt,
    the choice of tokens and the stop when every row has ended are one ``lax.while_loop``, compiled once for
    given shapes and options; Flax and Equinox leave this to their users. A decoding cell reads a prompt
    without padding in one pass. It can be called under ``jit`` and ``vmap``.

    Args:
        cell: the cell.
        params: its parameters.
        prompt: ``[batch, length]`` integers of any dtype, or ``Masked`` where rows are padded on the right.
        steps: tokens to generate at most.
        memory: passed to ``cell.init_carry`` as ``(token, memory)``; leaves ``[batch, ...]``.
        key: for sampling; one key gives one result.
        end_token: the token after which a row has ended; ``None`` for none.
        temperature: 0 takes the most probable token, of equal ones the first; else tokens are drawn from
            ``softmax(logits / temperature)``. May be traced, and is then taken as positive.
        top_k: then draw among the ``top_k`` most probable tokens only; of equal ones the first count.
        top_p: then among the fewest most probable of these whose probabilities, which add up to 1 again,
            reach ``top_p``, in (0, 1] (Holtzman et al., 2020, arXiv:1904.09751). The order of the three is
            that of Hugging Face's ``generate``, whose ``top_k`` keeps more where logits are equal.
        beams: more than 1 keeps that many partial sequences per row and returns the most probable one found
            (beam search), at temperature 0.
        length_penalty: beams are compared by ``log_probability / length ** length_penalty`` in the end.

    Raises:
        TypeError, ValueError: a bad argument or combination, a missing key, a prompt that is empty, holds no
            integers or, with ``steps``, outgrows the cell, or, if it is known, holds ids that an
            ``nn.embedding`` of the cell has no row for; a cell that does not return logits
            ``[batch, vocabulary]``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> model = nn.chain(nn.embedding(10, 8), nn.transformer_block(2, causal=True), nn.dense(10))
        >>> cell = nn.decoding_cell(model, 16)
        >>> prompt = jnp.array([[1, 2, 3], [4, 5, 6]])
        >>> params = cell.init(jax.random.key(0), prompt[:, 0])
        >>> found = nn.generate(cell, params, prompt, 5, key=jax.random.key(1), temperature=0.8, top_k=4)
        >>> found.tokens.shape, found.log_probability.shape
        ((2, 5), (2,))
    """
    tokens, lengths = _read_prompt(prompt)
    steps = positive_int("generate", "steps", steps)
    beams = positive_int("generate", "beams", beams)
    sampled = is_traced(temperature) or non_negative("generate", "temperature", temperature) > 0
    _check_options(sampled, top_k, top_p, beams, key)
    if not isinstance(cell, Cell):
        raise TypeError(
            f"generate: expected a Cell, got {describe(cell)}; make one with nn.decoding_cell(model, n)"
        )
    if isinstance(cell, DecodingCell) and tokens.shape[1] + steps - 1 > cell.max_length:
        raise ValueError(
            f"generate: a prompt of {tokens.shape[1]} and {steps} steps need a cell of max_length "
            f"{tokens.shape[1] + steps - 1}, got {cell.max_length}; make it with nn.decoding_cell(model, a "
            "larger number)"
        )
    if not is_traced(length_penalty) and not np.isfinite(length_penalty):
        raise ValueError(f"generate: length_penalty must be a finite number, got {length_penalty}")
    _check_largest(cell, params, tokens, memory)
    numbers = {
        "temperature": jnp.asarray(temperature if sampled else 1.0, jnp.float32),
        "top_p": None if top_p is None else jnp.asarray(top_p, jnp.float32),
        "length_penalty": jnp.asarray(length_penalty, jnp.float32),
    }
    end = None if end_token is None else _end(end_token)
    together = not isinstance(prompt, Masked)
    run = kept(cell, _runner, most=32, static_argnums=(0, 1, 2, 3, 4, 5))
    return run(together, steps, end, sampled, top_k, beams, params, tokens, lengths, memory, key, numbers)


def _runner(cell: Cell) -> Callable[..., Generated]:
    def run(*arguments: Any) -> Generated:
        return _run(cell, *arguments)

    return run


def _run(
    cell: Cell,
    together: bool,
    steps: int,
    end: int | None,
    sampled: bool,
    top_k: int | None,
    beams: int,
    params: Params,
    prompt: Any,
    lengths: Any,
    memory: PyTree,
    key: Any,
    numbers: dict[str, Any],
) -> Generated:
    batch, longest = prompt.shape

    def start(first: Any, memory: PyTree) -> PyTree:
        return cell.init_carry(params, first if memory is None else (first, memory))

    carry = start(prompt[:, 0], memory)
    vocabulary, dtype = _logits(cell, params, carry, prompt[:, 0])
    for name, token in (("top_k", top_k), ("end_token", None if end is None else end + 1)):
        if token is not None and token > vocabulary:
            raise ValueError(
                f"generate: {name} must fit the {vocabulary} logits, got {token - (name == 'end_token')}"
            )
    tokens = jnp.concatenate([prompt, jnp.zeros((batch, steps), jnp.int32)], axis=1)
    time = 0
    if together and isinstance(cell, DecodingCell) and cell.advance is not None and longest > 1:
        carry, _ = cell.advance(params, carry, prompt[:, :-1])
        time = longest - 1
    if beams > 1:
        first = (jax.ShapeDtypeStruct((batch,), jnp.int32), memory)
        found = beam_search(
            cell,
            params,
            carry,
            start,
            first,
            tokens,
            lengths,
            steps,
            end,
            beams,
            numbers["length_penalty"],
            time,
            dtype,
        )
        return Generated(*found)
    choose = chooser(sampled, top_k, numbers["temperature"], numbers["top_p"])

    def more(loop: Any) -> Any:
        time, _, _, _, ended = loop
        return (time < longest + steps - 1) & ~jnp.all(ended)

    def body(loop: Any) -> Any:
        time, tokens, carry, total, ended = loop
        carry, logits = cell.step(params, carry, tokens[:, time])
        logits = logits.astype(dtype)
        token = choose(None if key is None else jax.random.fold_in(key, time), logits)
        gain = jnp.take_along_axis(log_probabilities(logits), token[:, None], axis=1)[:, 0]
        writes = (time + 1 >= lengths) & ~ended
        tokens = tokens.at[:, time + 1].set(jnp.where(writes, token, tokens[:, time + 1]))
        total = total + jnp.where(writes, gain, 0)
        ended |= writes & (time + 2 >= lengths + steps)
        if end is not None:
            ended |= writes & (token == end)
        return time + 1, tokens, carry, total, ended

    loop = (
        jnp.asarray(time, jnp.int32),
        tokens,
        carry,
        jnp.zeros(batch, dtype),
        jnp.zeros(batch, bool),
    )
    _, tokens, _, total, _ = jax.lax.while_loop(more, body, loop)
    return Generated(*continuation(tokens, lengths, steps, end), total)


def _logits(cell: Cell, params: Params, carry: PyTree, token: Any) -> tuple[int, Any]:
    """How many logits the cell gives, if it gives logits, and the dtype in which they are compared."""
    logits = jax.eval_shape(cell.step, params, carry, token)[1]
    shape = getattr(logits, "shape", ())
    if len(shape) != 2 or shape[0] != token.shape[0] or not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(
            "generate: the cell must map tokens [batch] to logits [batch, vocabulary], got "
            f"{describe(logits)} for {describe(token)}; end the model with nn.dense(vocabulary)"
        )
    return shape[1], wide_dtype(logits.dtype)


def _read_prompt(prompt: Any) -> tuple[Any, Any]:
    """Tokens ``[batch, length]``, 0 in the padding, and the length of each row."""
    value = prompt.value if isinstance(prompt, Masked) else prompt
    value = value if hasattr(value, "dtype") else np.asarray(value)
    if not jnp.issubdtype(value.dtype, jnp.integer):
        raise TypeError(f"generate: prompt must hold integers, got {describe(value)}")
    if value.ndim != 2 or 0 in value.shape:
        raise ValueError(
            f"generate: prompt must be [batch, length] with at least one token, got {describe(value)}; "
            "start with a begin token, as in jnp.full((batch, 1), begin)"
        )
    if not isinstance(prompt, Masked):
        _check_ids(value)
        return as_array(value.astype(jnp.int32)), as_array(np.full(value.shape[0], value.shape[1], np.int32))
    if prompt.mask.shape != value.shape:
        raise ValueError(f"generate: the mask of the prompt must be [batch, length], got {describe(prompt)}")
    if not is_traced(prompt.mask):
        mask = np.asarray(prompt.mask)
        if not mask[:, 0].all() or (mask[:, 1:] & ~mask[:, :-1]).any():
            raise ValueError(
                "generate: each row of the prompt must begin with a real token and be padded on the right "
                "only; shift the rows to the left"
            )
        if not is_traced(value):
            _check_ids(np.asarray(value)[mask])
    if isinstance(value, np.ndarray) and isinstance(prompt.mask, np.ndarray):
        tokens = np.where(prompt.mask, value, 0).astype(np.int32)
        return as_array(tokens), as_array(prompt.mask.sum(axis=1, dtype=np.int32))
    mask = jnp.asarray(prompt.mask)
    value = jnp.asarray(value).astype(jnp.int32)
    return jnp.where(mask, value, 0), jnp.sum(mask, axis=1, dtype=jnp.int32)


def _check_ids(ids: Any) -> None:
    """Raise for ids that no table has; before they are cast, so that none becomes another one."""
    if is_traced(ids):
        return
    values = np.asarray(ids)
    wrong = values[(values < 0) | (values > np.iinfo(np.int32).max)]
    if wrong.size:
        raise ValueError(
            f"generate: the prompt must hold ids of at least 0 that fit int32, got {wrong.flat[0]} (and "
            f"{wrong.size - 1} more); mark padding with nn.Masked"
        )


def _check_largest(cell: Cell, params: Params, prompt: Any, memory: PyTree) -> None:
    """Let the cell look at the largest id of each row while it is known: compiled, it could but give NaN."""
    if is_traced(prompt):
        return
    # Arrays of NumPy stay known where JAX follows a program on shapes.
    largest = np.asarray(prompt).max(axis=1)
    most = int(largest.max())
    if most <= vars(cell).get(_LARGEST, -1):
        return

    def run(params: Params, memory: PyTree) -> Any:
        carry = cell.init_carry(params, largest if memory is None else (largest, memory))
        return cell.step(params, carry, largest)

    # What else fails is of arrays of NumPy, as `x.at` is, or fails in the compiled loop, which says so.
    with contextlib.suppress(AttributeError, TypeError):
        jax.eval_shape(run, params, memory)
    # Cells are frozen; this is no part of what they are, and spares all later calls a trace of the cell.
    object.__setattr__(cell, _LARGEST, most)


def _check_options(sampled: bool, top_k: Any, top_p: Any, beams: int, key: Any) -> None:
    if sampled:
        require_key("generate: temperature above 0", key)
        if beams > 1:
            raise ValueError(
                f"generate: beam search draws nothing, got beams={beams} and a temperature; leave one out"
            )
    else:
        for name, value in (("top_k", top_k), ("top_p", top_p)):
            if value is not None:
                raise ValueError(
                    f"generate: {name} says what to draw from, and nothing is drawn at temperature 0; pass "
                    "temperature=1.0 and a key"
                )
        if key is not None:
            check_key("generate", key)
    if top_k is not None:
        positive_int("generate", "top_k", top_k)
    if top_p is not None and not is_traced(top_p):
        non_negative("generate", "top_p", top_p, positive=True)
        if top_p > 1:
            raise ValueError(f"generate: top_p is a probability in (0, 1], got {top_p}")


def _end(token: Any) -> int:
    if isinstance(token, bool) or not hasattr(token, "__index__") or operator.index(token) < 0:
        raise ValueError(f"generate: end_token must be a token, an int of at least 0, got {describe(token)}")
    return operator.index(token)

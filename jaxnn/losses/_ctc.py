"""Connectionist temporal classification: ``-log p(labels | frames)`` over all alignments, in nats.

Graves, Fernandez, Gomez and Schmidhuber (2006), "Connectionist temporal classification". The labels are put
between blanks, ``_ a _ b _``, and a path through these states emits one of them in every frame: it stays,
goes one on, or skips a blank between two labels that differ. The scan keeps the logarithm of the probability
of all paths that end in each state.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import as_ids, check_floating, describe, is_traced, wide_dtype
from jaxnn.losses._ctc_missed import missed
from jaxnn.losses._exact import exactly, minus_log_softmax
from jaxnn.losses._labels import as_targets

# Stands for log 0: with -inf itself the gradient of a sum of impossible paths would be 0 / 0.
_NEVER = -1e30


def ctc(
    logits: Any,
    labels: Any,
    output_mask: Any = None,
    target_mask: Any = None,
    *,
    blank: int = 0,
    impossible: float = math.inf,
) -> Any:
    """Loss of unaligned labels (Graves et al., 2006): ``[..., frames, classes] -> [...]``, nats.

    ``train.supervised`` passes the masks by itself where outputs and targets are ``Masked``. Padding may
    stand anywhere, its content never matters. Labels that no alignment can emit (more of them, with a blank
    between equal neighbours, than frames) cost ``impossible`` and have gradient 0: PyTorch gives NaN
    gradients there, Optax a large number that depends on a floor. A small loss keeps its digits and is never
    below 0: it is computed from the probability of all other labels. Half precision is taken to float32.

    Args:
        logits: ``[..., frames, classes]``, floating point.
        labels: integers ``[..., length]`` in ``[0, classes)`` without ``blank``; a traced one that is not
            costs NaN.
        output_mask: booleans ``[..., frames]``, true for real frames; ``None`` for all.
        target_mask: booleans ``[..., length]``, true for real labels; ``None`` for all.
        blank: the class that stands for no label.
        impossible: cost of labels that can't be aligned; 0 leaves them out of a sum.

    Raises:
        TypeError: ``logits`` are not floating point, labels not integers or masks not boolean.
        ValueError: shapes do not fit; ``blank`` or concrete labels are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = ctc(jnp.zeros((3, 2)), jnp.array([1]))  # _ _ a, _ a _, _ a a, a _ _, a a _ and a a a
        >>> print(f"{jnp.exp(-loss):.4f}")  # 6 of 8 paths
        0.7500
    """
    labels = as_targets(labels)
    _check(logits, labels, blank)
    real_frame = _mask("output_mask", output_mask, logits.shape[:-1])
    real_label = _mask("target_mask", target_mask, labels.shape)
    _check_labels(labels, target_mask, logits.shape[-1], blank)
    labels = as_ids(labels)
    logits = logits.astype(wide_dtype(logits.dtype))

    def one(logits: Any, labels: Any, real_frame: Any, real_label: Any) -> Any:
        cost = _cost(logits, labels, real_frame, real_label, blank)
        known = jnp.all(~real_label | _is_class(labels, logits.shape[-1], blank))
        return jnp.where(known, jnp.where(cost >= -_NEVER / 2, impossible, cost), jnp.nan)

    for _ in labels.shape[:-1]:
        one = jax.vmap(one)
    return one(logits, labels, real_frame, real_label)


def _cost(logits: Any, labels: Any, real_frame: Any, real_label: Any, blank: int) -> Any:
    """``-log p`` of the real ``labels`` ``[length]`` for ``logits`` ``[frames, classes]``."""
    # Real labels come first, in their order, so that their number says where paths end.
    order = jnp.argsort(~real_label, stable=True)
    labels = jnp.where(_is_class(labels, logits.shape[-1], blank), labels, 0).astype(jnp.int32)[order]
    count = jnp.sum(real_label, dtype=jnp.int32)
    states = jnp.full(2 * labels.size + 1, blank, jnp.int32).at[1::2].set(labels)
    before = jnp.concatenate([jnp.full(2, blank, jnp.int32), states])[: states.size]
    may_skip = (states != blank) & (states != before)

    log_p = -minus_log_softmax(jnp.where(real_frame[:, None], logits, 0))
    rest = missed(jax.lax.stop_gradient(jnp.exp(log_p)), states, may_skip, count, real_frame)
    log_p = jnp.where(log_p <= _NEVER, _NEVER, log_p)[:, states]
    never = jnp.full(2, _NEVER, log_p.dtype)

    def step(paths: Any, frame: Any) -> tuple[Any, None]:
        emitted, real = frame
        stay, go = paths, jnp.concatenate([never[:1], paths[:-1]])
        skip = jnp.where(may_skip, jnp.concatenate([never, paths])[: states.size], _NEVER)
        return jnp.where(real, jax.nn.logsumexp(jnp.stack([stay, go, skip]), 0) + emitted, paths), None

    # Before the first frame all paths are at the first blank, from which they stay or go on.
    start = jnp.full(states.size, _NEVER, log_p.dtype).at[0].set(0)
    paths, _ = jax.lax.scan(step, start, (log_p, real_frame))
    ended_on_label = jnp.where(count > 0, paths[jnp.maximum(2 * count - 1, 0)], _NEVER)
    cost = -jnp.logaddexp(paths[2 * count], ended_on_label)
    likely = rest < 0.5
    return exactly(jnp.where(likely, -jnp.log1p(-jnp.where(likely, rest, 0)), cost), cost)


def _is_class(labels: Any, classes: int, blank: int) -> Any:
    return (labels >= 0) & (labels < classes) & (labels != blank)


def _check(logits: Any, labels: Any, blank: int) -> None:
    check_floating("ctc", logits)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"ctc: labels must be integers, got {describe(labels)}; pass the numbers of the classes"
        )
    if logits.ndim < 2 or labels.ndim != logits.ndim - 1 or labels.shape[:-1] != logits.shape[:-2]:
        raise ValueError(
            f"ctc: expected logits [..., frames, classes] and labels [..., length], got {describe(logits)} "
            f"and {describe(labels)}; pad the labels to one length and pass target_mask"
        )
    if isinstance(blank, bool) or not isinstance(blank, int):
        raise TypeError(f"ctc: blank must be the number of a class, got {describe(blank)}; pass an int")
    if not 0 <= blank < logits.shape[-1]:
        raise ValueError(
            f"ctc: blank must be one of the {logits.shape[-1]} classes, got {blank}; "
            "give the model an output for it"
        )


def _mask(argument: str, mask: Any, shape: tuple[int, ...]) -> Any:
    if mask is None:
        return jnp.ones(shape, bool)
    if not hasattr(mask, "dtype") or mask.dtype != bool:
        raise TypeError(f"ctc: {argument} must be boolean, got {describe(mask)}; true marks what is real")
    if mask.shape != shape:
        raise ValueError(
            f"ctc: {argument} must have shape {list(shape)}, got {describe(mask)}; one entry a position"
        )
    return jnp.asarray(mask)


def _check_labels(labels: Any, mask: Any, classes: int, blank: int) -> None:
    if is_traced(labels) or is_traced(mask):
        return
    values = np.asarray(labels)
    values = values if values.dtype.kind in "iu" else values.astype(np.int32)
    real = values[... if mask is None else np.asarray(mask)].ravel()
    strange = real[(real < 0) | (real >= classes) | (real == blank)]
    if strange.size:
        raise ValueError(
            f"ctc: labels must be in [0, {classes}) and not the blank {blank}, got {strange[0]}; "
            "mark padding by target_mask"
        )

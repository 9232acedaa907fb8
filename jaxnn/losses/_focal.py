"""The focal loss: cross entropy times ``(1 - p)^gamma``, which turns to the hard examples."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import as_ids, check_floating, check_min_rank, is_traced, non_negative, one_of, wide_dtype
from jaxnn.losses._exact import label_cost
from jaxnn.losses._labels import (
    as_targets,
    check_class_shape,
    check_classes,
    check_labels,
    check_probabilities,
    is_class_index,
    is_label,
)


def focal(logits: Any, labels: Any, *, gamma: Any = 2.0, balance: Any = None, reduce: str = "mean") -> Any:
    """Focal loss (Lin et al., 2017, arXiv:1708.02002): ``[..., k] -> [...]``, nats.

    ``-(1 - p)^gamma log(p)`` where ``p`` is the probability given to the right answer. Labels of the logits'
    shape are independent answers of yes or no (``p = sigmoid(z)`` or ``1 - sigmoid(z)``, the paper's form, a
    soft label mixing both); integer labels ``[...]`` are classes of a softmax. ``gamma=0`` is the (binary)
    cross entropy. The factor is computed from the logarithm of ``1 - p``, so it keeps its digits where ``p``
    rounds to 1, and its gradient is finite for any ``gamma``. Half precision is taken to float32.

    Args:
        logits: ``[..., outputs]`` or ``[..., classes]``, floating point.
        labels: 0, 1 or a probability, of the same shape; or integers ``[...]`` in ``[0, classes)``, where a
            traced one outside costs NaN.
        gamma: how little easy examples count, 0 or more; may be traced.
        balance: the paper's alpha, in [0, 1]: weight of yes, with ``1 - balance`` for no; ``None`` for 1 and
            1.
        reduce: ``"mean"`` or ``"sum"`` over independent outputs.

    Raises:
        TypeError: ``logits`` are not floating point.
        ValueError: the shapes do not fit, an argument or concrete labels are out of range, or ``balance`` is
            given for classes.

    Example:
        >>> import jax.numpy as jnp
        >>> values = focal(jnp.array([[0.0], [4.0]]), jnp.array([[1.0], [1.0]]))
        >>> print([f"{v:.6f}" for v in values])
        ['0.173287', '0.000006']
    """
    non_negative("focal", "gamma", gamma)
    one_of("focal", "reduce", reduce, ("mean", "sum"))
    check_floating("focal", logits)
    check_min_rank("focal", logits, 1, "[..., k]")
    labels = as_targets(labels)
    if is_class_index(logits, labels):
        if balance is not None:
            raise ValueError(
                "focal: balance weighs yes against no, but these labels are classes; multiply the values by "
                "a weight of each class, or pass class_weight to train.fit"
            )
        return _of_classes(logits, labels, gamma)
    check_class_shape("focal", logits, labels)
    check_probabilities("focal", labels)
    z = logits.astype(wide_dtype(logits.dtype))
    y = jnp.asarray(labels).astype(z.dtype)
    yes, no = _weights(balance)
    absent, certain = y == 0, y == 1
    right = jnp.where(absent, 0, y * yes * _binary(jnp.where(absent, 0, z), gamma))
    wrong = jnp.where(certain, 0, (1 - y) * no * _binary(jnp.where(certain, 0, -z), gamma))
    terms = jnp.where((y >= 0) & (y <= 1), right + wrong, jnp.nan)
    return jnp.mean(terms, -1) if reduce == "mean" else jnp.sum(terms, -1)


def _binary(z: Any, gamma: Any) -> Any:
    """The loss of a right answer with logit ``z``: ``sigmoid(-z)^gamma softplus(-z)``."""
    return _scaled(jax.nn.softplus(-z), jax.nn.log_sigmoid(-z), gamma)


def _of_classes(logits: Any, labels: Any, gamma: Any) -> Any:
    check_classes("focal", logits, 2, "give one output labels of its own shape")
    check_labels("focal", labels, logits.shape[-1])
    z = logits.astype(wide_dtype(logits.dtype))
    chosen = is_label(labels, z)
    cost = label_cost(z, as_ids(labels))
    # A cost that rounds to 0, as where every other class is impossible, is certain: no loss and no slope.
    certain = cost < jnp.finfo(z.dtype).tiny
    log_wrong = jnp.log(-jnp.expm1(-jnp.where(certain, 1, cost)))
    values = jnp.where(certain, 0, _scaled(jnp.where(certain, 0, cost), log_wrong, gamma))
    return jnp.where(jnp.any(chosen, -1), values, jnp.nan)


def _scaled(cost: Any, log_wrong: Any, gamma: Any) -> Any:
    """``(1 - p)^gamma cost`` from ``log(1 - p)``; the cost itself where it is infinite or ``gamma`` is 0."""
    gamma = jnp.broadcast_to(jnp.asarray(gamma, cost.dtype), cost.shape)
    whole, none = (gamma == 0) | (cost == jnp.inf), log_wrong == -jnp.inf
    factor = jnp.exp(gamma * jnp.where(whole | none, 0, log_wrong))
    return jnp.where(none & ~whole, 0, factor * cost)


def _weights(balance: Any) -> tuple[Any, Any]:
    if balance is None:
        return 1, 1
    non_negative("focal", "balance", balance)
    if not is_traced(balance) and balance > 1:
        raise ValueError(f"focal: balance must be in [0, 1], got {balance}; the paper's is 0.25")
    return balance, 1 - balance

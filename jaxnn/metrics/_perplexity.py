"""The exponential of the mean cross entropy."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import spread_mask
from jaxnn.losses import cross_entropy
from jaxnn.losses._labels import as_targets
from jaxnn.metrics._mean import Mean


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Perplexity:
    """``exp`` of a mean that is kept as its two sums.

    Attributes:
        nats: the mean cross entropy of a token.
    """

    nats: Mean

    def compute(self) -> Any:
        """Return the perplexity; 1 where no token counts."""
        return jnp.exp(self.nats.compute())


def perplexity(logits: Any, targets: Any, weights: Any = None) -> Perplexity:
    """Perplexity of a language model: ``exp`` of the mean cross entropy over all real tokens.

    Nats and tokens are summed and the exponential is taken last, so it is exact however batches are cut and
    padded; the mean of the perplexities of batches is another, larger number.

    Args:
        logits: ``[..., classes]``, floating point.
        targets: integers ``[...]``, or probabilities ``[..., classes]``.
        weights: of the shape ``[...]``, 0 for padding, whose targets may be anything; ``None`` for ones.
            ``train.supervised`` passes the masks of ``Masked`` sequences.

    Raises:
        TypeError: ``logits`` are not floating point.
        ValueError: the shapes do not fit; concrete labels that count are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{perplexity(jnp.zeros((2, 3, 7)), jnp.ones((2, 3), int)).compute():.4f}")
        7.0000
    """
    targets = as_targets(targets)
    if weights is not None and targets.shape[: weights.ndim] == weights.shape:
        # Padding is often marked by what is no class.
        targets = jnp.where(
            spread_mask(weights.astype(bool), targets.shape), targets, jnp.zeros((), targets.dtype)
        )
    return Perplexity(Mean.of(cross_entropy(logits, targets), weights))

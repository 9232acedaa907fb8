"""The largest stable learning rate of gradient descent, ``2 / lambda_max`` of the loss's Hessian."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxnn.core import describe, is_traced, non_negative, positive_int
from jaxnn.inspect._scalar_loss import scalar_loss


class _Basis(NamedTuple):
    """Lanczos' state: orthonormal rows, the tridiagonal's entries, and how many rows there are."""

    rows: Any
    diagonal: Any
    beside: Any
    count: Any
    curvature: Any
    error: Any


def stability_limit(
    objective: Any,
    params: Any,
    batch: Any,
    *,
    state: Any = None,
    key: Any = None,
    train: bool = False,
    iterations: int = 64,
    tolerance: float = 1e-4,
) -> Any:
    """Return the learning rate above which gradient descent on ``batch`` grows: ``2 / lambda_max``.

    ``lambda_max`` is the largest eigenvalue of the Hessian of the loss at ``params``, found from products of
    the Hessian with vectors alone: memory is ``iterations + 1`` times that of the parameters. On a quadratic
    loss the limit is exact; on any other it is that of its quadratic part, which training at a fixed rate
    tends to approach (Cohen et al., 2021, "Gradient descent on neural networks typically occurs at the edge
    of stability"). A factor in the loss is one in the limit: that of half the mean squared error is twice
    that of the mean. The method is Lanczos' (1950), which needs fewer products than power iteration, and
    finds the largest eigenvalue where that finds the largest in magnitude. The Hessian is differentiated in
    reverse mode twice, so that layers with a backward rule of their own work too. Each call traces
    the loss anew, so that it sees what the loss reads from outside.

    Args:
        objective: an ``Objective``, or a function ``(params, batch) -> scalar``.
        params: where the curvature is measured; floating-point arrays of one dtype.
        batch: the data.
        state: state of an objective that has one.
        key: random key of an objective that draws.
        train: whether an objective runs as in training.
        iterations: most products of the Hessian with a vector; as many as there are parameters are exact.
        tolerance: relative error of ``lambda_max`` at which to stop, by Lanczos' own bound.

    Returns:
        A scalar of the dtype of ``params``; ``inf`` where the loss curves upward nowhere.

    Raises:
        TypeError: the loss is not a scalar, or ``params`` hold no or mixed floating-point arrays.
        ValueError: ``iterations`` or ``tolerance`` is not positive; the products were not finite; or, outside
            of ``jit``, ``iterations`` did not reach the tolerance.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxnn import inspect
        >>> def half_square(params, x):
        ...     return jnp.mean((x @ params) ** 2) / 2
        >>> x = jnp.array([[2.0, 0.0], [0.0, 1.0]])
        >>> print(f"{inspect.stability_limit(half_square, jnp.ones(2), x):.4f}")
        1.0000
    """
    iterations = positive_int("stability_limit", "iterations", iterations)
    non_negative("stability_limit", "tolerance", tolerance, positive=True)
    evaluate = scalar_loss("stability_limit", objective, state, key, train)
    _check_params(params)
    params = jax.tree.map(jnp.asarray, params)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))

    # What jit is given lives as long as this call, and with it all that it closes over.
    def run(params: Any, batch: Any, key: Any, tolerance: Any) -> tuple[Any, Any, Any]:
        def loss(params: Any, batch: Any) -> Any:
            return evaluate(params, batch, key)[0]

        return _largest(loss, params, batch, min(iterations, size), tolerance)

    curvature, error, count = jax.jit(run)(params, batch, key, tolerance)
    if not is_traced(curvature):
        _check_result(float(curvature), float(error), int(count), tolerance)
    return jnp.where(curvature > 0, 2 / jnp.where(curvature > 0, curvature, 1), jnp.inf)


def _check_params(params: Any) -> None:
    dtypes = {jnp.result_type(leaf) for leaf in jax.tree.leaves(params)}
    if len(dtypes) != 1 or not jnp.issubdtype(next(iter(dtypes)), jnp.floating):
        raise TypeError(
            f"stability_limit: params must be floating-point arrays of one dtype, got {describe(params)}; "
            "cast them to one"
        )


def _check_result(curvature: float, error: float, count: int, tolerance: float) -> None:
    if not np.isfinite(curvature):
        raise ValueError(
            "stability_limit: the Hessian times a vector is not finite here; look for its cause with "
            "inspect.locate_nonfinite"
        )
    if error > tolerance * abs(curvature):
        raise ValueError(
            f"stability_limit: lambda_max {curvature:.6g} is known to {error:.1g} only after {count} "
            "iterations; raise iterations or tolerance"
        )


def _largest(loss: Any, params: Any, batch: Any, most: int, tolerance: Any) -> tuple[Any, Any, Any]:
    flat, unravel = ravel_pytree(params)
    slope = jax.grad(lambda v: loss(unravel(v), batch))

    def product(v: Any) -> Any:
        return jax.grad(lambda w: jnp.vdot(slope(w), v))(flat)

    # A fixed start: almost every direction has a part along the largest eigenvector.
    start = jax.random.normal(jax.random.key(0), flat.shape, flat.dtype)
    rows = jnp.zeros((most + 1, flat.size), flat.dtype).at[0].set(start / jnp.linalg.norm(start))
    none = jnp.zeros(most, flat.dtype)
    nothing = jnp.zeros((), flat.dtype)
    found = _Basis(rows, none, none, jnp.int32(0), nothing, nothing + np.inf)
    small = jnp.finfo(flat.dtype).eps

    def unsure(basis: _Basis) -> Any:
        bound = jnp.asarray(tolerance, flat.dtype) * jnp.abs(basis.curvature)
        return (basis.count < most) & (basis.error > bound) & jnp.isfinite(basis.curvature)

    def extend(basis: _Basis) -> _Basis:
        i = basis.count
        w = product(basis.rows[i])
        diagonal = basis.diagonal.at[i].set(jnp.vdot(basis.rows[i], w))
        scale = jnp.linalg.norm(w)
        for _ in range(2):
            # Orthogonal to every row, twice: in finite precision once is not enough.
            w = w - basis.rows.T @ (basis.rows @ w)
        length = jnp.linalg.norm(w)
        # Rows that nothing is left beside span an invariant subspace, which holds the eigenvector.
        ended = length <= 10 * small * scale
        length = jnp.where(ended, 0, length)
        row = jnp.where(ended, 0, w / jnp.where(ended, 1, length))
        beside = basis.beside.at[i].set(length)
        curvature, share = _ritz(diagonal, beside, i)
        rows = basis.rows.at[i + 1].set(row)
        return _Basis(rows, diagonal, beside, i + 1, curvature, length * share)

    end = jax.lax.while_loop(unsure, extend, found)
    return end.curvature, end.error, end.count


def _ritz(diagonal: Any, beside: Any, last: Any) -> tuple[Any, Any]:
    """Largest eigenvalue of the tridiagonal's first ``last + 1`` rows, and its vector's last entry."""
    index = jnp.arange(diagonal.size, dtype=jnp.int32)
    # Rows that are not there yet hold a value below all others, and touch none of them.
    reach = jnp.sum(jnp.abs(diagonal)) + 2 * jnp.sum(beside) + 1
    inner = jnp.where(index < last, beside, 0)[:-1]
    matrix = jnp.diag(jnp.where(index <= last, diagonal, -reach)) + jnp.diag(inner, 1) + jnp.diag(inner, -1)
    finite = jnp.all(jnp.isfinite(matrix))
    values, vectors = jnp.linalg.eigh(jnp.where(finite, matrix, 0))
    return jnp.where(finite, values[-1], jnp.nan), jnp.abs(vectors[last, -1])

"""Embeddings: a row of a table for each id (Bengio et al., 2003, "A neural probabilistic language model")."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    Masked,
    Params,
    check_params,
    common_dtype,
    describe,
    filled,
    on_any_mesh,
    positive_int,
    stateless,
)
from jaxnn.layers._affine import Initializer, check_dtype
from jaxnn.layers._ids import split_ids
from jaxnn.ops import embed
from jaxnn.ops._product import product


def unit_rows(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Draw normal rows of expected squared length 1: standard deviation ``1 / sqrt(features)``."""
    return jax.nn.initializers.normal(shape[-1] ** -0.5)(key, shape, dtype)


def embedding(
    num_embeddings: int,
    features: int,
    *,
    tied: bool = False,
    embedding_init: Initializer = unit_rows,
    param_dtype: Any = jnp.float32,
) -> Layer:
    """Look ids up in a table: integers ``[...] -> [..., features]``.

    Parameters: ``embedding`` ``(num_embeddings, features)``. A mask of the ids is kept. Ids outside the table
    raise where their values are known; under ``jit`` they give NaN rows, where Flax, Haiku and Keras silently
    take another row.

    With ``tied=True`` the layer also takes floating-point ``[..., features]`` and gives logits
    ``[..., num_embeddings]``, their products with the rows: the tied output projection of Press and Wolf
    (2017, arXiv:1608.05859). A child that is called twice shares its parameters:

        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> @nn.model(tokens=nn.embedding(100, 8, tied=True), body=nn.dense(8))
        ... def language_model(m, ids):
        ...     return m.tokens(m.body(m.tokens(ids)))
        >>> params, state = language_model.init(jax.random.key(0), jnp.zeros((1, 5), int))
        >>> sorted(params), language_model.apply(params, state, jnp.array([[3, 14, 15]]))[0].shape
        (['body', 'tokens'], (1, 3, 100))

    Args:
        num_embeddings: rows of the table; ids are ``0 .. num_embeddings - 1``.
        features: length of a row.
        tied: whether floating-point inputs are projected on the rows.
        embedding_init: initializer ``(key, shape, dtype)``; normal with variance ``1 / features`` by default.
        param_dtype: dtype of the parameters.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not of integers (or, if tied, floating
            point with ``features``), or known ids outside the table.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.embedding(10, 4)
        >>> params, _ = layer.init(jax.random.key(0), jnp.array([[1, 2]]))
        >>> layer.apply(params, {}, jnp.array([[1, 2, 3]]))[0].shape
        (1, 3, 4)
    """
    count = positive_int("embedding", "num_embeddings", num_embeddings)
    features = positive_int("embedding", "features", features)
    param_dtype = check_dtype("embedding", param_dtype)

    def init(key: Any, x: Any) -> Params:
        check(x)
        return {"embedding": embedding_init(key, (count, features), param_dtype)}

    def projects(x: Any) -> bool:
        value = x.value if isinstance(x, Masked) else x
        return tied and hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating)

    def check(x: Any) -> None:
        value = x.value if isinstance(x, Masked) else x
        if projects(x):
            if value.shape[-1:] != (features,):
                raise ValueError(
                    f"embedding: expected [..., {features}] to project on the rows, got {describe(value)}"
                )
        elif not hasattr(value, "dtype") or not jnp.issubdtype(value.dtype, jnp.integer):
            remedy = (
                "convert ids with ids.astype(jnp.int32)"
                if tied
                else (
                    "convert ids with ids.astype(jnp.int32); pass tied=True to project features on the rows"
                )
            )
            raise TypeError(f"embedding: expected integer ids, got {describe(value)}; {remedy}")

    def apply(params: Params, x: Any) -> Any:
        check(x)
        check_params("embedding", params, {"embedding": (count, features)})
        table = jnp.asarray(params["embedding"])
        if projects(x):
            return project(table, x)
        ids, mask = split_ids("embedding", x, count)
        rows = embed(table, ids)
        return rows if mask is None else Masked(rows, mask)

    def project(table: Any, x: Any) -> Any:
        h = filled(x) if isinstance(x, Masked) else x
        dtype = common_dtype(h.dtype, table.dtype)
        y = product(h.astype(dtype), table.astype(dtype).T)
        return Masked(y, x.mask) if isinstance(x, Masked) else y

    return on_any_mesh(stateless("embedding", init, apply, masked="aware"))


def one_hot(num_classes: int, *, dtype: Any = jnp.float32) -> Layer:
    """Write each id as a unit vector: integers ``[...] -> [..., num_classes]``.

    A mask of the ids is kept. Ids outside the classes raise where their values are known, where
    ``jax.nn.one_hot`` silently gives zeros; under ``jit`` they give zeros here too.

    Args:
        num_classes: length of the vectors.
        dtype: of the vectors.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not of integers, or known ids outside
            the classes.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.one_hot(3).apply({}, {}, jnp.array([2, 0]))[0].tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    count = positive_int("one_hot", "num_classes", num_classes)
    encode = functools.partial(jax.nn.one_hot, num_classes=count, dtype=jnp.dtype(dtype))

    def apply(params: Any, x: Any) -> Any:
        del params
        ids, mask = split_ids("one_hot", x, count)
        return encode(ids) if mask is None else Masked(encode(ids), mask)

    return on_any_mesh(stateless("one_hot", None, apply, masked="aware"))

"""Weights from linen and nnx, and back."""

from collections.abc import Mapping
from typing import Any

from jaxnn.core import Params, State
from jaxnn.interop._flax_moves import Names, flax_moves
from jaxnn.interop._flax_trees import Flat, flax_tree
from jaxnn.interop._leaves import insert


def from_flax(source: Any, model: Any, x: Any, names: Names | None = None) -> tuple[Params, State]:
    """Return the trees of ``model`` with the weights of the Flax model that it equals.

    ``names`` says what each layer is called there; gates and heads follow from the layer's kind. Every layer
    must find its arrays and every array its layer. :func:`check_flax` then asserts equal outputs, gradients
    and new statistics.

    Args:
        source: variables of linen (``module.init(key, x)``), an ``nnx.Module`` or an ``nnx.State``.
        model: our layer, which computes the same.
        x: its input, or specs of it.
        names: a pattern of our path to the module's: ``{"conv_0": "Conv_0", "block_{i}.attention":
            "Encoder_{i+1}.MultiHeadDotProductAttention_0"}``. For a recurrent layer it is the cell's. A layer
            that is not named has its own path as name. What ``repeat`` stacks comes from arrays stacked
            likewise, or from single ones with the hole ``{copy}``. Leaves of your own layers may be mapped
            one by one.

    Returns:
        ``(params, state)`` in the dtypes of the source.

    Raises:
        TypeError: ``source`` is nothing of Flax.
        ValueError: a layer finds no array, an array no layer, a name no layer, or shapes differ.

    Example:
        >>> import flax.linen as linen, jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import interop
        >>> theirs, x = linen.Sequential([linen.Dense(4), linen.LayerNorm()]), jnp.ones((1, 3))
        >>> variables = theirs.init(jax.random.key(0), x)
        >>> names = {"dense_0": "layers_0", "layer_norm_0": "layers_1"}
        >>> params, state = interop.from_flax(variables, nn.chain(nn.dense(4), nn.layer_norm()), x, names)
        >>> sorted(params), params["dense_0"]["kernel"].shape
        (['dense_0', 'layer_norm_0'], (3, 4))
    """
    return from_flat(flax_tree("from_flax", source).leaves, model, x, names)


def to_flax(params: Params, state: State, model: Any, x: Any, like: Any, names: Names | None = None) -> Any:
    """Return the weights of ``model`` as the Flax model that it equals has them.

    The inverse of :func:`from_flax`.

    Args:
        params: our parameters.
        state: our state.
        model: our layer.
        x: its input, or specs of it.
        like: what the weights go into: variables of linen, an ``nnx.Module`` or an ``nnx.State``; arrays or,
            for linen, ``jax.eval_shape(module.init, key, x)``. It stays as it is.
        names: see :func:`from_flax`.

    Returns:
        What ``like`` is, with these weights.

    Raises:
        TypeError: ``like`` is nothing of Flax.
        ValueError: a layer finds no place, a place no layer, shapes differ, or nnx's GRU has no place for a
            ``recurrent_bias`` that is not zero.

    Example:
        >>> import flax.linen as linen, jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import interop
        >>> model, x, theirs = nn.chain(nn.dense(4)), jnp.ones((1, 3)), linen.Dense(4)
        >>> params, state = model.init(jax.random.key(0), x)
        >>> like = jax.eval_shape(theirs.init, jax.random.key(0), x)
        >>> variables = interop.to_flax(params, state, model, x, like, {"dense_0": ""})
        >>> bool((theirs.apply(variables, x) == model.apply(params, state, x)[0]).all())
        True
    """
    tree = flax_tree("to_flax", like)
    found: Flat = {}
    trees = {"params": params, "state": state}
    for move in flax_moves("to_flax", tree.leaves, model, x, names):
        value = trees[move.tree]
        for name in move.ours:
            value = value[name] if isinstance(value, Mapping) and name in value else None
        if value is None:
            raise ValueError(f"to_flax: {move.path}: not in {move.tree}; pass the trees of this model")
        move.write(value, tree.leaves, found)
    left = sorted(set(tree.leaves) - set(found))
    if left:
        raise ValueError(f"to_flax: nothing of this model goes to {', '.join(left[:6])}; map a layer to it")
    return tree.rebuild(found)


def from_flat(leaves: Flat, model: Any, x: Any, names: Names | None) -> tuple[Params, State]:
    """Do what :func:`from_flax` does, from arrays by path."""
    trees: dict[str, Any] = {"params": {}, "state": {}}
    used: set[str] = set()
    for move in flax_moves("from_flax", leaves, model, x, names):
        insert(trees[move.tree], move.ours, move.read(leaves))
        used.update(name for copy in move.theirs for name in copy)
    left = [name for name in leaves if name not in used]
    if left:
        raise ValueError(
            f"from_flax: {len(left)} array(s) belong to no layer of this model: {', '.join(left[:6])}; map a "
            "layer to them"
        )
    return trees["params"], trees["state"]

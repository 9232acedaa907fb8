"""Proof that weights from Flax were carried across right: equal outputs, gradients and statistics."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import lift
from jaxnn.interop._agreement import Agreement, agreement, cotangent, tolerance_for
from jaxnn.interop._flax_call import linen_apply, nnx_apply
from jaxnn.interop._flax_moves import Names
from jaxnn.interop._flax_trees import FlaxTree, flax_tree, is_nnx
from jaxnn.interop._from_flax import from_flat


def check_flax(
    module: Any,
    model: Any,
    x: Any,
    names: Names | None = None,
    *,
    variables: Any = None,
    inputs: Callable[[Any], Any] | None = None,
    outputs: Callable[[Any], Any] | None = None,
    train: bool = False,
    tolerance: float | None = None,
) -> Agreement:
    """Assert that a Flax module and our model compute the same, with the module's weights in both.

    Compared are the outputs, the new statistics in training, and the gradients of a random combination of the
    outputs with respect to the input and to every parameter under Flax's name, for which ours is
    differentiated through :func:`from_flax`.

    Args:
        module: of linen or nnx. It is told whether it trains by an argument of its ``__call__`` named
            ``train``, ``training``, ``is_training``, ``deterministic`` or ``use_running_average`` if it has
            one; of nnx also by ``module.train()`` and ``module.eval()`` of a copy.
        model: our layer.
        x: one array; float64 turns on 64 bits for the comparison.
        names: see :func:`from_flax`.
        variables: of linen; nnx has its own.
        inputs: what makes the module's input of ``x``.
        outputs: what makes an array with the shape of our output of what the module returns.
        train: whether both run in training; without dropout, whose masks can't be equal.
        tolerance: largest relative error; 1e-5 in float32 and 1e-10 in float64 when ``None``.

    Returns:
        The relative error of each array.

    Raises:
        TypeError: ``module`` or ``variables`` are not Flax's.
        ValueError: one of them exceeds the tolerance; or see :func:`from_flax`.
    """
    tree = flax_tree("check_flax", module if is_nnx(module) else variables)
    layer, x = lift(model), np.asarray(x)
    fixed = {path: leaf for path, leaf in tree.leaves.items() if path not in tree.learned}
    with jax.enable_x64(x.dtype == np.float64):
        learned = {path: jnp.asarray(tree.leaves[path]) for path in tree.learned}

        def theirs(learned: Any, x: Any) -> tuple[Any, Any]:
            x = inputs(x) if inputs else x
            y, new = _apply(module, tree, {**fixed, **learned}, x, train)
            return outputs(y) if outputs else y, from_flat(new, layer, x_spec, names)[1]

        def ours(learned: Any, x: Any) -> tuple[Any, Any]:
            params, state = from_flat({**fixed, **learned}, layer, x_spec, names)
            return layer.apply(params, state, x, train=train)

        x_spec = jax.ShapeDtypeStruct(x.shape, x.dtype)
        runs = [jax.jit(_with_gradients(run))(learned, jnp.asarray(x)) for run in (ours, theirs)]
    (a, da, dx_a, state_a), (b, db, dx_b, state_b) = runs
    values = {"output": (a, b)}
    for keys, leaf in jax.tree_util.tree_leaves_with_path(state_a):
        theirs_leaf = state_b
        for key in keys:
            theirs_leaf = theirs_leaf[key.key]
        values["state " + ".".join(str(key.key) for key in keys)] = (leaf, theirs_leaf)
    pairs = {path: (da[path], db[path]) for path in sorted(learned)}
    if dx_a is not None:
        pairs["the input"] = (dx_a, dx_b)
    return agreement("check_flax", values, pairs, tolerance_for(x.dtype, tolerance))


def _with_gradients(run: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[[Any, Any], Any]:
    def both(learned: Any, x: Any) -> Any:
        if jnp.issubdtype(x.dtype, jnp.floating):
            y, pull, state = jax.vjp(run, learned, x, has_aux=True)
            return y, *pull(jnp.asarray(cotangent(y.shape), y.dtype)), state
        y, pull, state = jax.vjp(lambda learned: run(learned, x), learned, has_aux=True)
        return y, *pull(jnp.asarray(cotangent(y.shape), y.dtype)), None, state

    return both


def _apply(module: Any, tree: FlaxTree, leaves: Any, x: Any, train: bool) -> tuple[Any, Any]:
    """Output and all arrays after the call, by path."""
    if is_nnx(module):
        from flax import nnx

        graphdef, state = nnx.split(tree.rebuild(leaves))
        y, after = nnx_apply(graphdef, (state,), x, train)
        return y, flax_tree("check_flax", after).leaves
    whole = tree.rebuild(leaves)
    whole = whole if "params" in whole else {"params": whole}
    rest = {name: collection for name, collection in whole.items() if name != "params"}
    y, rest = linen_apply(module, whole["params"], rest, x, {}, train)
    return y, flax_tree("check_flax", {"params": whole["params"], **rest}).leaves

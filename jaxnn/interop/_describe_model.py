"""What a model is, as text that stands beside its weights."""

import json
from typing import Any

import jax

from jaxnn.core import PlacedLayer, describe, lift, placed_layers, plan_layer, spec_of, tree_specs


def describe_model(model: Any, x: Any) -> dict[str, str]:
    """Return metadata that says what model the weights belong to, for :func:`save_safetensors`.

    A file of weights alone does not tell what to do with them. This names the library and its version, and
    each layer that has no children by path and kind, with its input, output, parameters and state. JSON under
    ``"model"``; nothing in it is ever executed.

    Args:
        model: layer.
        x: its input, or specs of it.

    Example:
        >>> import jax.numpy as jnp, json
        >>> import jaxnn as nn
        >>> from jaxnn import interop
        >>> text = interop.describe_model(nn.chain(nn.dense(2), jax.nn.relu), jnp.ones((1, 3)))
        >>> json.loads(text["model"])[0]["kind"], json.loads(text["model"])[0]["params"]
        ('dense', {'bias': 'float32[2]', 'kernel': 'float32[3, 2]'})
    """
    from jaxnn import __version__

    plan = plan_layer(lift(model), spec_of(x))
    layers = [_row(layer) for layer in placed_layers(plan)]
    return {"library": "jaxnn", "version": __version__, "model": json.dumps(layers)}


def _row(layer: PlacedLayer) -> dict[str, Any]:
    plan = layer.plan
    params, state = tree_specs(plan)
    row: dict[str, Any] = {"path": ".".join(layer.path), "kind": plan.layer.kind}
    row |= {"input": describe(plan.input), "output": describe(plan.output)}
    row |= {"copies": list(layer.copies)} if layer.copies else {}
    for name, tree in (("params", params), ("state", state)):
        leaves = jax.tree_util.tree_leaves_with_path(tree)
        if leaves:
            row[name] = {".".join(str(key.key) for key in keys): describe(leaf) for keys, leaf in leaves}
    return row

"""Weights of a PyTorch model, from its state dict. PyTorch itself is not needed, nor imported."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxnn.core import (
    Params,
    PlacedLayer,
    State,
    describe,
    lift,
    placed_layers,
    plan_layer,
    spec_of,
)
from jaxnn.interop._leaves import insert, stacked, wanted_leaves
from jaxnn.interop._renames import Renames
from jaxnn.interop._torch_rules import Source, Tensor, torch_leaves
from jaxnn.interop._torch_tensors import TorchTensors

Names = Mapping[str, Any]


def from_torch(
    state_dict: Mapping[str, Any],
    model: Any,
    x: Any,
    names: Names | None = None,
    *,
    ignore: tuple[str, ...] = ("*num_batches_tracked",),
) -> tuple[Params, State]:
    """Return the trees of ``model`` with the weights of the PyTorch model that it equals.

    ``names`` says what each layer is called there; transposes follow from the layer's kind: convolutions,
    ``Linear``, embeddings, all norms with their running statistics, ``LSTM``, ``GRU`` and ``RNN`` with their
    gates and two biases, ``MultiheadAttention`` with its joint projection, ``ConvTranspose``, ``PReLU``.
    Every layer must find its tensors and every tensor its layer, with equal shapes, or it is an error that
    names both. :func:`check_torch` then asserts equal outputs and gradients.

    Args:
        state_dict: ``module.state_dict()``; or a dict, flat or nested, of anything that has ``numpy()``, of
            NumPy or of JAX arrays, as :func:`load_safetensors` gives of a file that PyTorch's users publish.
        model: our layer, which computes the same.
        x: its input, or specs of it.
        names: a pattern of our path to the module's name: ``{"conv_0": "features.0", "block_{i}.attention":
            "layers.{i}.self_attn"}``. ``*`` stands for the tensor's own name, ``"lstm.*_l0_reverse"``; it
            comes after a dot where none stands. :class:`AfterFlatten` is for a ``Linear`` after a flattened
            image, :class:`Tensor` for single leaves of your own layers, and the hole ``{copy}`` for what
            ``repeat`` stacks. A layer that is not named has its own path as name.
        ignore: patterns of tensors that need no layer.

    Returns:
        ``(params, state)`` in the dtypes of the tensors; NumPy arrays that share no memory with the module,
        or JAX arrays where such came in, so that it can be differentiated.

    Raises:
        TypeError: a value is not an array.
        ValueError: a layer finds no tensor, a tensor no layer, a name no layer, or shapes differ.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> import jaxnn as nn
        >>> from jaxnn import interop
        >>> weights = {"fc.weight": np.ones((2, 3), np.float32), "fc.bias": np.zeros(2, np.float32)}
        >>> model, x = nn.chain(nn.dense(2)), jnp.ones((1, 3))
        >>> params, state = interop.from_torch(weights, model, x, {"dense_0": "fc"})
        >>> params["dense_0"]["kernel"].shape
        (3, 2)
    """
    tensors = TorchTensors(state_dict)
    renames = Renames("from_torch", names)
    plan = plan_layer(lift(model), spec_of(x))
    layers = list(placed_layers(plan))
    params: Params = {}
    state: State = {}
    for layer in layers:
        specs = wanted_leaves(layer)
        found = _leaves(layer, {name: spec for name, (_, spec) in specs.items()}, renames, tensors)
        for name, (tree, spec) in specs.items():
            value = found[name]
            if value.shape != (*layer.copies, *spec.shape):
                raise ValueError(
                    f"from_torch: {'.'.join((*layer.path, name))}: expected "
                    f"{describe(jax.ShapeDtypeStruct((*layer.copies, *spec.shape), spec.dtype))}, got "
                    f"{describe(value)}; another module, or other sizes"
                )
            insert(params if tree == "params" else state, (*layer.path, *name.split(".")), value)
    renames.check_used(".".join(layer.path) for layer in layers)
    tensors.check_used(ignore)
    return params, state


def _leaves(
    layer: PlacedLayer, wanted: dict[str, Any], renames: Renames, tensors: TorchTensors
) -> dict[str, Any]:
    """Find the leaves of a layer, or of all its copies."""
    if not wanted:
        return {}
    if len(layer.copies) > 1:
        raise ValueError(
            f"from_torch: {'.'.join(layer.path)} is repeated within a repeat, which no name can tell apart"
        )
    if not layer.copies:
        return _copy(layer, wanted, renames, tensors, ())
    each = [_copy(layer, wanted, renames, tensors, (i,)) for i in range(layer.copies[0])]
    return {name: stacked([found[name] for found in each]) for name in wanted}


def _copy(
    layer: PlacedLayer, wanted: dict[str, Any], renames: Renames, tensors: TorchTensors, copy: tuple[int, ...]
) -> dict[str, Any]:
    path = ".".join(layer.path)
    found: dict[str, Any] = {}

    def fetch(name: str) -> Any:
        if name not in tensors:
            raise ValueError(
                f"from_torch: {path or 'the model'} ({layer.plan.layer.kind}): no tensor {name!r}; "
                f"{tensors.nearest(name)}"
            )
        return tensors.fetch(name)

    for leaf in wanted:
        target = renames.exact(f"{path}.{leaf}".lstrip("."), copy)
        if target is not None:
            tensor = Tensor(target) if isinstance(target, str) else target
            value = fetch(tensor.name)
            found[leaf] = value if tensor.permute is None else value.transpose(tensor.permute)
    rest = {leaf: spec for leaf, spec in wanted.items() if leaf not in found}
    if rest:
        source = Source(fetch, tensors.__contains__, renames.find(path, copy))
        by_kind = torch_leaves(layer.plan.layer.kind, rest, source) or {}
        found |= by_kind
        missing = [leaf for leaf in rest if leaf not in by_kind]
        if missing:
            raise ValueError(
                f"from_torch: {path or 'the model'}: no rule tells where a layer of kind "
                f"{layer.plan.layer.kind!r} finds {', '.join(missing)}; map them one by one, as in "
                f"{{'{f'{path}.{missing[0]}'.lstrip('.')}': interop.Tensor('its.name')}}"
            )
    # A copy, because a tensor's numpy() shares memory with the module, which may go on training.
    return {leaf: np.array(v) if isinstance(v, np.ndarray) else v for leaf, v in found.items()}

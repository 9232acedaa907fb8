"""Weights of a PyTorch model, from its state dict. PyTorch itself is not needed, nor imported."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import Params, Plan, State, describe, lift, placed_layers, plan_layer, printable, spec_of
from jaxnn.interop._leaves import insert, stacked
from jaxnn.interop._parts import Part, parts_of
from jaxnn.interop._renames import Renames
from jaxnn.interop._torch_names import AfterFlatten, Tensor
from jaxnn.interop._torch_search import TorchSearch
from jaxnn.interop._torch_tensors import MissingTensorError, TorchTensors

Names = Mapping[str, Any]


class Unmatched(NamedTuple):
    """What ``strict=False`` let pass.

    Attributes:
        missing: our leaves that found no tensor, with the reason, by path; they have their initial value.
        extra: tensors that no layer took.
    """

    missing: dict[str, str]
    extra: tuple[str, ...]

    def __str__(self) -> str:
        missing = [f"initial value kept: {reason}" for reason in self.missing.values()]
        return printable("\n".join([*missing, *(f"not used: {name}" for name in self.extra)]))


def from_torch(
    state_dict: Mapping[str, Any],
    model: Any,
    x: Any,
    names: Names | None = None,
    *,
    ignore: tuple[str, ...] = ("*num_batches_tracked",),
    strict: bool = True,
    initial: Any = None,
    report: Callable[[Unmatched], Any] | None = None,
) -> tuple[Params, State]:
    """Return the trees of ``model`` with the weights of the PyTorch model that it equals.

    ``names`` says what each layer is called there; transposes follow from the layer's kind: convolutions,
    ``Linear``, embeddings, all norms with their running statistics, ``LSTM``, ``GRU`` and ``RNN`` and their
    cells with their gates and two biases, ``MultiheadAttention`` with its joint projection,
    ``ConvTranspose``, ``PReLU``.
    Every layer must find its tensors and every tensor its layer, with equal shapes, or it is an error that
    names both. :func:`check_torch` then asserts equal outputs and gradients.

    Args:
        state_dict: ``module.state_dict()``; or a dict, flat or nested, of anything that has ``numpy()``, of
            NumPy or of JAX arrays, as :func:`load_safetensors` gives of a file that PyTorch's users publish.
        model: our layer, which computes the same.
        x: its input, or specs of it.
        names: a pattern of our path to the module's name: ``{"conv_0": "features.0", "block_{i}.attention":
            "layers.{i}.self_attn"}``. ``*`` stands for the tensor's own name, ``"lstm.*_l0_reverse"``; it
            comes after a dot where none stands. :class:`AfterFlatten` is for what reads a flattened image,
            :class:`Tensor` for single leaves: of your own layers, and parts of fused tensors. The hole
            ``{copy}`` is for what ``repeat`` stacks; a cell of ``nn.stacked_cell`` has a path of its own,
            ``"rnn_0.lstm_cell_{i}"``. A leaf that is mapped itself loses axes of length one in front, which
            published tables of positions have. A layer that is not named has its own path as name.
        ignore: patterns of tensors that need no layer.
        strict: whether every leaf must find its tensor and every tensor its layer. Otherwise leaves without
            one keep their value in ``initial``, and what is left over is dropped. Shapes must fit all the
            same, patterns in ``names`` must name a layer, and one tensor at least must be used.
        initial: where to take what is missing, for ``strict=False``: ``model.init(key, x)``, or the key.
        report: gets the :class:`Unmatched` of ``strict=False``, if there is any; it is printed when ``None``.

    Returns:
        ``(params, state)`` in the dtypes of the tensors, bfloat16 and float8 included; NumPy arrays that
        share no memory with the module, or JAX arrays where such came in, so that it can be differentiated.

    Raises:
        TypeError: a value is not an array, or an argument is of the wrong kind.
        ValueError: a layer finds no tensor, a tensor no layer or only part of one, a name no layer, shapes
            differ, or ``AfterFlatten`` is given for a layer that has nothing for each feature.

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
    _check_options(ignore, strict, initial, report)
    tensors = TorchTensors(state_dict)
    renames = Renames("from_torch", names, (AfterFlatten, Tensor))
    plan = plan_layer(lift(model), spec_of(x))
    layers = list(placed_layers(plan))
    search = TorchSearch(tensors, renames)
    start = None if initial is None else _initial_trees(plan, initial)
    trees: dict[str, Any] = {"params": {}, "state": {}}
    missing: dict[str, str] = {}
    for layer in layers:
        for part in parts_of(layer):
            for leaf, copies in _copies(search, part).items():
                tree, spec = part.leaves[leaf]
                path = (*part.path, *leaf.split("."))
                whole = jax.ShapeDtypeStruct((*part.copies, *spec.shape), spec.dtype)
                lost = [copy for copy in copies if isinstance(copy, MissingTensorError)]
                if lost and strict:
                    raise lost[0]
                if lost:
                    missing[".".join(path)] = str(lost[0]).removeprefix("from_torch: ")
                    kept = _kept(start, tree, path, whole, lost[0])
                    kept = kept if part.copies else [kept]
                    copies = [
                        kept[i] if isinstance(copy, MissingTensorError) else copy
                        for i, copy in enumerate(copies)
                    ]
                value = stacked(copies) if part.copies else copies[0]
                # A copy, because a tensor's numpy() shares memory with the module, which may go on training.
                insert(trees[tree], path, np.array(value) if isinstance(value, np.ndarray) else value)
    renames.check_used(".".join(layer.path) for layer in layers)
    _end(tensors.unused(ignore), missing, tensors.any_used, strict, report)
    return trees["params"], trees["state"]


def _check_options(ignore: Any, strict: Any, initial: Any, report: Any) -> None:
    if isinstance(ignore, str) or not all(isinstance(pattern, str) for pattern in ignore):
        raise TypeError(
            f"from_torch: ignore must be a tuple of patterns, got {ignore!r}; write ({ignore!r},)"
        )
    if not isinstance(strict, bool):
        raise TypeError(f"from_torch: strict must be a bool, got {describe(strict)}")
    if strict and (initial is not None or report is not None):
        raise ValueError("from_torch: initial and report are for strict=False; pass it, or leave them out")


def _initial_trees(plan: Plan, initial: Any) -> dict[str, Any]:
    if hasattr(initial, "dtype") and jnp.issubdtype(initial.dtype, jax.dtypes.prng_key):
        initial = plan.build(initial)
    if not isinstance(initial, tuple) or len(initial) != 2:
        raise TypeError(
            f"from_torch: initial must be (params, state), as model.init(key, x) gives, or a key, got "
            f"{describe(initial)}"
        )
    return dict(zip(("params", "state"), initial, strict=True))


def _kept(start: Any, tree: str, path: tuple[str, ...], spec: Any, lost: Exception) -> Any:
    """Return the initial value of a leaf that was not found."""
    if start is None:
        raise ValueError(f"{lost}; or pass initial=model.init(key, x), from which it is taken") from lost
    value = start[tree]
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None or value.shape != spec.shape:
        raise ValueError(
            f"from_torch: {'.'.join(path)}: expected {describe(spec)} in initial, got {describe(value)}; "
            "pass model.init(key, x) of this model"
        )
    return value


def _copies(search: TorchSearch, part: Part) -> dict[str, list[Any]]:
    """Find the leaves of a part in each of its copies."""
    if len(part.copies) > 1:
        raise ValueError(f"from_torch: {part.name} is repeated within a repeat, which no name can tell apart")
    each = [(i,) for i in range(part.copies[0])] if part.copies else [()]
    found = [search.find(part, copy) for copy in each]
    return {leaf: [copy[leaf] for copy in found] for leaf in found[0]}


def _end(extra: dict[str, str], missing: dict[str, str], any_used: bool, strict: bool, report: Any) -> None:
    """Say what was left over."""
    shown = [f"{name}{how}" for name, how in extra.items()]
    if strict and extra:
        raise ValueError(
            f"from_torch: {len(extra)} tensor(s) belong to no layer of this model: {', '.join(shown[:6])}; "
            "map a layer to them, or list them in ignore"
        )
    if not strict and missing and not any_used:
        raise ValueError(
            f"from_torch: no layer of this model found a tensor ({next(iter(missing.values()))}); see names"
        )
    if missing or extra:
        (report or print)(Unmatched(missing, tuple(extra)))

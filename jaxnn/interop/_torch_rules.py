"""How each kind of layer finds its leaves among the tensors of the PyTorch module that it equals.

PyTorch keeps kernels as ``(out, in, *space)`` and images channels first; recurrent layers have two biases
that are added up; attention stacks the projections of queries, keys and values.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from jaxnn.interop._leaves import joined, without_leading
from jaxnn.interop._torch_names import AfterFlatten

# A leaf is found when its function is called, so that one which is missing says nothing about the others.
Leaves = dict[str, Callable[[], Any]]


class Source:
    """The tensors of one module, by their own names; ``taken`` are those that were asked for."""

    def __init__(self, fetch: Callable[[str], Any], known: Callable[[str], bool], target: Any) -> None:
        self._fetch, self._known = fetch, known
        self._flattened = tuple(target.shape) if isinstance(target, AfterFlatten) else None
        self._template = target.name if isinstance(target, AfterFlatten) else target

    def name(self, tensor: str) -> str:
        """Return the whole name of a tensor: ``"lstm.*_l0"`` and ``"lstm"`` are both allowed."""
        template = self._template
        if not tensor:
            return template
        return template.replace("*", tensor) if "*" in template else f"{template}.{tensor}".lstrip(".")

    def __call__(self, tensor: str) -> Any:
        return self._fetch(self.name(tensor))

    def __contains__(self, tensor: str) -> bool:
        return self._known(self.name(tensor))

    def features(self, tensor: str, axis: int = 0) -> Any:
        """Return a tensor with the features on ``axis`` in our order, if they are those of a flattened image.

        Raises:
            ValueError: the image has other features.
        """
        value = self(tensor)
        if self._flattened is None:
            return value
        count = prod(self._flattened)
        if value.shape[axis] != count:
            raise ValueError(
                f"AfterFlatten says {self._flattened}, {count} features, and {self.name(tensor)} has "
                f"{value.shape[axis]}"
            )
        # Images are flattened channels last here.
        order = np.moveaxis(np.arange(count).reshape(self._flattened), 0, -1).reshape(-1)
        return value[(slice(None),) * axis + (order,)]


def torch_leaves(kind: str, wanted: Mapping[str, Any], source: Source) -> Leaves:
    """Return how to find the leaves called ``wanted`` (with their specs), as far as rules know ``kind``."""
    if kind in _FEATURES:
        return {
            leaf: lambda leaf=leaf: source.features(_FEATURES[kind][leaf])
            for leaf in wanted
            if leaf in _FEATURES[kind]
        }
    if kind in _EQUAL:
        return {leaf: lambda leaf=leaf: source(_EQUAL[kind][leaf]) for leaf in wanted if leaf in _EQUAL[kind]}
    return _RULES[kind](wanted, source) if kind in _RULES else {}


def reads_features(kind: str) -> bool:
    """Whether ``AfterFlatten`` tells something about a layer."""
    return kind in ("dense", "prelu", "lstm", "gru", "simple_rnn") or kind in _FEATURES


_AFFINE = {"scale": "weight", "bias": "bias"}
_FEATURES = {
    "batch_norm": {**_AFFINE, "mean": "running_mean", "var": "running_var"},
    "layer_norm": _AFFINE,
    "rms_norm": _AFFINE,
}
_EQUAL = {"group_norm": _AFFINE, "instance_norm": _AFFINE, "embedding": {"embedding": "weight"}}


def _dense(_wanted: Mapping[str, Any], source: Source) -> Leaves:
    return {"kernel": lambda: source.features("weight", 1).T, "bias": lambda: source("bias")}


def _conv(_wanted: Mapping[str, Any], source: Source) -> Leaves:
    def kernel() -> Any:
        weight = source("weight")
        return weight.transpose(*range(2, weight.ndim), 1, 0)

    return {"kernel": kernel, "bias": lambda: source("bias")}


def _conv_transpose(wanted: Mapping[str, Any], source: Source) -> Leaves:
    def kernel() -> Any:
        weight = source("weight")
        space = tuple(range(2, weight.ndim))
        # PyTorch flips the kernel and keeps it as (in, out / groups, *space).
        flipped = weight[(slice(None), slice(None), *(slice(None, None, -1),) * len(space))]
        features = wanted["kernel"].shape[-1]
        blocks = flipped.reshape(features // weight.shape[1], -1, *weight.shape[1:])
        found = blocks.transpose(*(axis + 1 for axis in space), 1, 0, 2)
        return found.reshape(*found.shape[:-2], features)

    return {"kernel": kernel, "bias": lambda: source("bias")}


def _recurrent(wanted: Mapping[str, Any], source: Source) -> Leaves:
    """Gates stand in one order in both libraries: LSTM i f g o, GRU r z n."""

    def bias() -> Any:
        first, second = source("bias_ih"), source("bias_hh")
        if "recurrent_bias" not in wanted:
            return first + second
        # The candidate's second bias is multiplied by the reset gate, so it can't be added to the first.
        gates = first.shape[0] - wanted["recurrent_bias"].shape[-1]
        return joined([first[:gates] + second[:gates], first[gates:]], 0)

    def recurrent_bias() -> Any:
        second = source("bias_hh")
        return second[second.shape[0] - wanted["recurrent_bias"].shape[-1] :]

    return {
        "input_kernel": lambda: source.features("weight_ih", 1).T,
        "recurrent_kernel": lambda: source("weight_hh").T,
        "bias": bias,
        "recurrent_bias": recurrent_bias,
    }


def _attention(wanted: Mapping[str, Any], source: Source) -> Leaves:
    parts = ("query", "key", "value")
    widths = [wanted[f"{part}.kernel"].shape[-1] for part in parts]

    def third(stacked: Any, part: str) -> Any:
        if stacked.shape[0] != sum(widths):
            raise ValueError(f"expected {sum(widths)} rows of queries, keys and values")
        start = sum(widths[: parts.index(part)])
        return stacked[start : start + widths[parts.index(part)]]

    def kernel(part: str) -> Any:
        joint = "in_proj_weight" in source or f"{part[0]}_proj_weight" not in source
        return (third(source("in_proj_weight"), part) if joint else source(f"{part[0]}_proj_weight")).T

    found: Leaves = {f"{part}.kernel": lambda part=part: kernel(part) for part in parts}
    found |= {f"{part}.bias": lambda part=part: third(source("in_proj_bias"), part) for part in parts}
    found["output.kernel"] = lambda: source("out_proj.weight").T
    found["output.bias"] = lambda: source("out_proj.bias")
    return found


def _prelu(wanted: Mapping[str, Any], source: Source) -> Leaves:
    def slope() -> Any:
        shape = wanted["negative_slope"].shape
        return source.features("weight") if shape else source("weight").reshape(shape)

    return {"negative_slope": slope}


def _positions(_wanted: Mapping[str, Any], source: Source) -> Leaves:
    """A tensor, ``(1, length, features)`` or without the first axis, or the weight of an ``Embedding``."""

    def table() -> Any:
        bare = "weight" not in source and "" in source
        return without_leading(source("" if bare else "weight"), 2)

    return {"embedding": table}


_RULES: dict[str, Callable[[Mapping[str, Any], Source], Leaves]] = {
    "dense": _dense,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "lstm": _recurrent,
    "gru": _recurrent,
    "simple_rnn": _recurrent,
    "attention": _attention,
    "prelu": _prelu,
    "positional_embedding": _positions,
}

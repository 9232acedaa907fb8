"""How each kind of layer finds its leaves among the tensors of the PyTorch module that it equals.

PyTorch keeps kernels as ``(out, in, *space)`` and images channels first; recurrent layers have two biases
that are added up; attention stacks the projections of queries, keys and values.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxnn.interop._leaves import joined

Leaves = dict[str, Any]


class AfterFlatten(NamedTuple):
    """A PyTorch ``Linear`` that reads a flattened image, whose channels came first.

    Attributes:
        name: of the module in the state dict, as ``"classifier.0"``.
        shape: of what was flattened, ``(channels, *space)``.

    Example:
        >>> from jaxnn import interop
        >>> names = {"conv_0": "features.0", "dense_0": interop.AfterFlatten("classifier", (16, 5, 5))}
    """

    name: str
    shape: tuple[int, ...]


class Tensor(NamedTuple):
    """One tensor, for one leaf of a layer that no rule knows.

    Attributes:
        name: of the tensor in the state dict.
        permute: the order in which its axes become ours; as they are when ``None``.

    Example:
        >>> from jaxnn import interop
        >>> names = {"gate_0.scale": interop.Tensor("blocks.0.gamma", permute=(1, 0))}
    """

    name: str
    permute: tuple[int, ...] | None = None


class Source:
    """The tensors of one module, by their own names."""

    def __init__(self, fetch: Callable[[str], Any], known: Callable[[str], bool], target: Any) -> None:
        self._fetch, self._known = fetch, known
        self.flattened = target.shape if isinstance(target, AfterFlatten) else None
        self._template = target.name if isinstance(target, AfterFlatten) else target

    def name(self, tensor: str) -> str:
        """Return the whole name of a tensor: ``"lstm.*_l0"`` and ``"lstm"`` are both allowed."""
        template = self._template
        return template.replace("*", tensor) if "*" in template else f"{template}.{tensor}".lstrip(".")

    def __call__(self, tensor: str) -> Any:
        return self._fetch(self.name(tensor))

    def __contains__(self, tensor: str) -> bool:
        return self._known(self.name(tensor))


def torch_leaves(kind: str, wanted: Mapping[str, Any], source: Source) -> Leaves | None:
    """Return the leaves called ``wanted`` (with their specs), or ``None`` if no rule knows ``kind``."""
    if kind in _EQUAL:
        return {leaf: source(_EQUAL[kind][leaf]) for leaf in wanted if leaf in _EQUAL[kind]}
    rule = _RULES.get(kind)
    return None if rule is None else rule(wanted, source)


_AFFINE = {"scale": "weight", "bias": "bias"}
_EQUAL = {
    "batch_norm": {**_AFFINE, "mean": "running_mean", "var": "running_var"},
    "layer_norm": _AFFINE,
    "group_norm": _AFFINE,
    "instance_norm": _AFFINE,
    "rms_norm": _AFFINE,
    "embedding": {"embedding": "weight"},
    "positional_embedding": {"embedding": "weight"},
}


def _dense(wanted: Mapping[str, Any], source: Source) -> Leaves:
    weight = source("weight")
    if source.flattened is not None:
        channels, *space = source.flattened
        # Images are flattened channels last here: (out, C, *space) becomes (*space, C, out).
        weight = weight.reshape(weight.shape[0], channels, *space)
        weight = _channels_last(weight).reshape(-1, weight.shape[0])
        return {"kernel": weight, **_bias(wanted, source)}
    return {"kernel": weight.T, **_bias(wanted, source)}


def _conv(wanted: Mapping[str, Any], source: Source) -> Leaves:
    return {"kernel": _channels_last(source("weight")), **_bias(wanted, source)}


def _conv_transpose(wanted: Mapping[str, Any], source: Source) -> Leaves:
    weight = source("weight")
    space = tuple(range(2, weight.ndim))
    # PyTorch flips the kernel and keeps it as (in, out / groups, *space).
    flipped = weight[(slice(None), slice(None), *(slice(None, None, -1),) * len(space))]
    features = wanted["kernel"].shape[-1]
    blocks = flipped.reshape(features // weight.shape[1], -1, *weight.shape[1:])
    kernel = blocks.transpose(*(axis + 1 for axis in space), 1, 0, 2)
    return {"kernel": kernel.reshape(*kernel.shape[:-2], features), **_bias(wanted, source)}


def _channels_last(weight: Any) -> Any:
    """``(out, in, *space) -> (*space, in, out)``."""
    return weight.transpose(*range(2, weight.ndim), 1, 0)


def _bias(wanted: Mapping[str, Any], source: Source) -> Leaves:
    return {"bias": source("bias")} if "bias" in wanted else {}


def _recurrent(wanted: Mapping[str, Any], source: Source) -> Leaves:
    """Gates stand in one order in both libraries: LSTM i f g o, GRU r z n."""
    found = {"input_kernel": source("weight_ih").T, "recurrent_kernel": source("weight_hh").T}
    if "bias" in wanted:
        first, second = source("bias_ih"), source("bias_hh")
        found["bias"] = first + second
        if "recurrent_bias" in wanted:
            # The candidate's second bias is multiplied by the reset gate, so it can't be added to the first.
            gates = first.shape[0] - wanted["recurrent_bias"].shape[-1]
            found["bias"] = joined([found["bias"][:gates], first[gates:]], 0)
            found["recurrent_bias"] = second[gates:]
    return found


def _attention(wanted: Mapping[str, Any], source: Source) -> Leaves:
    parts = ("query", "key", "value")
    if "in_proj_weight" in source:
        kernels = _split(source("in_proj_weight"), wanted, parts)
    else:
        kernels = [source(f"{part[0]}_proj_weight") for part in parts]
    found = {f"{part}.kernel": kernel.T for part, kernel in zip(parts, kernels, strict=True)}
    found["output.kernel"] = source("out_proj.weight").T
    if "query.bias" in wanted:
        biases = _split(source("in_proj_bias"), wanted, parts)
        found |= {f"{part}.bias": bias for part, bias in zip(parts, biases, strict=True)}
        found["output.bias"] = source("out_proj.bias")
    return found


def _split(stacked: Any, wanted: Mapping[str, Any], parts: tuple[str, ...]) -> list[Any]:
    pieces, start = [], 0
    for part in parts:
        width = wanted[f"{part}.kernel"].shape[-1]
        pieces.append(stacked[start : start + width])
        start += width
    return pieces


def _prelu(wanted: Mapping[str, Any], source: Source) -> Leaves:
    return {"negative_slope": source("weight").reshape(wanted["negative_slope"].shape)}


_RULES: dict[str, Callable[[Mapping[str, Any], Source], Leaves]] = {
    "dense": _dense,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "lstm": _recurrent,
    "gru": _recurrent,
    "simple_rnn": _recurrent,
    "attention": _attention,
    "prelu": _prelu,
}

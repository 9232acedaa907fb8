"""How each kind of layer finds its leaves in the Flax module that it equals.

Kernels have one layout in both libraries, but for heads of attention on axes of their own, and for gates of
recurrent cells in arrays of their own (linen's cells and nnx's ``LSTMCell``) or in one (nnx's others).
"""

from collections.abc import Callable, Iterable
from typing import Any

Has = Callable[[str], bool]
# For each leaf of ours, theirs whose last axes are joined to it; an empty tuple where they have none: zeros.
Moves = dict[str, tuple[str, ...]]

_SAME = {
    "dense": ("kernel", "bias"),
    "conv": ("kernel", "bias"),
    "conv_transpose": ("kernel", "bias"),
    "batch_norm": ("scale", "bias", "mean", "var"),
    "layer_norm": ("scale", "bias"),
    "rms_norm": ("scale",),
    "group_norm": ("scale", "bias"),
    "instance_norm": ("scale", "bias"),
    "embedding": ("embedding",),
    "positional_embedding": ("embedding",),
    "prelu": ("negative_slope",),
}
# Ours stand in the order of our kernel.
_GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "simple_rnn": ("",)}


def kind_moves(kind: str, wanted: Iterable[str], has: Has) -> Moves | None:
    """Return where the leaves called ``wanted`` stand, or ``None`` if no rule knows ``kind``."""
    if kind in _SAME:
        moves: Moves = {name: (name,) for name in _SAME[kind]}
    elif kind == "attention":
        parts = {"query": "query", "key": "key", "value": "value", "output": "out"}
        moves = {f"{o}.{leaf}": (f"{t}.{leaf}",) for o, t in parts.items() for leaf in ("kernel", "bias")}
    elif kind in _GATES:
        moves = _recurrent(kind, has)
    else:
        return None
    return {leaf: moves[leaf] for leaf in wanted if leaf in moves}


def _recurrent(kind: str, has: Has) -> Moves:
    if has("dense_i.kernel"):
        # nnx: linen's biases, but that the GRU has none beside its recurrent product.
        bias = "dense_h.bias" if kind == "lstm" else "dense_i.bias"
        moves: Moves = {"input_kernel": ("dense_i.kernel",), "recurrent_kernel": ("dense_h.kernel",)}
        return moves | {"bias": (bias,), "recurrent_bias": ()}

    def gates(side: str, leaf: str) -> tuple[str, ...]:
        names = (f"{side}{gate}" for gate in _GATES[kind])
        # "if" is a word of Python, so nnx calls that gate "if_".
        return tuple(f"{name}_.{leaf}" if has(f"{name}_.{leaf}") else f"{name}.{leaf}" for name in names)

    moves = {"input_kernel": gates("i", "kernel"), "recurrent_kernel": gates("h", "kernel")}
    return moves | {"bias": gates("h" if kind == "lstm" else "i", "bias"), "recurrent_bias": ("hn.bias",)}


def merges_axes(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether ``into`` is ``shape`` with neighbouring axes merged, so that a reshape moves nothing.

    Example:
        >>> merges_axes((8, 2, 4), (8, 8)), merges_axes((3, 2), (2, 3))
        (True, False)
    """
    rest = list(shape)
    for extent in into:
        size = rest.pop(0) if rest else 1
        while size < extent and rest:
            size *= rest.pop(0)
        if size != extent:
            return False
    return all(extent == 1 for extent in rest)


def widths(parts: tuple[Any, ...]) -> list[int]:
    """Where to cut our last axis into arrays with these shapes."""
    cuts, last = [], 0
    for part in parts[:-1]:
        last += part.shape[-1]
        cuts.append(last)
    return cuts

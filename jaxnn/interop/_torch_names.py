"""What a map of names can say beside a module's name."""

from typing import Any, NamedTuple


class AfterFlatten(NamedTuple):
    """A PyTorch module that reads a flattened image, whose channels came first.

    For every layer between the flatten and the first ``dense`` layer, that one included: ``dense``,
    ``lstm``, ``gru`` and ``simple_rnn`` (what they read is put in our order), ``batch_norm``,
    ``layer_norm``, ``rms_norm`` and ``prelu`` (all that they have for each feature). Other kinds are refused.

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
    """One tensor, or a part of one, for one leaf.

    For leaves of layers that no rule knows, and for tensors in which several layers' weights are fused: what
    no leaf takes of such a tensor is an error like a tensor that no layer takes.

    Attributes:
        name: of the tensor in the state dict.
        permute: the order in which its axes become ours; as they are when ``None``.
        index: the part that is taken, as NumPy indexes it, before its axes are permuted: ``0``,
            ``np.s_[8:16]``, ``np.s_[:, :8]``; all of it when ``None``.

    Example:
        >>> import numpy as np
        >>> from jaxnn import interop
        >>> names = {
        ...     "gate_0.scale": interop.Tensor("blocks.0.gamma", permute=(1, 0)),
        ...     "query.kernel": interop.Tensor("attention.in_proj_weight", (1, 0), np.s_[:8]),
        ... }
    """

    name: str
    permute: tuple[int, ...] | None = None
    index: Any = None

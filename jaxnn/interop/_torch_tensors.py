"""A state dict as arrays. PyTorch is not imported: tensors are whatever has ``numpy()``."""

import fnmatch
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxnn.core import describe, nearest


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Names joined with dots, as a state dict has them, from nested dicts too."""
    flat: dict[str, Any] = {}
    for name, node in tree.items():
        flat |= _flat(node, f"{prefix}{name}.") if isinstance(node, Mapping) else {f"{prefix}{name}": node}
    return flat


class TorchTensors:
    """The state dict as arrays, and which of them were used."""

    def __init__(self, state_dict: Mapping[str, Any]) -> None:
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"from_torch: expected a state dict, got {describe(state_dict)}; pass module.state_dict()"
            )
        self._tensors = _flat(state_dict)
        self._used: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def fetch(self, name: str) -> Any:
        """Return a tensor as an array, and remember that it was used."""
        self._used.add(name)
        value = self._tensors[name]
        if isinstance(value, np.ndarray | jax.Array):
            return value
        for step in ("detach", "cpu"):
            value = getattr(value, step)() if hasattr(value, step) else value
        if not hasattr(value, "numpy"):
            raise TypeError(f"from_torch: {name}: expected a tensor or an array, got {describe(value)}")
        try:
            return np.asarray(value.numpy())
        except TypeError as error:
            raise TypeError(f"from_torch: {name}: {error}; convert it first, as in tensor.float()") from error

    def nearest(self, name: str) -> str:
        """Say which tensors there are, and which resembles ``name``."""
        return nearest(name, self._tensors)

    def check_used(self, ignore: tuple[str, ...]) -> None:
        """Raise if tensors were not used that no pattern of ``ignore`` names."""
        left = [
            name
            for name in self._tensors
            if name not in self._used and not any(fnmatch.fnmatchcase(name, pattern) for pattern in ignore)
        ]
        if left:
            raise ValueError(
                f"from_torch: {len(left)} tensor(s) belong to no layer of this model: {', '.join(left[:6])}; "
                "map a layer to them, or list them in ignore"
            )

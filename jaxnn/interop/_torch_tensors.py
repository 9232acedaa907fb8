"""A state dict as arrays. PyTorch is not imported: tensors are whatever has ``numpy()``."""

import fnmatch
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import describe, nearest

# Dtypes that ``numpy()`` of PyTorch refuses; they are carried by their bits.
_BY_BITS = {
    f"torch.{name}": getattr(jnp, name).dtype
    for name in (
        "bfloat16",
        "float8_e4m3fn",
        "float8_e4m3fnuz",
        "float8_e5m2",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
    )
}


class MissingTensorError(ValueError):
    """The state dict has no tensor of a name."""


def array_of(owner: str, name: str, value: Any) -> Any:
    """Return a tensor as an array of its own dtype, which JAX has for all of PyTorch's floats.

    Raises:
        TypeError: it is none, or has no plain values.
    """
    if isinstance(value, np.ndarray | jax.Array):
        return value
    if not hasattr(value, "numpy"):
        raise TypeError(f"{owner}: {name}: expected a tensor or an array, got {describe(value)}")
    try:
        for step in ("detach", "cpu", "resolve_conj", "resolve_neg"):
            value = getattr(value, step)() if hasattr(value, step) else value
        dtype = _BY_BITS.get(str(getattr(value, "dtype", None)))
        if dtype is not None:
            # Whoever has such a tensor has imported its library.
            torch = sys.modules["torch"]
            return value.view(torch.uint8 if dtype.itemsize == 1 else torch.int16).numpy().view(dtype)
        return np.asarray(value.numpy())
    except (TypeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise TypeError(f"{owner}: {name}: {reason}; convert it first, as in tensor.float()") from error


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Names joined with dots, as a state dict has them, from nested dicts too."""
    flat: dict[str, Any] = {}
    for name, node in tree.items():
        flat |= _flat(node, f"{prefix}{name}.") if isinstance(node, Mapping) else {f"{prefix}{name}": node}
    return flat


class TorchTensors:
    """The state dict as arrays, and how much of each was used."""

    def __init__(self, state_dict: Mapping[str, Any]) -> None:
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"from_torch: expected a state dict, got {describe(state_dict)}; pass module.state_dict()"
            )
        self._tensors = _flat(state_dict)
        self._used: set[str] = set()
        self._parts: dict[str, np.ndarray] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def fetch(self, name: str) -> Any:
        """Return a tensor as an array.

        Raises:
            MissingTensorError: there is none; the message names the nearest.
        """
        if name not in self._tensors:
            raise MissingTensorError(f"no tensor {name!r}; {nearest(name, self._tensors)}")
        return array_of("from_torch", name, self._tensors[name])

    def use(self, name: str, index: Any = None) -> None:
        """Remember that a tensor was used, all of it or what stands at ``index``."""
        if index is None:
            self._used.add(name)
        else:
            part = self._parts.setdefault(name, np.zeros(np.shape(self._tensors[name]), bool))
            part[index] = True

    def unused(self, ignore: tuple[str, ...]) -> dict[str, str]:
        """Return the tensors that were not used that no pattern of ``ignore`` names, and how much is left."""
        left = {name: "" for name in self._tensors if name not in self._used}
        for name, part in self._parts.items():
            if name in left and part.all():
                del left[name]
            elif name in left:
                left[name] = f" ({part.size - part.sum()} of {part.size} numbers)"
        return {
            name: how
            for name, how in left.items()
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in ignore)
        }

    @property
    def any_used(self) -> bool:
        """Whether a layer took anything."""
        return bool(self._used or self._parts)

"""Weights to and from other formats. Each format's library loads on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxnn.interop._safetensors import load_safetensors as load_safetensors
    from jaxnn.interop._safetensors import save_safetensors as save_safetensors

_HOMES = {"load_safetensors": "_safetensors", "save_safetensors": "_safetensors"}

__all__ = ["load_safetensors", "save_safetensors"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

"""Weights and models to and from other formats and libraries, each of which loads on first use."""

from typing import TYPE_CHECKING

from jaxnn._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from jaxnn.interop._agreement import Agreement as Agreement
    from jaxnn.interop._check_flax import check_flax as check_flax
    from jaxnn.interop._check_torch import check_torch as check_torch
    from jaxnn.interop._describe_model import describe_model as describe_model
    from jaxnn.interop._export_model import export_model as export_model
    from jaxnn.interop._flax_layer import flax_layer as flax_layer
    from jaxnn.interop._from_flax import from_flax as from_flax
    from jaxnn.interop._from_flax import to_flax as to_flax
    from jaxnn.interop._from_torch import Unmatched as Unmatched
    from jaxnn.interop._from_torch import from_torch as from_torch
    from jaxnn.interop._load_safetensors import load_metadata as load_metadata
    from jaxnn.interop._load_safetensors import load_safetensors as load_safetensors
    from jaxnn.interop._save_safetensors import save_safetensors as save_safetensors
    from jaxnn.interop._torch_names import AfterFlatten as AfterFlatten
    from jaxnn.interop._torch_names import Tensor as Tensor

_HOMES = {
    "AfterFlatten": "jaxnn.interop._torch_names",
    "Agreement": "jaxnn.interop._agreement",
    "Tensor": "jaxnn.interop._torch_names",
    "Unmatched": "jaxnn.interop._from_torch",
    "check_flax": "jaxnn.interop._check_flax",
    "check_torch": "jaxnn.interop._check_torch",
    "describe_model": "jaxnn.interop._describe_model",
    "export_model": "jaxnn.interop._export_model",
    "flax_layer": "jaxnn.interop._flax_layer",
    "from_flax": "jaxnn.interop._from_flax",
    "from_torch": "jaxnn.interop._from_torch",
    "load_metadata": "jaxnn.interop._load_safetensors",
    "load_safetensors": "jaxnn.interop._load_safetensors",
    "save_safetensors": "jaxnn.interop._save_safetensors",
    "to_flax": "jaxnn.interop._from_flax",
}

__getattr__, __dir__ = _lazy_exports(__name__, _HOMES)

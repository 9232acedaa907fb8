"""Composition: layers made of layers."""

from typing import TYPE_CHECKING

from jaxnn._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from jaxnn.compose._bidirectional import bidirectional as bidirectional
    from jaxnn.compose._chain import chain as chain
    from jaxnn.compose._decoding_cell import decoding_cell as decoding_cell
    from jaxnn.compose._generate import generate as generate
    from jaxnn.compose._model import model as model
    from jaxnn.compose._parallel import branch as branch
    from jaxnn.compose._parallel import parallel as parallel
    from jaxnn.compose._repeat import repeat as repeat
    from jaxnn.compose._residual import residual as residual
    from jaxnn.compose._spectral_norm import spectral_norm as spectral_norm
    from jaxnn.compose._transformer_block import transformer_block as transformer_block
    from jaxnn.compose._wrap import cast as cast
    from jaxnn.compose._wrap import mode as mode
    from jaxnn.compose._wrap import remat as remat

_HOMES = {
    "bidirectional": "jaxnn.compose._bidirectional",
    "branch": "jaxnn.compose._parallel",
    "cast": "jaxnn.compose._wrap",
    "chain": "jaxnn.compose._chain",
    "decoding_cell": "jaxnn.compose._decoding_cell",
    "generate": "jaxnn.compose._generate",
    "mode": "jaxnn.compose._wrap",
    "model": "jaxnn.compose._model",
    "parallel": "jaxnn.compose._parallel",
    "remat": "jaxnn.compose._wrap",
    "repeat": "jaxnn.compose._repeat",
    "residual": "jaxnn.compose._residual",
    "spectral_norm": "jaxnn.compose._spectral_norm",
    "transformer_block": "jaxnn.compose._transformer_block",
}

__getattr__, __dir__ = _lazy_exports(__name__, _HOMES)

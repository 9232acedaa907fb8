"""Surgery on trained models: parts by path, low-rank adapters, differences between two trees."""

from typing import TYPE_CHECKING

from jaxnn._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from jaxnn.surgery._difference import Difference as Difference
    from jaxnn.surgery._difference import LeafDifference as LeafDifference
    from jaxnn.surgery._difference import difference as difference
    from jaxnn.surgery._lora import AdaptedLayer as AdaptedLayer
    from jaxnn.surgery._lora import lora as lora
    from jaxnn.surgery._paths import get as get
    from jaxnn.surgery._paths import put as put
    from jaxnn.surgery._paths import replace as replace

_HOMES = {
    "AdaptedLayer": "jaxnn.surgery._lora",
    "Difference": "jaxnn.surgery._difference",
    "LeafDifference": "jaxnn.surgery._difference",
    "difference": "jaxnn.surgery._difference",
    "get": "jaxnn.surgery._paths",
    "lora": "jaxnn.surgery._lora",
    "put": "jaxnn.surgery._paths",
    "replace": "jaxnn.surgery._paths",
}

__getattr__, __dir__ = _lazy_exports(__name__, _HOMES)

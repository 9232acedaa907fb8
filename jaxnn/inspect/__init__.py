"""Looking inside a model without changing it."""

from typing import TYPE_CHECKING

from jaxnn._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from jaxnn.inspect._backprop_trace import BackpropTrace as BackpropTrace
    from jaxnn.inspect._backprop_trace import LayerTrace as LayerTrace
    from jaxnn.inspect._backprop_trace import backprop_trace as backprop_trace
    from jaxnn.inspect._computation_graph import computation_graph as computation_graph
    from jaxnn.inspect._draw import draw as draw
    from jaxnn.inspect._gradient_flow import gradient_flow as gradient_flow
    from jaxnn.inspect._gradient_noise_scale import NoiseScale as NoiseScale
    from jaxnn.inspect._gradient_noise_scale import gradient_noise_scale as gradient_noise_scale
    from jaxnn.inspect._graph import Graph as Graph
    from jaxnn.inspect._graph import Node as Node
    from jaxnn.inspect._intermediates import intermediates as intermediates
    from jaxnn.inspect._locate_nonfinite import NonFinite as NonFinite
    from jaxnn.inspect._locate_nonfinite import locate_nonfinite as locate_nonfinite
    from jaxnn.inspect._lr_range import LrRange as LrRange
    from jaxnn.inspect._lr_range import lr_range as lr_range
    from jaxnn.inspect._per_example_gradients import per_example_gradients as per_example_gradients
    from jaxnn.inspect._stability_limit import stability_limit as stability_limit
    from jaxnn.inspect._summary import Row as Row
    from jaxnn.inspect._summary import Summary as Summary
    from jaxnn.inspect._summary import summary as summary

_HOMES = {
    "BackpropTrace": "jaxnn.inspect._backprop_trace",
    "Graph": "jaxnn.inspect._graph",
    "LayerTrace": "jaxnn.inspect._backprop_trace",
    "LrRange": "jaxnn.inspect._lr_range",
    "Node": "jaxnn.inspect._graph",
    "NoiseScale": "jaxnn.inspect._gradient_noise_scale",
    "NonFinite": "jaxnn.inspect._locate_nonfinite",
    "Row": "jaxnn.inspect._summary",
    "Summary": "jaxnn.inspect._summary",
    "backprop_trace": "jaxnn.inspect._backprop_trace",
    "computation_graph": "jaxnn.inspect._computation_graph",
    "draw": "jaxnn.inspect._draw",
    "gradient_flow": "jaxnn.inspect._gradient_flow",
    "gradient_noise_scale": "jaxnn.inspect._gradient_noise_scale",
    "intermediates": "jaxnn.inspect._intermediates",
    "locate_nonfinite": "jaxnn.inspect._locate_nonfinite",
    "lr_range": "jaxnn.inspect._lr_range",
    "per_example_gradients": "jaxnn.inspect._per_example_gradients",
    "stability_limit": "jaxnn.inspect._stability_limit",
    "summary": "jaxnn.inspect._summary",
}

__getattr__, __dir__ = _lazy_exports(__name__, _HOMES)

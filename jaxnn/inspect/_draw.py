"""Pictures of models and of computation graphs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxnn.core import Layer, check_train, describe
from jaxnn.inspect._computation_graph import computation_graph
from jaxnn.inspect._graph import Graph


def draw(
    what: Layer | Graph | Callable[..., Any], *args: Any, path: str | Path | None = None, train: bool = False
) -> Any:
    """Draw a model by its layers and shapes, or a small function by its operations, values and gradients.

    A model runs from top to bottom: a box for each layer with its parameters, the shape of its output below
    it, composites as frames that show how their children are wired (side by side, with a shortcut, repeated,
    or as the jaxpr of a free-form ``model`` tells). A function runs from left to right: a circle for each
    operation, on each wire its value above and the gradient of the result with respect to it below.

    Args:
        what: a layer; a function of floating-point arguments with one scalar result; or a ``Graph``.
        *args: the layer's input, or its spec; the function's arguments; nothing for a ``Graph``.
        path: file to write, whose suffix names its format (``.png``, ``.svg``, ``.pdf``).
        train: whether a free-form model is drawn as it runs in training.

    Returns:
        A ``matplotlib.figure.Figure``.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: ``what`` is none of these, or a layer's input is missing.
        ValueError: the input or the arguments do not fit.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import inspect
        >>> model = nn.chain(nn.dense(8), jax.nn.relu, nn.dense(2))
        >>> type(inspect.draw(model, jax.ShapeDtypeStruct((32, 4), jnp.float32))).__name__
        'Figure'
        >>> type(inspect.draw(lambda x, y, z: (x + y) * z, -2, 5, -4)).__name__
        'Figure'
    """
    check_train("draw", train)
    if isinstance(what, Layer):
        if len(args) != 1:
            raise TypeError(
                f"draw: a layer is drawn for one input, got {len(args)}; pass it or its "
                "jax.ShapeDtypeStruct, several as a tuple"
            )
        from jaxnn.inspect._draw_model import draw_model

        return draw_model(what, args[0], train).saved(path)
    if not isinstance(what, Graph) and not callable(what):
        raise TypeError(f"draw: expected a layer, a function or a Graph, got {describe(what)}")
    from jaxnn.inspect._draw_graph import draw_graph

    graph = what if isinstance(what, Graph) else computation_graph(what, *args)
    return draw_graph(graph).saved(path)

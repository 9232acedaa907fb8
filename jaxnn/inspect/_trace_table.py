"""A back-propagation trace as tables that a student can follow with a pencil."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxnn.core import describe
from jaxnn.inspect._columns import columns, number

if TYPE_CHECKING:
    from jaxnn.inspect._backprop_trace import BackpropTrace, LayerTrace

_MOST_UNITS = 8
_MOST_WEIGHTS = 8
_EQUATIONS = {
    "BP1": "δ = ∂C/∂a ⊙ g'(z)",
    "BP2": "δ = (δ_next W_nextᵀ) ⊙ g'(z)",
    "BP3": "∂C/∂b = Σ δ",
    "BP4": "∂C/∂W = a_beforeᵀ δ",
}


def written(trace: "BackpropTrace") -> str:
    """Return the tables: each layer's numbers unit by unit, its weights' gradients, and the equations."""
    parts = [f"Back-propagation in {trace.name}: cost C = {number(trace.cost, 9)}", *_input(trace)]
    for n, layer in enumerate(trace.layers, 1):
        parts += ["", *_layer(n, layer)]
    return "\n".join([*parts, "", *_checked(trace)])


def _input(trace: "BackpropTrace") -> list[str]:
    first = _first_example(trace.x)
    if first is None:
        return ["", f"input  {describe(trace.x)}"]
    lines = [("x", *_cells(first))]
    gradient = _first_example(trace.input_gradient)
    if gradient is not None and gradient.size:
        lines.append(("∂C/∂x", *_cells(gradient)))
    title = f"input{_which(trace.x)}"
    return [
        "",
        title,
        _indented(columns(_numbered("", first.size, "x"), lines, "<" + ">" * _shown(first.size))),
    ]


def _layer(n: int, layer: "LayerTrace") -> list[str]:
    title = f"layer {n}  {' → '.join(layer.paths)}"
    z = _first_example(layer.z)
    if z is None:
        norms = ", ".join(
            f"|{name}| {_norm(v)}" for name, v in (("z", layer.z), ("a", layer.a), ("δ", layer.delta))
        )
        return [title, f"  {describe(layer.z)}   {norms}", *_gradients(_named(layer.gradients))]
    rows = [("z", layer.z), ("g'(z)", layer.slope), ("a = g(z)", layer.a), ("δ = ∂C/∂z", layer.delta)]
    lines = []
    # A gradient of one number a unit (the bias's) is read best below the unit's error.
    named = _named(layer.gradients)
    units = [(f"∂C/∂{name}", v) for name, v in named if np.shape(v) == (z.size,)]
    rest = [(name, v) for name, v in named if np.shape(v) != (z.size,)]
    for name, value in [*rows, *units]:
        one = None if value is None else _first_example(value)
        if one is not None and one.size == z.size:
            lines.append((name, *_cells(one)))
    table = columns(_numbered("", z.size, "unit"), lines, "<" + ">" * _shown(z.size))
    return [f"{title}{_which(layer.z)}", _indented(table), *_gradients(rest)]


def _gradients(named: list[tuple[str, Any]]) -> list[str]:
    parts = []
    for name, gradient in named:
        array = np.asarray(gradient)
        if array.ndim > 2 or array.size == 0 or (array.ndim == 2 and array.shape[0] > _MOST_WEIGHTS):
            parts.append(f"  ∂C/∂{name}  {describe(array)}, norm {_norm(array)}")
            continue
        rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
        labels = [f"from {i}" for i in range(len(rows))] if array.ndim == 2 else [""]
        lines = [(label, *_cells(row)) for label, row in zip(labels, rows, strict=True)]
        header = _numbered(f"∂C/∂{name}", rows.shape[-1], "to" if array.ndim == 2 else "unit")
        parts.append(_indented(columns(header, lines, "<" + ">" * _shown(rows.shape[-1]))))
    return parts


def _checked(trace: "BackpropTrace") -> list[str]:
    lines = [
        (equation, _EQUATIONS[equation], f"layer {n}", f"{residual:.1e}")
        for equation in _EQUATIONS
        for n, layer in enumerate(trace.layers, 1)
        if (residual := layer.residuals.get(equation)) is not None
    ]
    header = ("", "equation", "where", "difference from jax.grad")
    return [columns(header, lines, "<<<>"), f"largest difference: {trace.residual:.1e}"]


def _first_example(value: Any) -> Any:
    """The numbers of the first example, where an example is one row; else ``None``."""
    if not hasattr(value, "ndim") or value.ndim not in (1, 2) or not value.size:
        return None
    return np.asarray(value).reshape(-1, value.shape[-1])[0]


def _which(value: Any) -> str:
    return f"   (example 0 of {len(value)})" if value.ndim == 2 and len(value) > 1 else ""


def _shown(size: int) -> int:
    return size if size <= _MOST_UNITS else _MOST_UNITS + 1


def _cells(values: Any) -> list[str]:
    cells = [number(value) for value in values[:_MOST_UNITS]]
    return cells if len(values) <= _MOST_UNITS else [*cells, "…"]


def _numbered(first: str, size: int, word: str) -> tuple[str, ...]:
    names = [f"{word} {i}" for i in range(min(size, _MOST_UNITS))]
    return (first, *names) if size <= _MOST_UNITS else (first, *names, f"of {size}")


def _named(gradients: Any) -> list[tuple[str, Any]]:
    import jax

    found = jax.tree_util.tree_leaves_with_path(gradients)
    return [(".".join(str(getattr(k, "key", k)) for k in path), leaf) for path, leaf in found]


def _norm(value: Any) -> str:
    import jax

    return number(np.sqrt(sum(float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(value))), 4)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

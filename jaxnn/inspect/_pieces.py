"""The pieces of which the picture of a model is put together: boxes, and composites around them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxnn.core import Plan, describe
from jaxnn.inspect._picture import FRAME, INK, LINE, QUIET, Canvas, text_width

_BOX = 0.46
ARROW = 0.42
SPACE = 0.3
_PAD = 0.16
_TITLE = 0.26
_TRAINED = ("#dbe9f6", "#0072b2")
_NORM = ("#d8efe6", "#009e73")
_PLAIN = ("#fdeedd", "#d58a00")


class Piece(NamedTuple):
    """Something that takes room, entered at the middle of its top and left at the middle of its bottom.

    Attributes:
        width: inches.
        height: inches.
        paint: draws it on a canvas, given the middle of its top.
    """

    width: float
    height: float
    paint: Callable[[Canvas, float, float], None]


def layer_box(plan: Plan, name: str) -> Piece:
    params, state = jax.eval_shape(plan.build, jax.eval_shape(jax.random.key, 0))
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    kind = plan.layer.kind
    face, edge = _TRAINED if size else _PLAIN
    if "norm" in kind or (state and not size):
        face, edge = _NORM
    counted = name == kind or name.startswith(f"{kind}_")
    # The largest array first: the kernel before its bias.
    arrays = sorted(params.items(), key=lambda item: -getattr(item[1], "size", 0))
    shapes = ", ".join(f"{leaf} {_tuple(v.shape)}" for leaf, v in arrays if hasattr(v, "shape"))
    flat = all(hasattr(leaf, "shape") for leaf in params.values())
    note = shapes if flat and len(shapes) <= 44 else f"{size:,} parameters"
    note = f"{kind}:  {note}" if size and not counted else note if size else "" if counted else kind
    width = max(1.5, text_width(name, 10) + 0.4, text_width(note, 7.5) + 0.3)

    def paint(canvas: Canvas, x: float, y: float) -> None:
        canvas.box(x - width / 2, y, width, _BOX, face, edge)
        canvas.text(x, y + (0.16 if note else _BOX / 2), name, 10, weight="bold")
        canvas.text(x, y + 0.335, note, 7.5, QUIET)

    return Piece(width, _BOX, paint)


def stacked(parts: list[tuple[Piece, Any]]) -> Piece:
    labels = [shape_text(output) for _, output in parts[:-1]]
    width = max(piece.width for piece, _ in parts)
    width = max([width, *(2 * text_width(label, 8) + 0.2 for label in labels)])
    height = sum(piece.height for piece, _ in parts) + ARROW * (len(parts) - 1)

    def paint(canvas: Canvas, x: float, y: float) -> None:
        for index, (piece, _) in enumerate(parts):
            piece.paint(canvas, x, y)
            y += piece.height
            if index < len(labels):
                canvas.arrow([(x, y), (x, y + ARROW)])
                canvas.text(x + 0.09, y + ARROW / 2 - 0.02, labels[index], 8, QUIET, ha="left")
                y += ARROW

    return Piece(width, height, paint)


def side_by_side(parts: list[tuple[Piece, Any, Any]], kind: str) -> Piece:
    widths = [max(p.width, 2 * text_width(shape_text(out), 8) + 0.2) for p, _, out in parts]
    tallest = max(piece.height for piece, _, _ in parts)
    width = sum(widths) + SPACE * (len(parts) - 1)
    bar = 0.14

    def paint(canvas: Canvas, x: float, y: float) -> None:
        left = x - width / 2
        middles = []
        for own in widths:
            middles.append(left + own / 2)
            left += own + SPACE
        canvas.line([(middles[0], y + bar), (middles[-1], y + bar)])
        canvas.line([(x, y), (x, y + bar)])
        end = y + bar + 2 * ARROW + tallest
        for middle, (piece, given, output) in zip(middles, parts, strict=True):
            top = y + bar + ARROW
            canvas.arrow([(middle, y + bar), (middle, top)])
            if kind == "parallel":
                canvas.text(middle + 0.09, top - ARROW / 2, shape_text(given), 8, QUIET, ha="left")
            piece.paint(canvas, middle, top)
            canvas.line([(middle, top + piece.height), (middle, end)])
            canvas.text(middle + 0.09, end - ARROW / 2, shape_text(output), 8, QUIET, ha="left")
        canvas.line([(middles[0], end), (middles[-1], end)])
        canvas.line([(x, end), (x, end + bar)])

    return Piece(width, tallest + 2 * ARROW + 2 * bar, paint)


def with_shortcut(body: Piece, shortcut: Piece | None) -> Piece:
    """The body in the middle and a road beside it; or both sides, where the shortcut is a layer."""
    sides = [body] if shortcut is None else [body, shortcut]
    aside = 0.35
    inner = sum(piece.width for piece in sides) + SPACE * (len(sides) - 1)
    width = inner + (2 * aside if shortcut is None else 0)
    tallest = max(piece.height for piece in sides)
    start, end = 0.16, 0.34

    def paint(canvas: Canvas, x: float, y: float) -> None:
        middles = (
            [x] if shortcut is None else [x - (inner - body.width) / 2, x + (inner - shortcut.width) / 2]
        )
        top, plus = y + start + ARROW, y + start + ARROW + tallest + end
        canvas.line([(x, y), (x, y + start)])
        for middle, piece in zip(middles, sides, strict=True):
            canvas.arrow([(x, y + start), (middle, y + start), (middle, top)])
            piece.paint(canvas, middle, top)
            side = 0.11 if middle > x else -0.11
            if shortcut is None:
                canvas.arrow([(x, top + piece.height), (x, plus - 0.11)])
            else:
                canvas.arrow([(middle, top + piece.height), (middle, plus), (x + side, plus)])
        if shortcut is None:
            road = x + inner / 2 + aside - 0.1
            canvas.arrow([(x, y + start), (road, y + start), (road, plus), (x + 0.11, plus)])
        canvas.circle(x, plus, 0.11, "white", LINE)
        canvas.text(x, plus, "+", 10, INK)
        canvas.line([(x, plus + 0.11), (x, plus + 0.2)])

    return Piece(width, start + ARROW + tallest + end + 0.2, paint)


def framed(inner: Piece, title: str) -> Piece:
    width = max(inner.width + 2 * _PAD, text_width(title, 9) + 0.6)
    height = inner.height + 2 * _TITLE

    def paint(canvas: Canvas, x: float, y: float) -> None:
        canvas.box(x - width / 2, y, width, height, FRAME, LINE)
        canvas.text(x - width / 2 + 0.1, y + 0.14, title, 9, QUIET, ha="left", weight="bold")
        canvas.line([(x, y), (x, y + _TITLE)])
        inner.paint(canvas, x, y + _TITLE)
        canvas.line([(x, y + _TITLE + inner.height), (x, y + height)])

    return Piece(width, height, paint)


def shape_text(spec: Any) -> str:
    if hasattr(spec, "shape"):
        name = "" if spec.dtype == "float32" else f"{spec.dtype} "
        return name + _tuple(spec.shape)
    leaves = jax.tree.leaves(spec)
    written = ", ".join(map(shape_text, leaves)) if len(leaves) <= 3 else f"{len(leaves)} arrays"
    return written if len(written) < 60 else describe(spec)[:57] + "..."


def _tuple(shape: tuple[int, ...]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape)) if shape else "scalar"

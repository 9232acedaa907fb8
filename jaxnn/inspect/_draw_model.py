"""A picture of a model: its layers as boxes from top to bottom, the shapes on the arrows between them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxnn.core import Layer, Plan, describe, plan_layer, spec_of
from jaxnn.inspect._picture import FRAME, INK, LINE, QUIET, Canvas, text_width
from jaxnn.inspect._wiring import wiring_of

_BOX = 0.46
_ARROW = 0.42
_SPACE = 0.3
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


def draw_model(model: Layer, x: Any, train: bool) -> Canvas:
    """Draw ``model`` for an input like ``x``."""
    plan = plan_layer(model, spec_of(x))
    body = _piece(plan, "", train, root=True)
    params, _ = jax.eval_shape(plan.build, jax.eval_shape(jax.random.key, 0))
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    title = f"{model.name}: {total:,} parameters"
    width = max(body.width, text_width(title, 12), 2.4) + 2 * _SPACE
    canvas = Canvas(width, body.height + 2 * _ARROW + 2 * _SPACE + 0.75)
    middle, top = width / 2, _SPACE + 0.1
    canvas.text(middle, top, title, 12, weight="bold")
    top += 0.4
    canvas.text(middle, top, f"input  {_shape(plan.input)}", 9, QUIET)
    enter = canvas.arrow if not plan.children or plan.layer.kind == "chain" else canvas.line
    enter([(middle, top + 0.12), (middle, top + _ARROW)])
    body.paint(canvas, middle, top + _ARROW)
    bottom = top + _ARROW + body.height
    canvas.arrow([(middle, bottom), (middle, bottom + _ARROW - 0.1)])
    canvas.text(middle, bottom + _ARROW, f"output  {_shape(plan.output)}", 9, QUIET)
    return canvas


def _piece(plan: Plan, name: str, train: bool, root: bool = False) -> Piece:
    kind = plan.layer.kind
    if not plan.children:
        return _layer_box(plan, name or plan.layer.name)
    if plan.copies is not None:
        child = _piece(plan.children[0][1], "", train)
        inner = (
            child if plan.children[0][1].children else _layer_box(plan.children[0][1], plan.children[0][0])
        )
        return _framed(inner, f"{name or kind}  \N{MULTIPLICATION SIGN} {plan.copies}")
    pieces = [(child_name, child, _piece(child, child_name, train)) for child_name, child in plan.children]
    if kind == "chain":
        body = _stacked([(piece, child.output) for _, child, piece in pieces])
    elif kind in ("branch", "parallel"):
        body = _side_by_side([(piece, child.input, child.output) for _, child, piece in pieces], kind)
    elif kind == "residual":
        (_, _, main), (_, beside, shortcut) = pieces
        body = _residual(main, None if beside.layer.kind == "identity" else shortcut)
    else:
        body = _free(plan, {child_name: piece for child_name, _, piece in pieces}, train)
    return body if root or not name else _framed(body, name)


def _layer_box(plan: Plan, name: str) -> Piece:
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


def _stacked(parts: list[tuple[Piece, Any]]) -> Piece:
    labels = [_shape(output) for _, output in parts[:-1]]
    width = max(piece.width for piece, _ in parts)
    width = max([width, *(2 * text_width(label, 8) + 0.2 for label in labels)])
    height = sum(piece.height for piece, _ in parts) + _ARROW * (len(parts) - 1)

    def paint(canvas: Canvas, x: float, y: float) -> None:
        for index, (piece, _) in enumerate(parts):
            piece.paint(canvas, x, y)
            y += piece.height
            if index < len(labels):
                canvas.arrow([(x, y), (x, y + _ARROW)])
                canvas.text(x + 0.09, y + _ARROW / 2 - 0.02, labels[index], 8, QUIET, ha="left")
                y += _ARROW

    return Piece(width, height, paint)


def _side_by_side(parts: list[tuple[Piece, Any, Any]], kind: str) -> Piece:
    widths = [max(p.width, 2 * text_width(_shape(out), 8) + 0.2) for p, _, out in parts]
    tallest = max(piece.height for piece, _, _ in parts)
    width = sum(widths) + _SPACE * (len(parts) - 1)
    bar = 0.14

    def paint(canvas: Canvas, x: float, y: float) -> None:
        left = x - width / 2
        middles = []
        for own in widths:
            middles.append(left + own / 2)
            left += own + _SPACE
        canvas.line([(middles[0], y + bar), (middles[-1], y + bar)])
        canvas.line([(x, y), (x, y + bar)])
        end = y + bar + 2 * _ARROW + tallest
        for middle, (piece, given, output) in zip(middles, parts, strict=True):
            top = y + bar + _ARROW
            canvas.arrow([(middle, y + bar), (middle, top)])
            if kind == "parallel":
                canvas.text(middle + 0.09, top - _ARROW / 2, _shape(given), 8, QUIET, ha="left")
            piece.paint(canvas, middle, top)
            canvas.line([(middle, top + piece.height), (middle, end)])
            canvas.text(middle + 0.09, end - _ARROW / 2, _shape(output), 8, QUIET, ha="left")
        canvas.line([(middles[0], end), (middles[-1], end)])
        canvas.line([(x, end), (x, end + bar)])

    return Piece(width, tallest + 2 * _ARROW + 2 * bar, paint)


def _residual(body: Piece, shortcut: Piece | None) -> Piece:
    """The body in the middle and a road beside it; or both sides, where the shortcut is a layer."""
    sides = [body] if shortcut is None else [body, shortcut]
    aside = 0.35
    inner = sum(piece.width for piece in sides) + _SPACE * (len(sides) - 1)
    width = inner + (2 * aside if shortcut is None else 0)
    tallest = max(piece.height for piece in sides)
    start, end = 0.16, 0.34

    def paint(canvas: Canvas, x: float, y: float) -> None:
        middles = (
            [x] if shortcut is None else [x - (inner - body.width) / 2, x + (inner - shortcut.width) / 2]
        )
        top, plus = y + start + _ARROW, y + start + _ARROW + tallest + end
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

    return Piece(width, start + _ARROW + tallest + end + 0.2, paint)


def _free(plan: Plan, pieces: dict[str, Piece], train: bool) -> Piece:
    """Children in the order of their calls, with an arrow from every output to where it is taken."""
    wiring = wiring_of(plan, train)
    boxes = [pieces[name] for name, _ in wiring.calls]
    tops, y = [], 0.0
    for box in boxes:
        tops.append(y + _ARROW)
        y = tops[-1] + box.height + 0.1
    end = y + _ARROW
    # A road beside the boxes for every source that does not stand right above where it is taken.
    takers = [(i, source) for i, sources in enumerate(wiring.sources) for source in sources]
    takers += [(len(boxes), source) for source in wiring.result]
    far = sorted({source for i, source in takers if source != i - 1})
    room = 0.22 * len(far) + 0.1
    width = max(box.width for box in boxes) + 2 * room

    def paint(canvas: Canvas, x: float, y: float) -> None:
        canvas.line([(x, y), (x, y + 0.1)])

        def bottom(source: int) -> float:
            return y if source < 0 else y + tops[source] + boxes[source].height

        def top(i: int) -> float:
            return y + (tops[i] if i < len(boxes) else end)

        for i, source in takers:
            if source == i - 1:
                reach = canvas.arrow if i < len(boxes) else canvas.line
                reach([(x, bottom(source)), (x, top(i))])
                if source >= 0:
                    label = _shape(wiring.calls[source][1])
                    canvas.text(x + 0.09, (bottom(source) + top(i)) / 2, label, 8, QUIET, ha="left")
        half = max(box.width for box in boxes) / 2
        for place, source in enumerate(far):
            side = 1 if place % 2 else -1
            road = x + side * (half + 0.14 + 0.2 * (place // 2))
            out = bottom(source) + 0.08
            ends = [i for i, s in takers if s == source and source != i - 1]
            canvas.line([(x, bottom(source)), (x, out), (road, out)])
            for i in ends:
                enter = top(i) - 0.14
                reach = canvas.arrow if i < len(boxes) else canvas.line
                reach([(road, out), (road, enter), (x, enter), (x, top(i))])
                if sum(taker == i for taker, _ in takers) > 1:
                    canvas.circle(x, enter, 0.035, INK, INK)
        for box, start in zip(boxes, tops, strict=True):
            box.paint(canvas, x, y + start)

    return Piece(width, end, paint)


def _framed(inner: Piece, title: str) -> Piece:
    width = max(inner.width + 2 * _PAD, text_width(title, 9) + 0.6)
    height = inner.height + 2 * _TITLE

    def paint(canvas: Canvas, x: float, y: float) -> None:
        canvas.box(x - width / 2, y, width, height, FRAME, LINE)
        canvas.text(x - width / 2 + 0.1, y + 0.14, title, 9, QUIET, ha="left", weight="bold")
        canvas.line([(x, y), (x, y + _TITLE)])
        inner.paint(canvas, x, y + _TITLE)
        canvas.line([(x, y + _TITLE + inner.height), (x, y + height)])

    return Piece(width, height, paint)


def _shape(spec: Any) -> str:
    if hasattr(spec, "shape"):
        name = "" if spec.dtype == "float32" else f"{spec.dtype} "
        return name + _tuple(spec.shape)
    leaves = jax.tree.leaves(spec)
    written = ", ".join(map(_shape, leaves)) if len(leaves) <= 3 else f"{len(leaves)} arrays"
    return written if len(written) < 60 else describe(spec)[:57] + "..."


def _tuple(shape: tuple[int, ...]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape)) if shape else "scalar"

"""A picture of a model: its layers as boxes from top to bottom, the shapes on the arrows between them."""

from typing import Any

import jax

from jaxnn.core import Layer, Plan, plan_layer, spec_of
from jaxnn.inspect._picture import INK, QUIET, Canvas, text_width
from jaxnn.inspect._pieces import (
    ARROW,
    SPACE,
    Piece,
    framed,
    layer_box,
    shape_text,
    side_by_side,
    stacked,
    with_shortcut,
)
from jaxnn.inspect._wiring import wiring_of


def draw_model(model: Layer, x: Any, train: bool) -> Canvas:
    """Draw ``model`` for an input like ``x``."""
    plan = plan_layer(model, spec_of(x))
    body = _piece(plan, "", train, root=True)
    params, _ = jax.eval_shape(plan.build, jax.eval_shape(jax.random.key, 0))
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    title = f"{model.name}: {total:,} parameters"
    width = max(body.width, text_width(title, 12), 2.4) + 2 * SPACE
    canvas = Canvas(width, body.height + 2 * ARROW + 2 * SPACE + 0.75)
    middle, top = width / 2, SPACE + 0.1
    canvas.text(middle, top, title, 12, weight="bold")
    top += 0.4
    canvas.text(middle, top, f"input  {shape_text(plan.input)}", 9, QUIET)
    enter = canvas.arrow if not plan.children or plan.layer.kind == "chain" else canvas.line
    enter([(middle, top + 0.12), (middle, top + ARROW)])
    body.paint(canvas, middle, top + ARROW)
    bottom = top + ARROW + body.height
    canvas.arrow([(middle, bottom), (middle, bottom + ARROW - 0.1)])
    canvas.text(middle, bottom + ARROW, f"output  {shape_text(plan.output)}", 9, QUIET)
    return canvas


def _piece(plan: Plan, name: str, train: bool, root: bool = False) -> Piece:
    kind = plan.layer.kind
    if not plan.children:
        return layer_box(plan, name or plan.layer.name)
    if plan.copies is not None:
        child = _piece(plan.children[0][1], "", train)
        inner = child if plan.children[0][1].children else layer_box(plan.children[0][1], plan.children[0][0])
        return framed(inner, f"{name or kind}  \N{MULTIPLICATION SIGN} {plan.copies}")
    pieces = [(child_name, child, _piece(child, child_name, train)) for child_name, child in plan.children]
    if kind == "chain":
        body = stacked([(piece, child.output) for _, child, piece in pieces])
    elif kind in ("branch", "parallel"):
        body = side_by_side([(piece, child.input, child.output) for _, child, piece in pieces], kind)
    elif kind == "residual":
        (_, _, main), (_, beside, shortcut) = pieces
        body = with_shortcut(main, None if beside.layer.kind == "identity" else shortcut)
    else:
        body = _free(plan, {child_name: piece for child_name, _, piece in pieces}, train)
    return body if root or not name else framed(body, name)


def _free(plan: Plan, pieces: dict[str, Piece], train: bool) -> Piece:
    """Children in the order of their calls, with an arrow from every output to where it is taken."""
    wiring = wiring_of(plan, train)
    boxes = [pieces[name] for name, _ in wiring.calls]
    tops, y = [], 0.0
    for box in boxes:
        tops.append(y + ARROW)
        y = tops[-1] + box.height + 0.1
    end = y + ARROW
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
                    label = shape_text(wiring.calls[source][1])
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

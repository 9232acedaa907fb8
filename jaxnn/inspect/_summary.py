"""The table of a model: layers by path, output shapes, parameters, state, operations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax

from jaxnn.core import Layer, Plan, check_train, describe, lift, plan_layer, printable, spec_of
from jaxnn.inspect._flops import flops_of


@dataclass(frozen=True)
class Row:
    """One layer of a summary.

    Attributes:
        path: names joined with dots.
        kind: kind of the layer.
        output: spec of its output.
        params: number of trained values in it, children included.
        state: number of values in its state, children included.
        flops: floating-point operations in it, children included.
        copies: how many stacked copies it stands for (``repeat``).
        leaf: whether it has no children.
    """

    path: str
    kind: str
    output: Any
    params: int
    state: int
    flops: int
    copies: int
    leaf: bool


@dataclass(frozen=True)
class Summary:
    """A model's layers and totals; ``print`` shows them as a table.

    Attributes:
        name: kind of the model.
        input: spec of its input.
        rows: its layers, depth first.
        params: number of trained values.
        state: number of values carried and not trained.
        param_bytes: size of the parameters.
        flops: floating-point operations of one forward pass on ``input``.
    """

    name: str
    input: Any
    rows: tuple[Row, ...]
    params: int
    state: int
    param_bytes: int
    flops: int

    def __str__(self) -> str:
        header = ("Layer", "Kind", "Output", "Params", "State", "FLOPs")
        table = [
            (
                "  " * row.path.count(".") + row.path.rsplit(".", 1)[-1],
                row.kind + (f" x{row.copies}" if row.copies > 1 else ""),
                describe(row.output),
                f"{row.params:,}",
                f"{row.state:,}",
                _short(row.flops),
            )
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in [header, *table]) for i in range(6)]
        rule = "─" * (sum(widths) + 2 * 5)

        def written(line: tuple[str, ...]) -> str:
            left = [cell.ljust(width) for cell, width in zip(line[:3], widths[:3], strict=True)]
            right = [cell.rjust(width) for cell, width in zip(line[3:], widths[3:], strict=True)]
            return "  ".join([*left, *right]).rstrip()

        return printable(
            "\n".join(
                [
                    f"Model: {self.name}   input: {describe(self.input)}",
                    rule,
                    written(header),
                    rule,
                    *map(written, table),
                    rule,
                    f"Total params: {self.params + self.state:,}",
                    f"Trainable params: {self.params:,} ({_bytes(self.param_bytes)})",
                    f"Non-trainable params (state): {self.state:,}",
                    f"FLOPs, forward: {_short(self.flops)}",
                ]
            )
        )


def summary(model: Layer, x: Any, *, train: bool = False) -> Summary:
    """Return the table of ``model`` for input ``x``, without allocating an array.

    Parameters are those of the whole subtree at each path. FLOPs are counted from the jaxpr, through
    ``scan`` too, where Flax's ``tabulate`` asks the compiler and sees the body of a loop once.

    Args:
        model: a layer.
        x: its input: array, ``jax.ShapeDtypeStruct``, or a pytree of them.
        train: whether to count the operations of training's forward pass.

    Raises:
        TypeError: ``model`` is no layer or callable.
        ValueError: ``x`` does not fit.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import inspect
        >>> model = nn.chain(nn.dense(16), jax.nn.relu)
        >>> print(inspect.summary(model, jax.ShapeDtypeStruct((1, 8), jnp.float32)))
        Model: chain   input: float32[1, 8]
        ────────────────────────────────────────────────────
        Layer    Kind   Output          Params  State  FLOPs
        ────────────────────────────────────────────────────
        dense_0  dense  float32[1, 16]     144      0    272
        relu_0   relu   float32[1, 16]       0      0     16
        ────────────────────────────────────────────────────
        Total params: 144
        Trainable params: 144 (576 B)
        Non-trainable params (state): 0
        FLOPs, forward: 288
    """
    check_train("summary", train)
    model = lift(model)
    x = spec_of(x)
    plan = plan_layer(model, x)
    key = jax.eval_shape(jax.random.key, 0)
    params, state = jax.eval_shape(plan.build, key)

    def run(params: Any, state: Any, x: Any, key: Any) -> Any:
        return model.apply(params, state, x, key=key, train=train)

    counts = flops_of(run, params, state, x, key)
    rows = tuple(_rows(plan, (), params, state, counts, 1))
    if not rows:
        rows = (_row(plan, (model.name,), params, state, sum(counts.values()), 1),)
    sizes = [leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)]
    return Summary(model.name, x, rows, _size(params), _size(state), sum(sizes), sum(counts.values()))


def _rows(
    plan: Plan, path: tuple[str, ...], params: Any, state: Any, counts: Any, copies: int
) -> Iterator[Row]:
    for name, child in plan.children:
        if plan.copies is not None:
            # The copies' trees are stacked under the repeat itself, and so are the rows.
            yield from _rows(child, path, params, state, counts, copies * plan.copies)
            continue
        here = (*path, name)
        child_params, child_state = params.get(name, {}), state.get(name, {})
        inside = sum(count for scope, count in counts.items() if scope[: len(here)] == here)
        yield _row(child, here, child_params, child_state, inside, copies)
        yield from _rows(child, here, child_params, child_state, counts, copies)


def _row(plan: Plan, path: tuple[str, ...], params: Any, state: Any, flops: int, copies: int) -> Row:
    return Row(
        ".".join(path),
        plan.layer.kind,
        plan.output,
        _size(params),
        _size(state),
        flops,
        copies * (plan.copies or 1),
        not plan.children,
    )


def _size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _short(count: int) -> str:
    for scale, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if count >= scale:
            return f"{count / scale:.2f} {unit}"
    return f"{count:,}"


def _bytes(count: int) -> str:
    for scale, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= scale:
            return f"{count / scale:.2f} {unit}"
    return f"{count} B"

"""Refuses a model in which something mixes positions, or looks at where they stand, and remembers nothing."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.compose._model import FreeFormLayer
from jaxnn.compose._position_alone import moving, outputs_that_differ
from jaxnn.core import Layer, MissingKeyError, Plan, PyTree, describe, plan_layer, spec_of, stateless
from jaxnn.layers._cached import CachedLayer, WholeLayer

_REMEDY = (
    "use layers that remember what came before (nn.attention, nn.positional_embedding, nn.rotary, nn.lstm), "
    "or write a Cell and nn.rnn(cell)"
)


def check_positions(plan: Plan, longer: Plan, path: str, length: int, is_root: bool = True) -> None:
    """Raise unless all that remembers nothing acts on each position alone.

    Args:
        plan: the model planned for one position.
        longer: the same for two.
        path: its path.
        length: positions that it will decode at most.
        is_root: whether it is the whole model, of whose output the first entry alone counts.
    """
    if isinstance(plan.layer, CachedLayer | WholeLayer):
        return
    if isinstance(plan.layer, FreeFormLayer):
        _check_free_form(plan, longer, path, length, is_root)
    elif not plan.children:
        _check_shapes(plan, longer, path)
        _check_values(plan, longer, path, length)
    for (name, child), (_, other) in zip(plan.children, longer.children, strict=True):
        check_positions(child, other, f"{path}.{name}", length, False)


def _check_shapes(plan: Plan, longer: Plan, path: str) -> None:
    """Raise unless the layer takes one position, without axes of batch and time, and gives one."""
    moves = [leaf.axis is not None for leaf in moving(plan.input, longer.input)]
    if not any(moves):
        return
    leaves, structure = jax.tree.flatten(plan.input)
    alone = jax.tree.unflatten(
        structure,
        [jax.ShapeDtypeStruct(x.shape[2:], x.dtype) if m else x for m, x in zip(moves, leaves, strict=True)],
    )
    reason = ""
    try:
        expected = _positions(plan.output, longer.output)
        found = [leaf.shape for leaf in jax.tree.leaves(plan_layer(plan.layer, alone).output)]
        if found != expected:
            reason = f"one position gives {found}, not {expected}"
    except (TypeError, ValueError, IndexError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
    if reason:
        raise _not_alone(path, plan.layer, reason)


def _positions(short: PyTree, long: PyTree) -> list[tuple[int, ...]]:
    """Shapes of an output's leaves at one position."""
    shapes = []
    for a, b in zip(jax.tree.leaves(short), jax.tree.leaves(long), strict=True):
        differs = [i for i, (m, n) in enumerate(zip(a.shape, b.shape, strict=True)) if m != n]
        if differs not in ([], [1]) or (differs and b.shape[1] != 2):
            raise ValueError(f"its output {describe(a)} becomes {describe(b)} with a second position")
        shapes.append(a.shape[2:] if differs else a.shape)
    return shapes


def _check_values(plan: Plan, longer: Plan, path: str, length: int) -> None:
    """Raise unless the layer gives one position by itself what it gives it among others."""
    layer = plan.layer
    if _is_ours(layer) or all(leaf.axis is None for leaf in moving(plan.input, longer.input)):
        return

    def run(x: PyTree, key: Any) -> PyTree:
        params, state = plan.build(jax.random.key(0))
        return layer.apply(params, state, x, key=key)[0]

    try:
        jax.eval_shape(lambda x: run(x, None), plan.input)
        draws = False
    except MissingKeyError:
        draws = True
    specs = (plan.input, longer.input), (plan.output, longer.output)
    if outputs_that_differ(lambda x, key: run(x, key if draws else None), *specs, draws, length):
        raise _not_alone(path, layer, "one by itself gives other values than among others")


def _not_alone(path: str, layer: Layer, reason: str) -> ValueError:
    return ValueError(
        f"decoding_cell: {path} ({layer.name}) does not act on each position alone ({reason}), so it can't "
        f"be applied step by step; a layer of your own must take [..., features], or {_REMEDY}"
    )


def _is_ours(layer: Layer) -> bool:
    """Whether a layer without children is the library's own, which its shapes tell all about."""
    work = layer.apply
    if inspect.isfunction(work) and work.__module__ == stateless.__module__:
        # What stateless lifts stands in its closure; in another's, it may be one step of several.
        work = inspect.getclosurevars(work).nonlocals.get("apply", work)
    return str(getattr(work, "__module__", "")).startswith("jaxnn.layers.")


class _Calls:
    """The calls of children that a free-form function makes for one input, on specs."""

    def __init__(self, plan: Plan) -> None:
        self.plans = dict(plan.children)
        self.names: list[str] = []
        self.inputs: list[PyTree] = []
        self.outputs: list[PyTree] = []
        self.draws = False

        def run(x: PyTree, key: Any) -> PyTree:
            y, self.draws = plan.layer.follow(self.call, x, key)  # type: ignore[attr-defined]
            return y

        self.output = spec_of(jax.eval_shape(run, plan.input, jax.eval_shape(jax.random.key, 0)))

    def call(self, name: str, x: PyTree, inside: bool) -> PyTree:
        y = jax.eval_shape(lambda x, key: self.real(name, x, key), x, jax.eval_shape(jax.random.key, 0))
        if not inside:
            self.names.append(name)
            self.inputs.append(spec_of(x))
            self.outputs.append(spec_of(y))
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), y)

    def real(self, name: str, x: PyTree, key: Any) -> PyTree:
        """What the child itself gives, with parameters of its own."""
        plan = self.plans[name]
        params, state = plan.build(jax.random.key(0))
        return plan.layer.apply(params, state, x, key=key)[0]


def _check_free_form(plan: Plan, longer: Plan, path: str, length: int, is_root: bool) -> None:
    """Raise unless the code between the children of an ``nn.model`` acts on each position alone."""
    layer = plan.layer
    one, two = _Calls(plan), _Calls(longer)
    if one.names != two.names:
        raise ValueError(
            f"decoding_cell: {path} ({layer.name}) calls other children for one position than for two; "
            "it can't be applied step by step"
        )

    def run(given: PyTree, key: Any) -> PyTree:
        x, answers = given
        inputs: list[PyTree] = []

        def call(name: str, x: PyTree, inside: bool) -> PyTree:
            if inside:
                return one.real(name, x, None)
            inputs.append(x)
            return answers[len(inputs) - 1]

        y, _ = layer.follow(call, x, key)  # type: ignore[attr-defined]
        return (*inputs, first(y))

    def first(y: PyTree) -> PyTree:
        return y[0] if is_root and isinstance(y, tuple | list) else y

    outputs = ((*one.inputs, first(one.output)), (*two.inputs, first(two.output)))
    inputs = ((plan.input, one.outputs), (longer.input, two.outputs))
    differ = outputs_that_differ(run, inputs, outputs, one.draws, length)
    if differ:
        owners = [i for i, tree in enumerate(outputs[0]) for _ in jax.tree.leaves(tree)]
        place = owners[differ[0]]
        what = (
            "what it returns" if place == len(one.names) else f"what its child {one.names[place]!r} is given"
        )
        raise ValueError(
            f"decoding_cell: {path} ({layer.name}): {what} is computed by code of the model's own that mixes "
            f"positions or looks at where they stand, which one step can't; {_REMEDY}"
        )

"""Where a NaN or an infinity is born: the step, the pass and the layer."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn.core import (
    RECORD,
    SHIFT,
    Call,
    Masked,
    Probe,
    Shift,
    describe,
    filled,
    printable,
    split_records,
    with_probe,
)
from jaxnn.inspect._calls import named_calls
from jaxnn.metrics import Mean
from jaxnn.train import Objective, TrainState
from jaxnn.train._objective import checked_terms, reduce_terms
from jaxnn.train._step import pure_step


@dataclass(frozen=True)
class NonFinite:
    """The first value that is not finite.

    Attributes:
        step: number of the step, as the ``TrainState`` counts.
        during: ``"forward"``, ``"backward"`` or ``"update"`` (by the optimizer); ``"input"`` if the batch
            held it, ``"start"`` if the state of the run did.
        path: of the layer in which it appears; of a composite, if it appears in the composite's own code
            between its layers (``"model"`` for the outermost); ``"loss"`` for what follows the last layer;
            for the input, an update or a start the path of the array.
        copy: under ``repeat``, which copy; else empty.
    """

    step: int
    during: str
    path: str
    copy: tuple[int, ...] = ()

    def __str__(self) -> str:
        copy = f", copy {', '.join(map(str, self.copy))}" if self.copy else ""
        what = {
            "forward": "the output of",
            "backward": "the gradient that leaves",
            "update": "the new value of",
            "input": "the batch at",
            "start": "before the step,",
        }[self.during]
        return printable(f"step {self.step}, {self.during}: first not finite is {what} {self.path}{copy}")


def locate_nonfinite(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    train_state: TrainState,
    batches: Iterable[Any],
) -> NonFinite | None:
    """Train on ``batches`` until something is not finite, and return where that came from.

    Steps are training's own, compiled, with a check of the loss, the gradients and the new state. Only the
    one that fails is taken apart: it is run again with a probe that tells of every layer whether what went
    in was finite, and what came out, forward and backward. ``jax_debug_nans`` names a primitive, no layer.

    The first layer is the one whose input (in the backward pass: whose output's gradient) was still finite.
    Layers are found under ``repeat``, ``remat`` and ``vmap`` too, as in ``intermediates``. An infinity that
    is meant to be there, as in a masked logit, counts if the loss or a gradient is not finite in the end.

    Args:
        objective: what is minimised.
        optimizer: an ``optax.GradientTransformation``.
        train_state: where to start; it is not consumed. That of ``fit`` before the epoch that failed will do,
            with the batches of that epoch, since steps draw their randomness by number.
        batches: the batches, in order.

    Returns:
        The place, or ``None`` if all was finite.

    Raises:
        TypeError: ``objective`` or ``train_state`` is not one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import inspect, losses, optim, train
        >>> model = nn.chain(nn.dense(4), jnp.log, nn.dense(1))
        >>> task = train.supervised(model, losses.squared_error)
        >>> batch = jnp.zeros((2, 3)), jnp.ones((2, 1))
        >>> state = train.TrainState.create(task, optim.sgd(0.1), jax.random.key(0), batch)
        >>> print(inspect.locate_nonfinite(task, optim.sgd(0.1), state, [batch]))
        step 0, forward: first not finite is the output of log_0
    """
    if not isinstance(objective, Objective):
        raise TypeError(f"locate_nonfinite: expected an Objective, got {describe(objective)}")
    if not isinstance(train_state, TrainState):
        raise TypeError(
            f"locate_nonfinite: train_state must be a TrainState, got {describe(train_state)}; "
            "TrainState.create makes one"
        )
    number = int(train_state.step)
    for name in ("params", "state", "opt_state"):
        found = _first_leaf(getattr(train_state, name))
        if found is not None:
            return NonFinite(number, "start", f"{name}.{found}")
    step = _jitted(_step, objective, optimizer)
    for batch in batches:
        new, finite = step(train_state, batch)
        if not finite:
            return _taken_apart(objective, train_state, new, batch)
        train_state = new
    return None


def _jitted(function: Callable[..., Any], *fixed: Any) -> Callable[..., Any]:
    """Compile ``function`` with its first arguments fixed, which needn't have a hash."""
    return jax.jit(functools.partial(function, *fixed))


def _step(objective: Any, optimizer: Any, train_state: TrainState, batch: Any) -> tuple[TrainState, Any]:
    def report(params: Any, grads: Any, updates: Any, record: Any) -> Any:
        inner = {} if objective.report is None else objective.report(params, grads, updates, record)
        return {**inner, "non-finite": Mean.of((~_finite(grads))[None].astype(jnp.float32))}

    watched = replace(objective, report=report)
    new, record = pure_step(watched, optimizer, None)(train_state, batch)
    whole = _finite((new.params, new.state, new.opt_state, record["loss"].total))
    return new, whole & (record["non-finite"].total == 0)


def _taken_apart(objective: Objective, before: TrainState, after: TrainState, batch: Any) -> NonFinite:
    number = int(before.step)
    found = _first_leaf(batch)
    if found is not None:
        return NonFinite(number, "input", f"batch.{found}")
    forward, loss = jax.device_get(_jitted(_forward, objective)(before, batch))
    place = _born(named_calls(forward), backward=False)
    if place is not None or not loss:
        path, copy = place or (_outside(named_calls(forward), "out"), ())
        return NonFinite(number, "forward", path, copy)
    backward, grads = jax.device_get(_jitted(_backward, objective)(before, batch))
    place = _born(named_calls(backward), backward=True)
    if place is not None or not grads:
        path, copy = place or (_outside(named_calls(backward), "in"), ())
        return NonFinite(number, "backward", path, copy)
    for name in ("params", "state", "opt_state"):
        found = _first_leaf(getattr(after, name))
        if found is not None:
            return NonFinite(number, "update", f"{name}.{found}")
    return NonFinite(number, "update", "params")


def _forward(objective: Any, train_state: TrainState, batch: Any) -> Any:
    """Of every call, whether its input and its output are finite; and the loss."""
    value, records = _probed(objective, train_state.params, {}, train_state, batch, _flags)
    return records, jnp.isfinite(value)


def _backward(objective: Any, train_state: TrainState, batch: Any) -> Any:
    """Of every call, whether the gradients of its output, and of its input and parameters, are finite."""
    params = train_state.params
    found = jax.eval_shape(
        lambda p: _probed(objective, p, {}, train_state, batch, lambda x, y: (x, y, _finite(y)))[1], params
    )

    def loss(params: Any, shifts: Any) -> Any:
        return _probed(objective, params, shifts, train_state, batch, lambda _x, _y: None)[0]

    grads, slopes = jax.grad(loss, argnums=(0, 1))(params, _no_shifts(found))
    return _judged(found, slopes, grads), _finite(grads)


def _probed(
    objective: Any, params: Any, shifts: Any, train_state: TrainState, batch: Any, measure: Any
) -> Any:
    """Evaluate the loss as the step does, with a probe."""
    key = jax.random.fold_in(train_state.key, train_state.step)
    state = with_probe(train_state.state, Probe(measure, shifts))
    terms, new = objective.evaluate(params, state, batch, key=key, train=True)
    return reduce_terms(checked_terms(terms)).compute(), split_records(new)[1]


def _flags(x: Any, y: Any) -> dict[str, Any]:
    return {"in": _finite(x), "out": _finite(y)}


def _no_shifts(records: dict[str, Any]) -> dict[str, Any]:
    """Zeros for every floating-point array that goes into a call or comes out."""

    def zeros(tree: Any) -> list[Any]:
        return [
            jnp.zeros(leaf.shape, leaf.dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else None
            for leaf in jax.tree.leaves(tree)
        ]

    shifts: dict[str, Any] = {}
    for name, inner in records.items():
        if name == RECORD:
            shifts[SHIFT] = tuple(Shift(zeros(call.found[0]), zeros(call.found[1])) for call in inner)
        else:
            shifts[name] = _no_shifts(inner)
    return shifts


def _judged(records: dict[str, Any], slopes: dict[str, Any], grads: Any) -> dict[str, Any]:
    """Records of the backward pass: what goes in is the gradient of a call's output."""
    judged: dict[str, Any] = {}
    own = [leaf for leaf in grads.values() if not isinstance(leaf, dict)] if isinstance(grads, dict) else []
    for name, inner in records.items():
        if name != RECORD:
            below = grads.get(name, {}) if isinstance(grads, dict) else {}
            judged[name] = _judged(inner, slopes[name], below)
            continue
        calls = []
        for call, slope in zip(inner, slopes[SHIFT], strict=True):
            copies = call.found[2].ndim
            flags = {"in": _finite(slope.outputs, copies), "out": _finite((slope.inputs, own), copies)}
            calls.append(Call(flags, call.order))
        judged[RECORD] = tuple(calls)
    return judged


def _born(calls: list[tuple[str, Call]], backward: bool) -> tuple[str, tuple[int, ...]] | None:
    """The innermost call with something finite in and something non-finite out that comes first."""
    births = []
    for path, call in calls:
        born = np.asarray(call.found["in"]) & ~np.asarray(call.found["out"])
        if born.any():
            copies = np.argwhere(born)
            copy = tuple(int(i) for i in (copies[-1] if backward else copies[0]))
            births.append((call.order, path, copy))
    inner = [
        birth
        for birth in births
        if not any(other[1].startswith(birth[1].split("[")[0] + ".") for other in births)
    ]
    if not inner:
        return None
    _, path, copy = max(inner) if backward else min(inner)
    return path, copy


def _outside(calls: list[tuple[str, Call]], end: str) -> str:
    """Name what is not inside any layer: the loss, if all layers are well, else the model's own code."""
    well = bool(calls) and all(np.all(call.found[end]) for _, call in calls)
    return "loss" if well == (end == "out") else "model"


def _finite(tree: Any, copies: int = 0) -> Any:
    """Whether every real floating-point number in ``tree`` is finite; of each copy on leading axes."""
    flags = [
        jnp.all(jnp.isfinite(leaf), tuple(range(copies, jnp.ndim(leaf))))
        for _, leaf in _real(tree)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
    ]
    return functools.reduce(jnp.logical_and, flags, jnp.bool_(True))


def _real(tree: Any) -> list[tuple[Any, Any]]:
    """The leaves of ``tree`` with their paths, padding filled with zeros."""
    found = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda node: isinstance(node, Masked))
    return [(path, filled(leaf) if isinstance(leaf, Masked) else leaf) for path, leaf in found]


def _first_leaf(tree: Any) -> str | None:
    for path, leaf in _real(tree):
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) and not np.all(np.isfinite(np.asarray(leaf))):
            return jax.tree_util.keystr(path, simple=True, separator=".")
    return None

"""A sequence read in both directions (Schuster and Paliwal, 1997, IEEE Transactions on Signal Processing)."""

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    Masked,
    Params,
    Plan,
    PyTree,
    State,
    build_children,
    call_child,
    check_children,
    child_scope,
    describe,
    fold_names,
    lift,
    one_of,
    plan_layer,
    planned,
    spec_of,
)
from jaxnn.layers._cached import WholeLayer
from jaxnn.layers._rnn import RecurrentLayer

_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "concatenate": lambda a, b: jnp.concatenate([a, b], -1),
    "add": operator.add,
    "multiply": operator.mul,
    "average": lambda a, b: (a + b) / 2,
}
_NAMES = ("forward", "backward")


def bidirectional(forward: Any, backward: Any = None, merge: str | None = "concatenate") -> Layer:
    """Read ``[batch, time, in]`` forward in time with one layer and backward with another, and merge.

    Both layers are written as if they read forward in time; this one turns time around for ``backward``, and
    its outputs back again. Padding turns with it: whatever the mask, the backward layer starts at the last
    real step. Any layer over sequences will do, also a ``chain`` of recurrent ones.

    Layers with ``return_sequences=False`` give the state after the last step forward beside that after the
    first step backward, ``[batch, features]``. With ``return_carry`` the output is ``(merged, (carry forward,
    carry backward))``; and ``(x, (carry forward, carry backward))`` starts from given carries.

    Parameters: ``{"forward": ..., "backward": ...}``.

    Args:
        forward: layer that reads forward.
        backward: layer that reads backward; another copy of ``forward``, with parameters of its own, when
            ``None``.
        merge: ``"concatenate"`` (along features), ``"add"``, ``"multiply"``, ``"average"``, or ``None`` for
            the tuple of both.

    Raises:
        TypeError: an argument is not a layer.
        ValueError: ``merge`` is unknown, or a layer is itself reversed; at use, the outputs can't be merged.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.bidirectional(nn.gru(4))
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((1, 5, 3)))
        >>> sorted(params), layer.apply(params, state, jnp.ones((2, 5, 3)))[0].shape
        (['backward', 'forward'], (2, 5, 8))
    """
    sides = (lift(forward), lift(forward if backward is None else backward))
    children = tuple(zip(_NAMES, sides, strict=True))
    if merge is not None:
        one_of("bidirectional", "merge", merge, tuple(_MERGES))
    for name, layer in children:
        if isinstance(layer, RecurrentLayer) and layer.reverse:
            raise ValueError(
                f"bidirectional: {name} is made with reverse=True, and would be turned around twice; "
                "leave reverse out, bidirectional turns time itself"
            )

    def plan(x: PyTree) -> Plan:
        plans = []
        for (name, layer), entry in zip(children, _split(x), strict=True):
            with child_scope(name):
                plans.append((name, plan_layer(layer, entry)))
        found = tuple(plans)
        output = jax.eval_shape(lambda a, b: _merged(merge, a, b), *(child.output for _, child in found))
        return Plan(result, x, spec_of(output), lambda key: build_children(found, key), found)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_children("bidirectional", params, _NAMES, "params")
        check_children("bidirectional", state, _NAMES, "state")
        outputs = []
        new_state: State = {}
        ahead, behind = _split(x)
        keys = fold_names(key, "apply", _NAMES)
        for (name, layer), entry, own in zip(children, (ahead, _turned_input(behind)), keys, strict=True):
            y, child_state = call_child(name, layer, params, state, entry, key=own, train=train)
            outputs.append(y)
            if child_state:
                new_state[name] = child_state
        return _merged(merge, *outputs), new_state

    made = planned("bidirectional", plan, apply)
    reason = "the way back begins at the end, which is still to come"
    result = WholeLayer(made.name, made.init, made.apply, made.plan, made.is_named, made.kind, reason)
    return result


def _split(x: PyTree) -> tuple[Any, Any]:
    """One input for each side: ``x``, or ``x`` with the side's own carry."""
    value, carries = (x[0], x[1:]) if isinstance(x, tuple) else (x, ())
    array = _value(value)
    if len(getattr(array, "shape", ())) != 3:
        raise ValueError(
            f"bidirectional: expected input [batch, time, features], got {describe(x)}; embed tokens, and "
            "use jax.vmap over further axes"
        )
    if not carries or carries == (None,):
        return value, value
    if len(carries) != 1 or not isinstance(carries[0], tuple) or len(carries[0]) != 2:
        raise TypeError(
            f"bidirectional: expected x or (x, (carry forward, carry backward)), got {describe(x)}"
        )
    ahead, behind = carries[0]
    return (value, ahead), (value, behind)


def _value(x: PyTree) -> Any:
    return x.value if isinstance(x, Masked) else x


def _turned_input(x: PyTree) -> PyTree:
    return (_turned(x[0]), x[1]) if isinstance(x, tuple) else _turned(x)


def _turned(x: Any) -> Any:
    """Time the other way around, values and mask alike."""
    if isinstance(x, Masked):
        return Masked(jnp.flip(x.value, 1), jnp.flip(x.mask, 1))
    return jnp.flip(x, 1)


def _merged(merge: str | None, ahead: Any, behind: Any) -> Any:
    if isinstance(ahead, tuple) and isinstance(behind, tuple):
        return _merged(merge, ahead[0], behind[0]), (ahead[1], behind[1])
    if len(_value(behind).shape) == 3:
        behind = _turned(behind)
    if merge is None:
        return ahead, behind
    left, right = _value(ahead), _value(behind)
    fits = left.shape[:-1] == right.shape[:-1] and (merge == "concatenate" or left.shape == right.shape)
    if not fits or left.dtype != right.dtype or isinstance(ahead, Masked) != isinstance(behind, Masked):
        raise ValueError(
            f"bidirectional: merge={merge!r} can't join {describe(ahead)} and {describe(behind)}; "
            "give both layers the same options, or merge=None"
        )
    merged = _MERGES[merge](left, right)
    return Masked(merged, ahead.mask) if isinstance(ahead, Masked) else merged

"""Free-form composition: the author writes a function of ``m`` and ``x``; a pure layer comes out.

``m`` lives for one call of that function and threads parameters, state and keys through it. Flax and
Haiku keep such a scope on a hidden stack and need lifted transformations; here it is an argument, and
what it cannot follow (a child with randomness or state inside the author's own ``scan``) raises.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.compose._children import name_children
from jaxnn.core import (
    Layer,
    MissingKeyError,
    Params,
    Plan,
    PyTree,
    State,
    apply_child,
    build_children,
    check_children,
    child_scope,
    describe,
    fold_name,
    fold_names,
    plan_layer,
    planned,
    require_key,
    same_spec,
    spec_of,
    split_records,
    without_probe,
)

_REMEDY = (
    "call it outside and pass the result in, or repeat layers with nn.repeat, recur with nn.rnn, "
    "rematerialise with nn.remat"
)


@dataclass(frozen=True, repr=False)
class FreeFormLayer(Layer):
    """A layer whose children an author's function calls.

    Attributes:
        follow: ``(call, x, key) -> (y, draws)``, that function with ``call(name, x, inside)`` in the place of
            its children, in evaluation; ``draws`` says whether it asked for a key.
    """

    follow: Callable[..., tuple[PyTree, bool]] | None = field(default=None, compare=False)


class Scope:
    """The ``m`` of an author's function: its children as attributes, ``train``, and ``key``.

    Attributes:
        train: whether the model is applied in training; a Python bool.
    """

    def __init__(self, owner: str, names: tuple[str, ...], call: Any, key: Any, train: bool) -> None:
        self._owner = owner
        self._names = names
        self._call = call
        self._key = key
        self._draws: dict[str, int] = {}
        self._trace = _trace_state()
        self.train = train

    def key(self, name: str) -> Any:
        """Return the random key called ``name``; a second request for it gives another key.

        Raises:
            ValueError: the model was applied without a key, or this is the author's own ``scan``,
                ``vmap``, ``cond`` or ``grad``.
        """
        if self._inside():
            raise ValueError(
                f"{self._owner}: m.key({name!r}) inside your own scan, vmap, cond or grad would give every "
                "iteration the same numbers; draw it outside, jax.random.split it, and map over the keys"
            )
        count = self._draws.get(name, 0)
        self._draws[name] = count + 1
        key = fold_name(require_key(f"{self._owner}: m.key({name!r})", self._key), "draw", name)
        return fold_name(key, "draw", f"call {count}") if count else key

    def _inside(self) -> bool:
        return _trace_state() != self._trace

    def __getattr__(self, name: str) -> Callable[[PyTree], PyTree]:
        if name.startswith("_") or name not in self._names:
            listed = ", ".join(self._names) or "none"
            raise AttributeError(f"{self._owner}: no child is called {name!r}; its children are {listed}")

        def child(*inputs: PyTree) -> PyTree:
            if len(inputs) != 1:
                raise TypeError(
                    f"{self._owner}: m.{name} takes one input, got {len(inputs)}; pass several as a tuple"
                )
            return self._call(name, inputs[0], self._inside())

        return child


def model(**children: Any) -> Callable[[Callable[[Any, PyTree], PyTree]], Layer]:
    """Turn a function ``(m, x) -> y`` into a ``Layer`` with the given children.

    Calling a child twice shares its parameters, folds the call's number into its key, and passes its
    state on from call to call.

    Args:
        **children: layers or callables, by the name under which ``m`` offers them.

    Raises:
        ValueError: a child is declared and never called, or has a name that ``m`` needs itself
            (``key``, ``train``). When the model is initialised or applied: a child that needs a key or
            carries state is called inside the author's own ``scan``, ``vmap``, ``cond`` or ``grad``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> @nn.model(encoder=nn.dense(4), decoder=nn.dense(9))
        ... def autoencoder(m, x):
        ...     return m.decoder(jax.nn.relu(m.encoder(x)))
        >>> params, state = autoencoder.init(jax.random.key(0), jnp.ones((1, 9)))
        >>> autoencoder.apply(params, state, jnp.ones((5, 9)))[0].shape
        (5, 9)
    """
    layers = dict(name_children("model", (), children))
    for name in layers:
        if name in ("key", "train") or name.startswith("_"):
            raise ValueError(f"model: a child can't be called {name!r}, which m uses itself; rename it")

    def decorate(function: Callable[[Any, PyTree], PyTree]) -> Layer:
        if not callable(function):
            raise TypeError(f"model: expected a function (m, x) -> y to decorate, got {describe(function)}")
        return _layer(getattr(function, "__name__", "model"), function, layers)

    return decorate


def _layer(owner: str, function: Callable[[Any, PyTree], PyTree], layers: dict[str, Layer]) -> Layer:
    owner = owner if owner.isidentifier() else "model"
    names = tuple(layers)

    def plan(x: PyTree) -> Plan:
        plans: dict[str, Plan] = {}
        for train in (False, True):
            output = _abstract(owner, function, layers, plans, x, train)
            if len(plans) == len(layers):
                break
        missing = [name for name in names if name not in plans]
        if missing:
            raise ValueError(
                f"{owner}: never calls its children {', '.join(map(repr, missing))}; call or remove them"
            )
        found = tuple(plans.items())
        if train:
            output = _abstract(owner, function, layers, plans, x, False)
        return Plan(result, x, output, lambda key: build_children(found, key), found)

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_children(owner, params, names, "params")
        check_children(owner, state, names, "state")
        current = dict(state)
        calls: dict[str, int] = {}
        keys = dict(zip(names, fold_names(key, "apply", names), strict=True))

        def call(name: str, x: PyTree, inside: bool) -> PyTree:
            count = calls.get(name, 0)
            calls[name] = count + 1
            if inside and split_records(current.get(name, {}))[0]:
                raise ValueError(_stateful_inside(owner, name))
            # Inside there is no state, and what a probe would find could not be carried out either.
            seen = {} if inside else current
            child_key = None if inside else keys[name]
            child_key = fold_name(child_key, "apply", f"call {count}") if count else child_key
            with child_scope(name):
                try:
                    y, new = apply_child(name, layers[name], params, seen, x, key=child_key, train=train)
                except MissingKeyError:
                    if inside:
                        raise ValueError(_random_inside(owner, name)) from None
                    raise
            if new and not inside:
                current[name] = new
            return y

        y = function(Scope(owner, names, call, key, train), x)
        return y, without_probe(current)

    def follow(call: Callable[[str, PyTree, bool], PyTree], x: PyTree, key: Any) -> tuple[PyTree, bool]:
        scope = Scope(owner, names, call, key, False)
        y = function(scope, x)
        return y, bool(scope._draws)

    made = planned(owner, plan, apply)
    result = FreeFormLayer(made.name, made.init, made.apply, made.plan, follow=follow)
    return result


def _abstract(
    owner: str,
    function: Callable[[Any, PyTree], PyTree],
    layers: dict[str, Layer],
    plans: dict[str, Plan],
    x: PyTree,
    train: bool,
) -> PyTree:
    """Run the author's function on specs, planning each child at its first call."""

    def call(name: str, x: PyTree, inside: bool) -> PyTree:
        with child_scope(name):
            spec = spec_of(x)
            if name not in plans:
                plans[name] = plan_layer(layers[name], spec)
            found = plans[name]
            trees: Any = ()
            if inside or not same_spec(spec, found.input):
                trees = jax.eval_shape(found.build, _key_spec())
            if inside:
                _check_inside(owner, name, layers[name], trees, spec)
            output = found.output
            if not same_spec(spec, found.input):
                output = spec_of(_output(layers[name], trees, spec, False, _key_spec()))
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), output)

    def run(x: PyTree, key: Any) -> PyTree:
        return function(Scope(owner, tuple(layers), call, key, train), x)

    return spec_of(jax.eval_shape(run, x, _key_spec()))


def _check_inside(owner: str, name: str, layer: Layer, trees: tuple[Params, State], spec: PyTree) -> None:
    if trees[1]:
        raise ValueError(_stateful_inside(owner, name))

    def run(params: Params, state: State, x: PyTree, key: Any) -> PyTree:
        return layer.apply(params, state, x, key=key, train=True)[0]

    from jax.interpreters.partial_eval import dce_jaxpr

    jaxpr = jax.make_jaxpr(run)(*trees, spec, _key_spec()).jaxpr
    _, used = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    if used[-1]:
        raise ValueError(_random_inside(owner, name))


def _output(layer: Layer, trees: tuple[Params, State], spec: PyTree, train: bool, key: Any) -> PyTree:
    def run(params: Params, state: State, x: PyTree, key: Any) -> PyTree:
        return layer.apply(params, state, x, key=key, train=train)[0]

    return jax.eval_shape(run, *trees, spec, key)


def _trace_state() -> Any:
    from jax.extend.core import get_opaque_trace_state  # 10 ms that a plain import of jaxnn does not need

    return get_opaque_trace_state()


def _key_spec() -> Any:
    return jax.eval_shape(jax.random.key, 0)


def _random_inside(owner: str, name: str) -> str:
    return (
        f"{owner}: the child {name!r} draws random numbers and is called inside your own scan, vmap, cond or "
        f"grad, where every iteration would repeat them; {_REMEDY}"
    )


def _stateful_inside(owner: str, name: str) -> str:
    return (
        f"{owner}: the child {name!r} carries state and is called inside your own scan, vmap, cond or grad, "
        f"out of which its new state cannot be carried; {_REMEDY}"
    )

"""Key discipline: the program is interpreted with concrete keys, and no key may be drawn from twice.

``jax.debug_key_reuse`` follows key variables, so it does not see that two ``fold_in`` calls with equal data
give equal keys. Here the keys themselves are compared, at every draw, through ``jit``, ``vmap``, ``scan``,
``cond`` and ``while``.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex
from jax.interpreters import partial_eval

from jaxnn.testing._linear import inner_jaxprs
from jaxnn.testing._program import is_key
from jaxnn.testing._report import Verdict, failed, passed

_DRAWS = ("random_bits", "random_gamma", "rng_bit_generator")
_DERIVES = ("random_split", "random_fold_in")
_CALLS = ("jit", "pjit", "closed_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_jvp_call")


class KeyLog:
    """Every key that was drawn from, and every key from which others were derived."""

    def __init__(self, draws: tuple[str, ...]) -> None:
        self.drawing = draws
        self.draws: Counter[bytes] = Counter()
        self.sources: dict[bytes, str] = {}
        self.derived: set[bytes] = set()

    def _each(self, keys: Any) -> list[bytes]:
        data = np.asarray(jax.random.key_data(keys)) if is_key(keys) else np.asarray(keys)
        return [row.tobytes() for row in data.reshape(-1, data.shape[-1])]

    def record(self, equation: Any, inputs: Sequence[Callable[[], Any]]) -> None:
        """Note what one equation does with its key."""
        name = equation.primitive.name
        if name in self.drawing:
            for key in self._each(inputs[0]()):
                self.draws[key] += 1
                self.sources.setdefault(key, f"{name}{list(np.shape(equation.outvars[-1].aval))}")
        elif name == "threefry2x32":
            self.draws[np.stack([np.asarray(i()).ravel()[0] for i in inputs[:2]]).tobytes()] += 1
        elif name in _DERIVES:
            self.derived.update(self._each(inputs[0]()))

    def problems(self) -> list[str]:
        """One line for each key that is used twice."""
        lines = []
        for key, count in self.draws.items():
            words = np.frombuffer(key, np.uint32).tolist()
            where = self.sources.get(key, "threefry2x32")
            if count > 1:
                lines.append(f"key {words} is drawn from {count} times, first by {where}")
            elif key in self.derived:
                lines.append(f"key {words} is drawn from by {where} and also split or folded")
        return lines


class _Later:
    """Values that are computed when a key or a branch asks for them, and never otherwise."""

    def __init__(self, compute: Callable[[], Sequence[Any]]) -> None:
        self.compute, self.values = compute, None

    def part(self, index: int) -> Callable[[], Any]:
        """One of the values, not yet computed."""

        def force() -> Any:
            if self.values is None:
                self.values = self.compute()
            return self.values[index]

        return force


Thunk = Callable[[], Any]


def _given(values: Sequence[Any]) -> list[Thunk]:
    return [lambda value=value: value for value in values]


def interpret(jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Thunk], log: KeyLog) -> list[Thunk]:
    """Walk a jaxpr one equation at a time, logging its keys; loops that draw run in Python."""
    known: dict[Any, Thunk] = dict(
        zip([*jaxpr.constvars, *jaxpr.invars], [*_given(consts), *inputs], strict=True)
    )

    def read(variable: Any) -> Thunk:
        return (lambda: variable.val) if isinstance(variable, jex.Literal) else known[variable]

    for equation in jaxpr.eqns:
        thunks = [read(v) for v in equation.invars]
        log.record(equation, thunks)
        known.update(zip(equation.outvars, _apply(equation, thunks, log), strict=True))
    return [read(v) for v in jaxpr.outvars]


def _apply(equation: Any, inputs: list[Thunk], log: KeyLog) -> list[Thunk]:
    name, params = equation.primitive.name, equation.params
    if name in _CALLS:
        closed = next(params[k] for k in ("call_jaxpr", "fun_jaxpr", "jaxpr") if k in params)
        if _draws(closed.jaxpr):
            return interpret(closed.jaxpr, closed.consts, inputs, log)
    if name in ("remat", "remat2", "checkpoint"):
        return interpret(params["jaxpr"], (), inputs, log)
    if name == "scan" and params["length"] and _draws(params["jaxpr"].jaxpr):
        return _scan(equation, inputs, log)
    if name == "cond" and any(_draws(branch.jaxpr) for branch in params["branches"]):
        branch = params["branches"][int(np.clip(int(inputs[0]()), 0, len(params["branches"]) - 1))]
        return interpret(branch.jaxpr, branch.consts, inputs[1:], log)
    if name == "while" and any(_draws(params[part].jaxpr) for part in ("cond_jaxpr", "body_jaxpr")):
        return _while(params, inputs, log)

    def compute() -> Sequence[Any]:
        outputs = equation.primitive.bind(*(thunk() for thunk in inputs), **params)
        return outputs if equation.primitive.multiple_results else [outputs]

    later = _Later(compute)
    return [later.part(index) for index in range(len(equation.outvars))]


def _draws(jaxpr: Any) -> bool:
    """Whether random numbers are drawn, or keys derived, anywhere in a jaxpr."""
    return _contains(jaxpr, (*_DRAWS, *_DERIVES, "threefry2x32", "random_unwrap"))


def _contains(jaxpr: Any, primitives: tuple[str, ...]) -> bool:
    return any(
        equation.primitive.name in primitives
        or any(_contains(inner, primitives) for inner in inner_jaxprs(equation))
        for equation in jaxpr.eqns
    )


def draws_random_numbers(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function draws random numbers; splitting and folding keys is not drawing."""
    closed = live_jaxpr(function, *arguments)
    return _contains(closed.jaxpr, (*drawing_primitives(closed), "threefry2x32"))


def live_jaxpr(function: Callable[..., Any], *arguments: Any) -> Any:
    """The traced function without what its results do not need."""
    closed = jax.make_jaxpr(function)(*arguments)
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), instantiate=True)
    return type(closed)(jaxpr, closed.consts)


def drawing_primitives(closed: Any) -> tuple[str, ...]:
    """Primitives that turn keys into random numbers.

    Reading a typed key's words is drawing: a hash of a counter is what they are. A program that also makes
    keys of words (the raw keys of old) only passes them on.
    """
    return _DRAWS if _contains(closed.jaxpr, ("random_wrap",)) else (*_DRAWS, "random_unwrap")


def scan_operands(equation: Any) -> tuple[int, int]:
    """How many of a scan's operands are constants, and how many carries follow.

    Versions of JAX write this down differently; the shapes tell it in all of them. What goes through a loop
    as it is has the rank that its body sees, and what is cut or stacked along time has one axis more.
    """
    body = equation.params["jaxpr"].jaxpr

    def whole(outer: Sequence[Any], inner: Sequence[Any]) -> int:
        return sum(len(o.aval.shape) == len(i.aval.shape) for o, i in zip(outer, inner, strict=True))

    carries = whole(equation.outvars, body.outvars)
    return whole(equation.invars, body.invars) - carries, carries


def _scan(equation: Any, inputs: list[Thunk], log: KeyLog) -> list[Thunk]:
    params, body = equation.params, equation.params["jaxpr"]
    consts, carries = scan_operands(equation)
    fixed, carry, xs = inputs[:consts], inputs[consts : consts + carries], inputs[consts + carries :]
    collected: list[list[Thunk]] = []
    steps = range(params["length"])
    for step in reversed(steps) if params["reverse"] else steps:
        rows = [lambda x=x, step=step: x()[step] for x in xs]
        outputs = interpret(body.jaxpr, body.consts, [*fixed, *carry, *rows], log)
        carry = outputs[:carries]
        collected.append(outputs[carries:])
    if params["reverse"]:
        collected.reverse()
    stacked = [lambda ys=ys: jnp.stack([y() for y in ys]) for ys in zip(*collected, strict=True)]
    return [*carry, *stacked]


def _while(params: Any, inputs: list[Thunk], log: KeyLog) -> list[Thunk]:
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    cond_consts, body_consts = inputs[:n_cond], inputs[n_cond : n_cond + n_body]
    carry = inputs[n_cond + n_body :]
    while bool(interpret(cond.jaxpr, cond.consts, [*cond_consts, *carry], log)[0]()):
        carry = interpret(body.jaxpr, body.consts, [*body_consts, *carry], log)
    return carry


def check_keys(name: str, function: Callable[..., Any], *arguments: Any) -> list[Verdict]:
    """No key is drawn from twice, and none is both drawn from and split or folded."""
    closed = live_jaxpr(function, *arguments)
    log = KeyLog(drawing_primitives(closed))
    interpret(closed.jaxpr, closed.consts, _given(jax.tree.leaves(arguments)), log)
    problems = log.problems()
    if problems:
        return [failed(name, "\n".join(problems))]
    return [passed(name)]

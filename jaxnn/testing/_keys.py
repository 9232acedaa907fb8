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

from jaxnn.testing._linear import inner_jaxprs
from jaxnn.testing._program import is_key
from jaxnn.testing._report import Verdict, failed, passed

_DRAWS = ("random_bits", "random_gamma", "rng_bit_generator")
_DERIVES = ("random_split", "random_fold_in")
_CALLS = ("jit", "pjit", "closed_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_jvp_call")


class KeyLog:
    """Every key that was drawn from, and every key from which others were derived."""

    def __init__(self) -> None:
        self.draws: Counter[bytes] = Counter()
        self.sources: dict[bytes, str] = {}
        self.derived: set[bytes] = set()

    def _each(self, keys: Any) -> list[bytes]:
        data = np.asarray(jax.random.key_data(keys)) if is_key(keys) else np.asarray(keys)
        return [row.tobytes() for row in data.reshape(-1, data.shape[-1])]

    def record(self, equation: Any, inputs: Sequence[Any]) -> None:
        """Note what one equation does with its key."""
        name = equation.primitive.name
        if name in _DRAWS:
            for key in self._each(inputs[0]):
                self.draws[key] += 1
                self.sources.setdefault(key, f"{name}{list(np.shape(equation.outvars[-1].aval))}")
        elif name == "threefry2x32":
            self.draws[np.stack([np.asarray(i).ravel()[0] for i in inputs[:2]]).tobytes()] += 1
        elif name in _DERIVES:
            self.derived.update(self._each(inputs[0]))

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


def interpret(jaxpr: Any, consts: Sequence[Any], values: Sequence[Any], log: KeyLog) -> list[Any]:
    """Evaluate a jaxpr one equation at a time, logging its keys; loops run in Python."""
    known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *values], strict=True))
    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, jex.Literal) else known[v] for v in equation.invars]
        log.record(equation, inputs)
        known.update(zip(equation.outvars, _apply(equation, inputs, log), strict=True))
    return [v.val if isinstance(v, jex.Literal) else known[v] for v in jaxpr.outvars]


def _apply(equation: Any, inputs: list[Any], log: KeyLog) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    if name in _CALLS:
        closed = next(params[k] for k in ("call_jaxpr", "fun_jaxpr", "jaxpr") if k in params)
        if not _draws(closed.jaxpr):
            return jax.jit(jex.jaxpr_as_fun(closed))(*inputs)
        return interpret(closed.jaxpr, closed.consts, inputs, log)
    if name in ("remat", "remat2", "checkpoint"):
        return interpret(params["jaxpr"], (), inputs, log)
    if name == "scan" and _draws(params["jaxpr"].jaxpr):
        return _scan(params, inputs, log)
    if name == "cond" and any(_draws(branch.jaxpr) for branch in params["branches"]):
        branch = params["branches"][int(np.clip(int(inputs[0]), 0, len(params["branches"]) - 1))]
        return interpret(branch.jaxpr, branch.consts, inputs[1:], log)
    if name == "while" and _draws(params["body_jaxpr"].jaxpr):
        return _while(params, inputs, log)
    outputs = equation.primitive.bind(*inputs, **params)
    return outputs if equation.primitive.multiple_results else [outputs]


def _draws(jaxpr: Any) -> bool:
    """Whether random numbers are drawn, or keys derived, anywhere in a jaxpr."""
    return _contains(jaxpr, (*_DRAWS, *_DERIVES, "threefry2x32"))


def _contains(jaxpr: Any, primitives: tuple[str, ...]) -> bool:
    return any(
        equation.primitive.name in primitives
        or any(_contains(inner, primitives) for inner in inner_jaxprs(equation))
        for equation in jaxpr.eqns
    )


def draws_random_numbers(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function draws random numbers; splitting and folding keys is not drawing."""
    return _contains(jax.make_jaxpr(function)(*arguments).jaxpr, (*_DRAWS, "threefry2x32"))


def _scan(params: Any, inputs: list[Any], log: KeyLog) -> list[Any]:
    consts, carries, body = params["num_consts"], params["num_carry"], params["jaxpr"]
    fixed, carry, xs = inputs[:consts], inputs[consts : consts + carries], inputs[consts + carries :]
    collected: list[list[Any]] = []
    steps = range(params["length"])
    for step in reversed(steps) if params["reverse"] else steps:
        outputs = interpret(body.jaxpr, body.consts, [*fixed, *carry, *(x[step] for x in xs)], log)
        carry = outputs[:carries]
        collected.append(outputs[carries:])
    if params["reverse"]:
        collected.reverse()
    return [*carry, *(jnp.stack(ys) for ys in zip(*collected, strict=True))]


def _while(params: Any, inputs: list[Any], log: KeyLog) -> list[Any]:
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    cond_consts, body_consts = inputs[:n_cond], inputs[n_cond : n_cond + n_body]
    carry = inputs[n_cond + n_body :]
    while bool(interpret(cond.jaxpr, cond.consts, [*cond_consts, *carry], log)[0]):
        carry = interpret(body.jaxpr, body.consts, [*body_consts, *carry], log)
    return carry


def check_keys(name: str, function: Callable[..., Any], *arguments: Any) -> list[Verdict]:
    """No key is drawn from twice, and none is both drawn from and split or folded."""
    closed = jax.make_jaxpr(function)(*arguments)
    log = KeyLog()
    interpret(closed.jaxpr, closed.consts, jax.tree.leaves(arguments), log)
    problems = log.problems()
    if problems:
        return [failed(name, "\n".join(problems))]
    return [passed(name)]

"""Which child of a free-form model feeds which, read from the jaxpr."""

from typing import Any, NamedTuple

import jax

from jaxnn.core import PROBE, Plan, Probe, listed_calls, split_records


class Wiring(NamedTuple):
    """The calls of a layer's children, in order, and what each takes.

    Attributes:
        calls: ``(name of the child, spec of its output)``.
        sources: for each call, the indices of the calls whose outputs it takes; -1 is the layer's input.
        result: the same for the layer's output.
    """

    calls: tuple[tuple[str, Any], ...]
    sources: tuple[tuple[int, ...], ...]
    result: tuple[int, ...]


def wiring_of(plan: Plan, train: bool) -> Wiring:
    """Trace a planned layer on its specs with a probe, and follow every input back to outputs."""
    key = jax.eval_shape(jax.random.key, 0)
    params, state = jax.eval_shape(plan.build, key)
    names: list[str] = []

    def run(params: Any, state: Any, key: Any, x: Any) -> Any:
        probed = {**state, PROBE: Probe(lambda x, y: (x, y))}
        y, new = plan.layer.apply(params, probed, x, key=key, train=train)
        calls = [(path, call) for path, _, call in listed_calls(split_records(new)[1]) if len(path) == 1]
        names[:] = [path[0] for path, _ in calls]
        return [call.found for _, call in calls], y

    closed, (shapes, _) = jax.make_jaxpr(run, return_shape=True)(params, state, key, plan.input)
    outvars = iter(closed.jaxpr.outvars)
    ends = [tuple([next(outvars) for _ in jax.tree.leaves(part)] for part in call) for call in shapes]
    given = len(jax.tree.leaves(plan.input))
    found: dict[Any, int] = dict.fromkeys(closed.jaxpr.invars[len(closed.jaxpr.invars) - given :], -1)
    producers = {var: eqn for eqn in closed.jaxpr.eqns for var in eqn.outvars}

    def follow(variables: list[Any]) -> tuple[int, ...]:
        sources, stack, visited = set(), list(variables), set()
        while stack:
            var = stack.pop()
            if hasattr(var, "val") or var in visited:
                continue
            visited.add(var)
            if var in found:
                sources.add(found[var])
            elif var in producers:
                stack.extend(producers[var].invars)
        return tuple(sorted(sources))

    sources = []
    for index, (inputs, outputs) in enumerate(ends):
        sources.append(follow(inputs))
        found.update((var, index) for var in outputs if not hasattr(var, "val"))
    calls = tuple((name, shape[1]) for name, shape in zip(names, shapes, strict=True))
    return Wiring(calls, tuple(sources), follow(list(outvars)))

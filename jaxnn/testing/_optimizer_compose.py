"""Update rules inside optax's own wrappers, and learning rates of every kind."""

import inspect
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._optimizer_laws import compare
from jaxnn.testing._program import compiled
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._rule import STEPS, Rule, arrays
from jaxnn.testing._tolerance import tolerance


def check_composition(rule: Rule) -> list[Verdict]:
    """``optax.chain``, ``masked`` and ``MultiSteps`` around the rule do what they say."""
    import optax

    gradients, allowed = rule.gradients(STEPS), tolerance(np.float64, "reduction")
    plain, _ = rule.trajectory(rule.params, gradients)

    def around(transform: Any, gradients: Any) -> Any:
        return _wrapped(transform, rule, gradients)

    chained = around(optax.chain(rule.transform, optax.scale(-0.5)), gradients)
    first = jax.tree.map(lambda u: -0.5 * u[:1], plain)
    text = "the first update inside optax.chain is not the rule's own, scaled"
    verdicts = compare(rule, "optax.chain", jax.tree.map(lambda u: u[:1], chained), first, allowed, text)

    doubled = jax.tree.map(lambda g: np.repeat(g, 2, axis=0), gradients)
    gathered = around(optax.MultiSteps(rule.transform, 2), doubled)
    every = jax.tree.map(lambda u: u[1::2], gathered)
    text = "each gradient given twice under optax.MultiSteps(2) differs from each given once"
    # MultiSteps gathers gradients in float32 whatever theirs is.
    verdicts += compare(rule, "optax.MultiSteps", every, plain, 1e-6, text)

    flags = [index == 0 for index in range(len(rule.paths))]
    mask = jax.tree.structure(rule.params).unflatten(flags)
    masked = arrays(around(optax.masked(rule.transform, mask), gradients))
    if any(not np.array_equal(u, g) for u, g in list(zip(masked, arrays(gradients), strict=True))[1:]):
        return [*verdicts, failed("optax.masked", "a masked leaf's gradient did not pass through unchanged")]
    return [*verdicts, passed("optax.masked")]


def _wrapped(transform: Any, rule: Rule, gradients: Any) -> Any:
    """Updates inside a wrapper of optax, some of which mix dtypes; whether the rule does, other laws tell."""
    with jax.numpy_dtype_promotion("standard"):
        return Rule(transform, rule.params, rule.seed).trajectory(rule.params, gradients)[0]


def check_rate(rule: Rule, factory: Any, rate: float) -> list[Verdict]:
    """A factory takes traced and injected rates; concrete negative and ``nan`` rates raise ``ValueError``."""
    import optax

    gradients, allowed = rule.gradients(STEPS), tolerance(np.float64, "reduction")
    plain, _ = rule.trajectory(rule.params, gradients)

    def renamed(learning_rate: Any) -> Any:
        return factory(learning_rate)

    named = "learning_rate" in inspect.signature(factory).parameters
    made = optax.inject_hyperparams(factory if named else renamed)(learning_rate=rate)
    text = "optax.inject_hyperparams changes the updates"
    # The injected rate lives in float32, so it is only that close.
    verdicts = compare(rule, "injected rate", _wrapped(made, rule, gradients), plain, 1e-6, text)

    def updates(rate: Any, params: Any, gradients: Any) -> Any:
        transform = factory(rate)
        return transform.update(gradients, transform.init(params), params)[0]

    with jax.enable_x64(True):
        first = jax.tree.map(lambda g: jnp.asarray(g[0]), gradients)
        params = jax.tree.map(jnp.asarray, rule.params)
        rates = jnp.asarray([rate, 0.5 * rate])
        mapped = compiled(jax.vmap(updates, in_axes=(0, None, None)))(rates, params, first)
    same = jax.tree.map(lambda u: np.asarray(u[0]), mapped)
    once = jax.tree.map(lambda u: u[0], plain)
    verdicts += compare(
        rule, "traced rate", same, once, allowed, "vmap over learning rates changes the update"
    )
    for bad in (-1.0, math.nan):
        name = f"rate {bad:g} raises"
        try:
            factory(bad)
        except ValueError:
            verdicts.append(passed(name))
        else:
            verdicts.append(failed(name, f"a learning rate of {bad:g} is accepted silently"))
    return verdicts

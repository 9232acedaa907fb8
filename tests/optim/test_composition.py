"""Rules inside optax's wrappers, Flax's optimizer and an Equinox loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxnn import optim
from tests.optim.cases import CASES, RULES, Case

FIRST = [next(case for case in CASES if case.rule == rule) for rule in RULES]
PARAMS = {"kernel": jnp.linspace(-1.0, 1.0, 6).reshape(2, 3), "bias": jnp.asarray([0.5, -0.5, 0.25])}
GRADIENTS = {"kernel": jnp.cos(jnp.arange(6.0)).reshape(2, 3), "bias": jnp.sin(jnp.arange(3.0) + 1)}


@pytest.mark.parametrize("case", FIRST, ids=lambda case: case.rule)
def test_the_wrappers_of_optax_change_nothing(case: Case) -> None:
    def injected(rate: float) -> optax.GradientTransformation:
        return optax.inject_hyperparams(lambda learning_rate: case.make(learning_rate))(learning_rate=rate)

    wrapped = {
        "chain": optax.chain(optax.clip_by_global_norm(1e6), case.make(0.1)),
        "masked": optax.masked(case.make(0.1), {"kernel": True, "bias": False}),
        "multi_steps": optax.MultiSteps(case.make(0.1), 1).gradient_transformation(),
        "inject": injected(0.1),
        "schedule": case.make(optax.constant_schedule(0.1)),
        "partition": optax.partition(
            {"a": case.make(0.1), "b": case.make(0.1)}, {"kernel": "a", "bias": "b"}
        ),
        "skip_nonfinite": optim.skip_nonfinite(case.make(0.1)),
        "accumulate": optim.accumulate(case.make(0.1), 1),
    }
    if case.elementwise:
        wrapped["flatten"] = optax.flatten(case.make(0.1))

    @jax.jit
    def two_steps(params, gradients):
        found = {}
        for name, rule in {"alone": case.make(0.1), **wrapped}.items():
            state = rule.init(params)
            _, state = rule.update(gradients, state, params)
            found[name], _ = rule.update(gradients, state, params)
        return found

    with jax.numpy_dtype_promotion("standard"):  # optax's wrappers mix int32 with float32
        found = two_steps(PARAMS, GRADIENTS)
    for name in wrapped:
        np.testing.assert_allclose(
            found[name]["kernel"], found["alone"]["kernel"], rtol=2e-5, atol=1e-7, err_msg=name
        )
        bias = GRADIENTS["bias"] if name == "masked" else found["alone"]["bias"]
        np.testing.assert_allclose(found[name]["bias"], bias, rtol=2e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("rule", RULES)
def test_rates_can_be_swept_and_extra_arguments_ignored(rule: str) -> None:
    def step(rate: jax.Array) -> jax.Array:
        transform = getattr(optim, rule)(rate)
        state = transform.init(PARAMS)
        _, state = transform.update(GRADIENTS, state, PARAMS, value=jnp.asarray(1.0))
        return transform.update(GRADIENTS, state, PARAMS)[0]["bias"]

    rates = jnp.asarray([0.0, 0.1, 0.2])
    found = jax.jit(jax.vmap(step))(rates)
    assert np.all(np.asarray(found[0]) == 0.0)
    np.testing.assert_allclose(found[1], step(0.1), rtol=2e-5)


def test_every_hyper_parameter_can_be_injected() -> None:
    for rule, options in (
        ("adam", {}),
        ("nadam", {"form": "torch"}),
        ("radam", {}),
        ("rmsprop", {"momentum": 0.9}),
        ("adafactor", {}),
        ("muon", {}),
    ):
        plain = getattr(optim, rule)(0.1, **options)
        injected = optax.inject_hyperparams(getattr(optim, rule))(learning_rate=0.1, **options)
        state, other = plain.init(PARAMS), injected.init(PARAMS)
        assert "learning_rate" in other.hyperparams
        wanted, _ = plain.update(GRADIENTS, state, PARAMS)
        found, _ = jax.jit(injected.update)(GRADIENTS, other, PARAMS)
        np.testing.assert_allclose(found["kernel"], wanted["kernel"], rtol=1e-4)


@pytest.mark.parametrize("rule", RULES)
def test_optax_finds_the_parameters_in_a_state(rule: str) -> None:
    transform = getattr(optim, rule)(0.1)
    state = transform.init(PARAMS)
    marked = optax.tree_map_params(transform, lambda _: "slot", state)
    slots = [leaf for leaf in jax.tree.leaves(marked) if isinstance(leaf, str)]
    assert len(slots) == sum(jnp.ndim(leaf) > 0 for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("rule", ["adamw", "lamb", "muon", "rmsprop"])
def test_flax_nnx(rule: str) -> None:
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, getattr(optim, rule)(0.1), wrt=nnx.Param)
    x, before = jnp.ones((4, 3)), np.asarray(model.kernel[...])

    @nnx.jit
    def step(model, optimizer):
        loss, gradients = nnx.value_and_grad(lambda m: jnp.mean(m(x) ** 2))(model)
        optimizer.update(model, gradients)
        return loss

    losses = [float(step(model, optimizer)) for _ in range(3)]
    assert np.all(np.isfinite(losses))
    assert not np.array_equal(before, model.kernel[...])


@pytest.mark.parametrize("rule", ["adam", "adafactor"])
def test_equinox(rule: str) -> None:
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(3, 1, 4, 1, key=jax.random.key(0))
    transform = getattr(optim, rule)(0.05)
    state, x = transform.init(eqx.filter(model, eqx.is_inexact_array)), jnp.ones((4, 3))

    @eqx.filter_jit
    def step(model, state):
        loss, gradients = eqx.filter_value_and_grad(lambda m: jnp.mean(jax.vmap(m)(x) ** 2))(model)
        updates, state = transform.update(gradients, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state, loss

    losses = []
    for _ in range(5):
        model, state, loss = step(model, state)
        losses.append(float(loss))
    assert losses[-1] < losses[0]

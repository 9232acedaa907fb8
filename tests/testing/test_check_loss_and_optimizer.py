"""``check_loss`` and ``check_optimizer`` on code of the package, of optax, and on what breaks their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import losses, optim, testing

OUTPUTS = jax.ShapeDtypeStruct((3, 4), jnp.float32)
LABELS = np.array([0, 3, 1], np.int32)


@pytest.fixture
def usual_promotion():
    """optax computes powers of Python floats and integer arrays."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def failed(report):
    return [verdict.check for verdict in report.failures]


def test_cross_entropy_obeys_its_laws():
    table = [
        testing.HardPoint("confident and right", [1e4, -1e4, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
        testing.HardPoint("confident and wrong", [1e4, -1e4, 0.0], 1, 20000.0, [1.0, -1.0, 0.0]),
        testing.HardPoint("equal logits", np.zeros(10), 3, 2.302585, np.full(10, 0.1) - np.eye(10)[3]),
        testing.HardPoint("impossible class absent", [0.0, -np.inf], 0, 0.0, [0.0, 0.0]),
        testing.HardPoint("impossible class present", [0.0, -np.inf], 1, np.inf),
    ]
    lanes = ["values", "gradients", "rows", "points", "laws", "table"]
    testing.check_loss(
        losses.cross_entropy, OUTPUTS, LABELS, shift_invariant=True, convex=True, table=table, lanes=lanes
    )


def test_squared_error_has_its_minimum_at_the_target():
    testing.check_loss(
        losses.squared_error,
        OUTPUTS,
        OUTPUTS,
        differentiate=(0, 1),
        convex=True,
        minimum=lambda t: t,
        lanes=["gradients", "laws"],
    )


def test_a_loss_that_broadcasts_is_found():
    def careless(outputs, targets):
        return jnp.mean(jnp.square(outputs - targets), -1)

    with jax.numpy_rank_promotion("allow"):
        report = testing.check_loss(careless, OUTPUTS, OUTPUTS, lanes=["laws"], raises=False)
    assert failed(report) == ["shapes that would broadcast raise"]


def test_a_declared_law_that_does_not_hold_is_found():
    report = testing.check_loss(
        losses.squared_error,
        OUTPUTS,
        OUTPUTS,
        shift_invariant=True,
        minimum=lambda t: t + 1,
        lanes=["laws"],
        raises=False,
    )
    assert failed(report) == ["shift invariance", "gradient sums to zero", "minimum"]


def test_a_gradient_of_nan_is_no_minimum():
    """The distance itself has no derivative where it is zero, and JAX gives NaN there."""

    def distance(outputs, targets):
        return jnp.sqrt(jnp.sum(jnp.square(outputs - targets), -1))

    report = testing.check_loss(
        distance, OUTPUTS, OUTPUTS, minimum=lambda t: t, refuses_broadcast=False, lanes=["laws"], raises=False
    )
    assert failed(report) == ["minimum"]
    assert "is nan, not zero" in str(report)


def test_a_loss_that_is_nan_is_not_convex():
    def nothing(outputs, targets):
        return jnp.sum(outputs - targets, -1) * jnp.nan

    report = testing.check_loss(
        nothing,
        OUTPUTS,
        OUTPUTS,
        convex=True,
        permutation_invariant=False,
        refuses_broadcast=False,
        lanes=["laws"],
        raises=False,
    )
    assert failed(report) == ["convexity"]


@pytest.mark.parametrize("within", [jnp.inf, -jnp.inf, jnp.nan])
def test_a_loss_that_is_not_finite_between_finite_ends_is_not_convex(within):
    def broken(outputs, targets):
        total = jnp.sum(outputs, -1)
        return jnp.where(jnp.abs(total) < 1, within, total**2)

    ones = np.ones((4, 3))
    report = testing.check_loss(
        broken, ones, ones, convex=True, refuses_broadcast=False, lanes=["laws"], raises=False
    )
    assert failed(report) == ["convexity"]
    assert f"where the loss is finite it is {within}" in str(report)


@pytest.mark.usefixtures("usual_promotion")
def test_adam_obeys_its_laws():
    lanes = ["values", "state", "symmetry", "dtypes"]
    testing.check_optimizer(
        optim.adam,
        unit_step=0.1,
        scale_invariant=True,
        reference=optax.adam(0.1),
        dtypes=[jnp.float16],
        lanes=lanes,
    )


@pytest.mark.usefixtures("usual_promotion")
def test_decay_is_declared_leaf_by_leaf():
    decays = {"dense": {"kernel": True, "bias": True}, "scale": True}
    rule = optax.adamw(0.1, weight_decay=0.1)
    testing.check_optimizer(rule, decays=decays, dtypes=[], lanes=["values"])
    report = testing.check_optimizer(rule, dtypes=[], lanes=["values"], raises=False)
    assert failed(report) == ["zero gradient, float64"]


def test_an_oracle_is_compared_step_by_step():
    def oracle(params, gradients):
        return [jax.tree.map(lambda g: -0.1 * g, tree) for tree in gradients]

    testing.check_optimizer(optax.sgd(0.1), oracle=oracle, lanes=["values"])
    report = testing.check_optimizer(optax.sgd(0.1, 0.9), oracle=oracle, lanes=["values"], raises=False)
    assert failed(report) == ["oracle", "oracle, float32"]
    assert "first at step 2" in str(report)


@pytest.mark.usefixtures("usual_promotion")
def test_parameters_of_zero_need_not_shrink():
    params = {"kernel": np.ones((2, 2)), "bias": np.zeros(2)}
    rule = optax.adamw(0.1, weight_decay=0.1)
    testing.check_optimizer(rule, params, decays=True, dtypes=[], lanes=["values"])
    bare = testing.check_optimizer(
        optax.adam(0.1), params, decays=True, dtypes=[], lanes=["values"], raises=False
    )
    assert failed(bare) == ["zero gradient, float64"]


@pytest.mark.usefixtures("usual_promotion")
def test_states_of_bfloat16_and_of_keys_are_resumed():
    testing.check_optimizer(optax.adam(0.1, mu_dtype=jnp.bfloat16), lanes=["state"])
    noisy = optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(0)), optax.sgd(0.1))
    assert "save and resume" not in failed(testing.check_optimizer(noisy, lanes=["state"], raises=False))


@pytest.mark.parametrize("factory", [optim.sgd, lambda rate: optim.sgd(rate)])
def test_a_factory_may_name_its_rate_as_it_likes(factory):
    report = testing.check_optimizer(factory, lanes=["compose"])
    assert "injected rate" in {verdict.check for verdict in report.verdicts}


def test_a_global_norm_must_be_declared():
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))
    report = testing.check_optimizer(rule, lanes=["symmetry"], raises=False)
    assert failed(report) == ["leaves act alone"]
    testing.check_optimizer(rule, cross_leaf=True, lanes=["symmetry"])


def test_unknown_lanes_are_refused():
    with pytest.raises(ValueError, match="check_loss: unknown lanes"):
        testing.check_loss(losses.squared_error, OUTPUTS, OUTPUTS, lanes=["law"])
    with pytest.raises(ValueError, match="check_optimizer: unknown lanes"):
        testing.check_optimizer(optax.sgd(0.1), lanes=["law"])

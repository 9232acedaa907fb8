"""``check_function``: what it accepts, what it catches, and what its report says."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import testing


def rule(slope):
    """``sum(x**3)`` with a hand-written derivative."""

    @jax.custom_vjp
    def cubes(x):
        return jnp.sum(x**3)

    cubes.defvjp(lambda x: (cubes(x), x), lambda x, g: (g * slope(x),))
    return cubes


def mlp(params, x):
    return jnp.tanh(x @ params["kernel"] + params["bias"][None])


PARAMS = {"kernel": np.linspace(-1, 1, 12).reshape(4, 3), "bias": np.zeros(3)}
X = np.random.default_rng(0).standard_normal((2, 4))
VALUES = np.random.default_rng(1).standard_normal(5)


def test_a_function_of_pytrees_passes_every_lane():
    report = testing.check_function(
        mlp, PARAMS, X, rows=(1,), oracle=lambda p, x: np.tanh(x @ p["kernel"] + p["bias"])
    )
    checks = {verdict.check for verdict in report.verdicts}
    assert {
        "oracle",
        "finite difference",
        "dot product",
        "vmap over params alone",
        "rows one by one",
    } <= checks
    assert report.outcome is testing.Outcome.PASS


@pytest.mark.parametrize(
    ("slope", "hint"),
    [
        (lambda x: -3 * x * x, "ratio -1: the sign is wrong"),
        (lambda x: 6 * x * x, "ratio 2: a factor of 2 too much"),
        (lambda x: 1.5 * x * x, "ratio 0.5: a factor of 2 is missing"),
        (lambda x: 0 * x, "ratio 0: the gradient is stopped"),
        (lambda x: 3 * x * x / 5, "ratio 0.2: 1/5, and an axis has 5 entries: a mean where a sum belongs"),
        (lambda x: 3 * x * x / (0 * x), "not finite"),
    ],
)
def test_the_report_names_the_entry_the_ratio_and_a_hint(slope, hint):
    with pytest.raises(testing.CheckError) as caught:
        testing.check_function(rule(slope), VALUES, lanes=["gradients"])
    message = str(caught.value)
    assert "x[" in message
    assert hint in message
    assert "replay: check_function(cubes, x, seed=0, lanes=['gradients'])" in message


def test_one_wrong_entry_is_found_among_4096():
    values = np.random.default_rng(2).standard_normal((64, 64))
    wrong = rule(lambda x: (3 * x * x).at[17, 5].multiply(1.5))
    report = testing.check_function(wrong, values, lanes=["gradients"], raises=False)
    detail = report.failures[0].detail
    assert detail.startswith("x[17, 5]: automatic differentiation")
    assert "ratio 1.5" in detail


def test_the_error_is_an_assertion_error_and_carries_the_report():
    with pytest.raises(AssertionError) as caught:
        testing.check_function(rule(lambda x: x), VALUES, lanes=["gradients"])
    assert isinstance(caught.value, testing.CheckError)
    assert caught.value.report.outcome is testing.Outcome.FAIL


def test_a_leaf_without_influence_fails_unless_declared():
    def ignores(a, b):
        return jnp.sin(a) + 0 * b

    report = testing.check_function(ignores, X, X, lanes=["gradients"], raises=False)
    assert [verdict.check for verdict in report.failures] == ["live leaves"]
    assert "b" in report.failures[0].detail
    testing.check_function(ignores, X, X, lanes=["gradients"], live=["a"])


def test_a_point_on_a_kink_is_moved_off_it():
    testing.check_function(lambda x: jnp.max(x, -1), np.ones((3, 4)), lanes=["gradients"])
    testing.check_function(jax.nn.relu, np.zeros(4), lanes=["gradients"])


def test_a_large_piecewise_linear_function_passes():
    values = np.random.default_rng(3).standard_normal(4096)
    testing.check_function(lambda x: jnp.abs(x) + jax.nn.relu(x), values, lanes=["gradients"])


def test_a_wrong_oracle_is_reported_with_its_entry():
    report = testing.check_function(jnp.sin, X, lanes=["values"], oracle=np.cos, raises=False)
    assert "the oracle gives" in report.failures[0].detail


def test_a_declared_twin_is_compared():
    testing.check_function(
        rule(lambda x: 3 * x * x), VALUES, lanes=["gradients"], twin=lambda x: jnp.sum(x**3)
    )
    report = testing.check_function(
        jnp.sin, VALUES, lanes=["gradients"], twin=lambda x: jnp.sin(x) + 1e-6 * x, raises=False
    )
    assert [verdict.check for verdict in report.failures] == ["declared twin"]


def test_a_custom_vjp_is_compared_with_its_own_body():
    report = testing.check_function(rule(lambda x: 3 * x * x), VALUES, lanes=["gradients"])
    assert "undecorated twin" in [verdict.check for verdict in report.verdicts]
    assert any("no forward mode" in note for note in report.notes)


def test_rows_that_see_each_other_fail():
    report = testing.check_function(
        lambda x: x - jnp.mean(x, 0, keepdims=True), X, rows=(0,), lanes=["rows"], raises=False
    )
    assert "rows independent" in [verdict.check for verdict in report.failures]


def test_auxiliary_outputs_are_not_differentiated():
    def with_aux(x):
        return jnp.sin(x), jnp.floor(x)

    testing.check_function(with_aux, X, has_aux=True)


def test_integers_and_keys_are_held_fixed():
    def gathered(table, index, key):
        keep = jax.random.bernoulli(key, 0.5, (3, 2))
        return jnp.where(keep, table[index], 0)

    table = np.random.default_rng(4).standard_normal((5, 2))
    testing.check_function(
        gathered, table, np.array([0, 4, 4]), jax.random.key(0), lanes=["gradients", "transforms", "keys"]
    )


def test_float32_on_the_way_is_said_plainly():
    report = testing.check_function(
        lambda x: jnp.sin(x.astype(jnp.float32)).astype(x.dtype), X, lanes=["dtypes"], raises=False
    )
    assert "float64 inside" in [verdict.check for verdict in report.failures]


def test_hard_points_are_checked_where_given():
    def length(x):
        return jnp.sqrt(jnp.sum(jnp.square(x), -1))

    report = testing.check_function(
        length, X, lanes=["points"], hard_points={"origin": np.zeros_like(X)}, raises=False
    )
    assert "not finite" in report.failures[0].detail


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="unknown lanes"):
        testing.check_function(jnp.sin, X, lanes=["gradient"])
    with pytest.raises(ValueError, match="no floating leaf"):
        testing.check_function(jnp.sin, np.arange(3))
    with pytest.raises(TypeError, match="can't know which values"):
        testing.check_function(jnp.sin, jax.ShapeDtypeStruct((3,), jnp.int32))
    with pytest.raises(TypeError, match="complex"):
        testing.check_function(jnp.sin, np.ones(3, np.complex64))


class TestVariants(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_chex_variants_are_functions_like_any_other(self):
        testing.check_function(self.variant(jnp.tanh), VALUES, lanes=["gradients"])


def test_a_wrong_gradient_beside_a_large_constant_is_found():
    """Rounding grows as the step shrinks, and must not excuse what a longer step has shown."""

    def shifted(slope):
        @jax.custom_vjp
        def tripled(x):
            return 1e8 + 3 * x

        tripled.defvjp(lambda x: (tripled(x), None), lambda _, g: (g * slope,))
        return tripled

    lanes = ["gradients"]
    report = testing.check_function(shifted(2.5), VALUES, lanes=lanes, raises=False)
    assert "finite difference" in {verdict.check for verdict in report.failures}
    testing.check_function(shifted(3.0), VALUES, lanes=lanes)


def test_the_end_of_a_domain_has_one_derivative():
    """``x**1.5`` is NaN below zero; its slope there is the one from above."""
    testing.check_function(lambda x: jnp.sum(x**1.5), np.abs(VALUES) + 0.1, lanes=["points"])

    @jax.custom_vjp
    def wrong(x):
        return jnp.sum(x**1.5)

    wrong.defvjp(lambda x: (wrong(x), x), lambda x, g: (g * (1.5 * jnp.sqrt(x) + 1),))
    report = testing.check_function(wrong, np.abs(VALUES) + 0.1, lanes=["points"], raises=False)
    assert report.outcome is testing.Outcome.FAIL

"""Losses: closed forms, hard points, and the numbers that the courses print."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import losses, metrics

INF = jnp.inf
HARD = {
    "right by far": ([1e4, -1e4, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
    "wrong by far": ([1e4, -1e4, 0.0], 1, 2e4, [1.0, -1.0, 0.0]),
    "equal": ([0.0] * 10, 3, 2.302585, [0.1] * 3 + [-0.9] + [0.1] * 6),
    "impossible class": ([0.0, -INF], 0, 0.0, [0.0, 0.0]),
    "one class": ([5.0], 0, 0.0, [0.0]),
}


@pytest.mark.parametrize("form", ["integer", "one-hot"])
@pytest.mark.parametrize("name", HARD)
def test_cross_entropy_at_hard_points(name: str, form: str) -> None:
    logits, label, value, gradient = HARD[name]
    labels = jnp.asarray(label) if form == "integer" else jax.nn.one_hot(label, len(logits))
    found, slope = jax.value_and_grad(losses.cross_entropy)(jnp.array(logits), labels)
    np.testing.assert_allclose(found, value, rtol=1e-6)
    np.testing.assert_allclose(slope, gradient, atol=1e-6)


def test_label_on_an_impossible_class_costs_infinity() -> None:
    assert losses.cross_entropy(jnp.array([0.0, -INF]), jnp.asarray(1)) == INF


@pytest.mark.parametrize(
    ("logit", "label", "value", "gradient"),
    [
        (10000.0, 0.0, 10000.0, 1.0),
        (-10000.0, 1.0, 10000.0, -1.0),
        (10000.0, 1.0, 0.0, 0.0),
        (-10000.0, 0.0, 0.0, 0.0),
        (INF, 1.0, 0.0, 0.0),
        (-INF, 0.0, 0.0, 0.0),
        (0.0, 0.5, math.log(2), 0.0),
        (0.0, 1.0, math.log(2), -0.5),
    ],
)
def test_binary_cross_entropy_at_hard_points(logit, label, value, gradient) -> None:
    run = jax.value_and_grad(lambda z: losses.binary_cross_entropy(z, jnp.array([label])))
    found, slope = run(jnp.array([logit]))
    np.testing.assert_allclose(found, value, rtol=1e-6)
    np.testing.assert_allclose(slope, [gradient], atol=1e-7)


def test_course_values() -> None:
    y = jnp.array([0.01, 0.23, 0.76])
    np.testing.assert_allclose(losses.cross_entropy(jnp.log(y), jnp.asarray(2)), 0.2744368457, rtol=1e-6)
    two = jnp.log(jnp.array([0.3, 0.7]))
    np.testing.assert_allclose(losses.cross_entropy(two, jnp.array([1.0, 0.0])), 1.2039728043, rtol=1e-6)
    out, want = jnp.array([4.59, 9.2, 4.79, 9.4]), jnp.array([2.0, 3, 4, 5])
    np.testing.assert_allclose(losses.half_squared_error(out, want), 32.5661, rtol=1e-6)
    np.testing.assert_allclose(losses.squared_error(out, want), 16.28305, rtol=1e-6)
    np.testing.assert_allclose(
        losses.binary_cross_entropy(jnp.array([6.78]), jnp.array([1])), 0.0011356298, rtol=1e-4
    )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_losses_are_float32_at_least(dtype) -> None:
    x = jnp.ones((3, 4), dtype)
    for loss in (losses.cross_entropy, losses.binary_cross_entropy, losses.squared_error):
        assert loss(x, jnp.full_like(x, 0.25)).dtype == jnp.float32
    assert losses.cross_entropy(x, jnp.zeros(3, jnp.int32)).shape == (3,)


def test_accuracy_merges_exactly() -> None:
    logits = jax.random.normal(jax.random.key(0), (10, 3))
    labels = jnp.arange(10) % 3
    whole = metrics.accuracy(logits, labels)
    parts = metrics.merge(metrics.accuracy(logits[:7], labels[:7]), metrics.accuracy(logits[7:], labels[7:]))
    assert whole.compute() == parts.compute() == (logits.argmax(-1) == labels).mean()
    weights = jnp.where(jnp.arange(10) < 4, 1.0, 0.0)
    np.testing.assert_allclose(
        metrics.accuracy(logits, labels, weights).compute(),
        metrics.accuracy(logits[:4], labels[:4]).compute(),
    )
    one_hot = metrics.accuracy(logits, jax.nn.one_hot(labels, 3))
    assert one_hot.compute() == whole.compute()


def test_labels_of_few_bits_do_not_wrap() -> None:
    logits = jnp.zeros((1, 258)).at[0, 256].set(5.0)
    found = losses.cross_entropy(logits, jnp.zeros(1, jnp.uint8))
    np.testing.assert_allclose(found, losses.cross_entropy(logits, jnp.zeros(1, jnp.int32)))


@pytest.mark.parametrize("label", [-1, 3])
def test_traced_labels_out_of_range_cost_nan_unless_they_weigh_nothing(label: int) -> None:
    labels = jnp.array([0, label])
    values = jax.jit(losses.cross_entropy)(jnp.zeros((2, 3)), labels)
    assert jnp.isnan(values).tolist() == [False, True]

    def loss(logits, labels):
        return metrics.Mean.of(losses.cross_entropy(logits, labels), jnp.array([1.0, 0.0])).compute()

    assert jnp.all(jnp.isfinite(jax.jit(jax.grad(loss))(jnp.zeros((2, 3)), labels)))


def test_binary_labels_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"labels must be in \[0, 1\], got -1 to 1; .*\(labels \+ 1\) / 2"):
        losses.binary_cross_entropy(jnp.zeros(2), jnp.array([-1.0, 1.0]))
    assert jnp.isnan(jax.jit(losses.binary_cross_entropy)(jnp.zeros(2), jnp.array([-1.0, 1.0])))


def test_hinge_of_logits_that_are_all_impossible() -> None:
    low = -jnp.inf
    outputs = jnp.array([[low, low, low], [low, 1.0, low], [2.0, low, low]])
    labels = jnp.zeros(3, int)
    assert losses.hinge(outputs, labels).tolist() == [jnp.inf, jnp.inf, 0.0]
    assert jnp.isfinite(jax.grad(lambda z: losses.hinge(z, labels).sum())(outputs)).all()


def test_one_logit_has_no_largest() -> None:
    with pytest.raises(ValueError, match=r"at least 2 classes, got float32\[3, 1\]; .*binary_accuracy"):
        metrics.accuracy(jnp.zeros((3, 1)), jnp.zeros((3, 1)))


def test_weights_of_another_shape_are_not_broadcast() -> None:
    with pytest.raises(ValueError, match=r"float32\[3, 3\] and float32\[3\]"):
        metrics.Mean.of(jnp.zeros((3, 3)), jnp.ones(3))


def test_empty_and_fully_masked_means_are_zero() -> None:
    assert metrics.Mean.of(jnp.zeros((0,))).compute() == 0
    assert metrics.Mean.of(jnp.array([jnp.nan]), jnp.array([0.0])).compute() == 0

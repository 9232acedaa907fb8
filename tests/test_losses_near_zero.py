"""Small losses keep their digits in float32 and are never below 0, beside float64 sums of positive terms."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import losses

RNG = np.random.default_rng(2)
N, K = 200, 5
CLASSES = RNG.integers(0, K, N)
ONE_HOT = np.eye(K, dtype=np.float32)[CLASSES]
# The label leads by 0 to 60 beside any offset.
LOGITS = (
    RNG.normal(size=(N, K)) + ONE_HOT * RNG.uniform(0, 60, (N, 1)) + RNG.choice([0, -1e3, 1e3, 1e4], (N, 1))
).astype(np.float32)
DTYPES = [jnp.float32, jnp.bfloat16, jnp.float16]


def label_cost(z: np.ndarray) -> np.ndarray:
    """Cross entropy in float64 without a difference of its own."""
    z = z.astype(np.float64)
    own = np.take_along_axis(z, CLASSES[:, None], -1)
    return np.log1p(np.where(ONE_HOT == 1, 0, np.exp(z - own)).sum(-1))


def given(dtype: Any) -> tuple[Any, np.ndarray]:
    z = jnp.asarray(LOGITS, dtype)
    return z, np.asarray(z, np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", ["integers", "one-hot", "smoothed by 0"])
def test_cross_entropy(form: str, dtype: Any) -> None:
    z, exact = given(dtype)
    labels = jnp.asarray(ONE_HOT if form == "one-hot" else CLASSES)
    share = jnp.zeros(()) if form == "smoothed by 0" else 0.0
    found = jax.jit(functools.partial(losses.cross_entropy, label_smoothing=share))(z, labels)
    np.testing.assert_allclose(found, label_cost(exact), rtol=1e-5, atol=1e-37)
    assert (found >= 0).all()


@pytest.mark.parametrize("share", [1e-6, 0.1])
def test_label_smoothing_is_never_below_the_entropy_of_its_targets(share: float) -> None:
    p = (1 - share) * ONE_HOT.astype(np.float64) + share / K
    z = jnp.asarray(np.log(p), jnp.float32)
    found = losses.cross_entropy(z, jnp.asarray(CLASSES), label_smoothing=share)
    np.testing.assert_allclose(found, -(p * np.log(p)).sum(-1), rtol=2e-6)


def test_gradients_of_confident_logits_keep_their_digits() -> None:
    z, exact = given(jnp.float32)
    slope = jax.jit(jax.grad(lambda z: losses.cross_entropy(z, jnp.asarray(CLASSES)).sum()))(z)
    q = np.exp(exact - exact.max(-1, keepdims=True))
    q /= q.sum(-1, keepdims=True)
    expected = np.where(ONE_HOT == 1, np.expm1(-label_cost(exact))[:, None], q)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-37)


def test_second_derivatives_of_confident_logits() -> None:
    z, label = jnp.array([20.0, 0.0, -1.0]), jnp.asarray(0)
    q = jax.nn.softmax(z)
    for loss in (losses.cross_entropy, lambda z, y: losses.cross_entropy(z, jax.nn.one_hot(y, 3))):
        np.testing.assert_allclose(
            jax.jit(jax.hessian(loss))(z, label), jnp.diag(q) - jnp.outer(q, q), rtol=1e-3, atol=1e-7
        )


FOCAL = jax.jit(jax.vmap(jax.value_and_grad(lambda z, y, g: losses.focal(z, y, gamma=g)), (0, 0, None)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_focal(dtype: Any) -> None:
    z, exact = given(dtype)
    cost = label_cost(exact)
    for gamma in (0.0, 0.5, 2.0):
        found, slope = FOCAL(z, jnp.asarray(CLASSES), gamma)
        expected = (-np.expm1(-cost)) ** gamma * cost
        np.testing.assert_allclose(found, expected, rtol=3e-5, atol=1e-36)
        assert (found >= 0).all()
        assert jnp.isfinite(slope).all()
    z = jnp.linspace(-50, 50, 101).astype(dtype)[:, None]
    away = np.asarray(z, np.float64)[:, 0]
    for y, sign in ((1.0, -1), (0.0, 1)):
        cost = np.logaddexp(0, sign * away)
        found = jax.jit(losses.binary_cross_entropy)(z, jnp.full_like(z, y))
        np.testing.assert_allclose(found, cost, rtol=1e-5)
        found = jax.jit(losses.focal)(z, jnp.full_like(z, y))
        np.testing.assert_allclose(found, (-np.expm1(-cost)) ** 2 * cost, rtol=3e-5, atol=1e-36)


@pytest.mark.parametrize("scale", [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 0.0])
def test_kl_divergence_near_its_least_value(scale: float) -> None:
    z = RNG.normal(size=(N, K)).astype(np.float32) * 3
    p = np.asarray(jax.nn.softmax(jnp.asarray(z)))
    moved = (z + np.float32(scale) * RNG.normal(size=(N, K)).astype(np.float32)).astype(np.float32)
    found = np.asarray(jax.jit(losses.kl_divergence)(jnp.asarray(moved), jnp.asarray(p)))
    wide = p.astype(np.float64) / p.astype(np.float64).sum(-1, keepdims=True)
    log_q = moved.astype(np.float64)
    log_q -= np.log(np.exp(log_q).sum(-1, keepdims=True))
    exact = (wide * (np.log(wide) - log_q)).sum(-1)
    assert (found >= 0).all()
    # The logarithm of a ratio is off by a few units of rounding, so its square is by that times the ratio.
    assert (np.abs(found - exact) <= 3e-6 * np.sqrt(np.maximum(exact, 0)) + 1e-11).all()
    sure = losses.kl_divergence(jnp.asarray(LOGITS), jnp.asarray(ONE_HOT))
    np.testing.assert_allclose(sure, label_cost(LOGITS), rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("size", [1e-18, 1e-10, 1e-4, 0.1, 0.9, 1.1, 30.0])
def test_kl_standard_normal(size: float) -> None:
    v = np.array([size, -size], np.float32)
    wide = np.float64(v)
    exact = sum(wide**n / np.prod(np.arange(1.0, n + 1)) for n in range(2, 120)) / 2
    found, slope = jax.vmap(jax.value_and_grad(lambda v: losses.kl_standard_normal(jnp.zeros(1), v[None])))(
        jnp.asarray(v)
    )
    np.testing.assert_allclose(found, exact, rtol=2e-6)
    np.testing.assert_allclose(slope, np.expm1(wide) / 2, rtol=2e-6)


def test_hinge_of_large_outputs() -> None:
    own, other = np.float32(1e4) + np.array([1, 0.5, 1.5, 3], np.float32), np.full(4, 1e4, np.float32)
    z = jnp.asarray(np.stack([own, other], -1))
    assert losses.hinge(z, jnp.zeros(4, int)).tolist() == [0, 0.5, 0, 0]
    assert (losses.hinge(jnp.asarray(LOGITS), jnp.asarray(CLASSES)) >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", [0.0, 1e-5, 1e-3, 0.1, 1.0, 3.0])
def test_cosine_distance_of_small_angles(angle: float, dtype: Any) -> None:
    x = RNG.normal(size=(50, 4))
    y = x + angle * RNG.normal(size=(50, 4))
    x, y = jnp.asarray(x, dtype), jnp.asarray(3 * y, dtype)
    found = np.asarray(losses.cosine_distance(x, y))
    a, b = (np.asarray(v, np.float64) for v in (x, y))
    a, b = (v / np.sqrt((v * v).sum(-1, keepdims=True)) for v in (a, b))
    exact = ((a - b) ** 2).sum(-1) / 2
    assert (found >= 0).all()
    assert (np.abs(found - exact) <= 1e-6 * np.sqrt(exact) + 1e-13).all()


COSINE = jax.jit(jax.grad(lambda x, y: losses.cosine_distance(x, y).sum(), (0, 1)))


@pytest.mark.parametrize("scale", [1e-20, 1e-6, 1.0, 1e6, 1e20])
@pytest.mark.parametrize("features", [1, 2, 5])
def test_gradient_of_the_cosine_at_any_scale(features: int, scale: float) -> None:
    with jax.enable_x64(True):
        x, y = (
            jnp.asarray(scale * RNG.normal(size=(30, features))),
            jnp.asarray(RNG.normal(size=(30, features))),
        )
        slopes = COSINE(x, y)
        for mine, other, slope in ((x, y, slopes[0]), (y, x, slopes[1])):
            length = np.sqrt(np.square(mine).sum(-1, keepdims=True))
            a, b = mine / length, other / np.sqrt(np.square(other).sum(-1, keepdims=True))
            expected = -(b - (a * b).sum(-1, keepdims=True) * a) / length
            np.testing.assert_allclose(slope * length, expected * length, atol=1e-14)
            assert features > 1 or not slope.any()


def test_gradient_of_the_cosine_of_zero_vectors() -> None:
    for x, y in (([0.0, 0.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0]), ([0.0, 0.0], [0.0, 0.0])):
        value, slopes = jax.value_and_grad(losses.cosine_distance, (0, 1))(jnp.array(x), jnp.array(y))
        assert value == 1
        assert not any(slope.any() for slope in slopes)


def other_labels(z: np.ndarray, labels: list[int]) -> float:
    """Minus the logarithm of one less the probability of every path of other labels, in float64."""
    z = z.astype(np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(z.shape[-1]), repeat=len(z)):
        if [k for i, k in enumerate(path) if k and (i == 0 or path[i - 1] != k)] != labels:
            total += np.prod(p[np.arange(len(z)), list(path)])
    return -np.log1p(-total)


def test_ctc_of_one_sure_label() -> None:
    found = jax.jit(losses.ctc)(jnp.array([[0, 20.0]] * 6), jnp.array([1]))
    np.testing.assert_allclose(found, 8.244614e-9, rtol=1e-6)


CTC = jax.jit(jax.value_and_grad(lambda z, y, real: losses.ctc(z, y, None, real)))


@pytest.mark.parametrize("lead", [0.0, 3.0, 8.0, 20.0, 50.0])
@pytest.mark.parametrize(
    "path",
    [[1, 1, 0, 1, 2], [0, 1, 2, 2, 0], [2, 1, 2, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 2, 0, 2]],
)
def test_ctc(path: list[int], lead: float) -> None:
    """A path that leads by much, or by little in its first frame, where paths share the probability."""
    labels = [k for i, k in enumerate(path) if k and (i == 0 or path[i - 1] != k)]
    z = RNG.normal(size=(5, 3)) + lead * np.eye(3)[path]
    z[0] -= 0.8 * lead * np.eye(3)[path[0]]
    z = z.astype(np.float32)
    padded, real = np.array([*labels, 0, 0, 0])[:3], np.arange(3) < len(labels)
    found, slope = CTC(jnp.asarray(z), jnp.asarray(padded), jnp.asarray(real))
    assert found >= 0
    np.testing.assert_allclose(found, other_labels(z, labels), rtol=1e-5)
    # A row's gradient is its softmax less the share of its paths, which sums to 0.
    np.testing.assert_allclose(slope.sum(-1), 0, atol=1e-6)

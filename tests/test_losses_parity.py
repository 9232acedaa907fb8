"""Losses beside Optax's and PyTorch's: values and gradients; and what they promise where those differ."""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from parity import assert_close, draw, to_numpy

import jaxnn as nn
from jaxnn import losses, metrics, ops, train

Z, Y = draw(5, 4), draw(5, 4, seed=1)
P = np.abs(Y) / np.abs(Y).sum(-1, keepdims=True)
LABELS = np.array([0, 3, 1, 2, 2])
BITS = (Y > 0).astype(float)
PAIRS = {
    "absolute_error": (losses.absolute_error, lambda z: jnp.abs(z - Y).mean(-1), Y),
    "huber": (
        functools.partial(losses.huber, delta=0.7),
        lambda z: optax.huber_loss(z, Y, delta=0.7).mean(-1),
        Y,
    ),
    "hinge": (losses.hinge, lambda z: optax.hinge_loss(z, 2 * BITS - 1).mean(-1), 2 * BITS - 1),
    "hinge, classes": (losses.hinge, lambda z: optax.losses.multiclass_hinge_loss(z, LABELS), LABELS),
    "kl_divergence": (
        losses.kl_divergence,
        lambda z: optax.kl_divergence(jax.nn.log_softmax(z), P),
        P,
    ),
    "cosine_distance": (losses.cosine_distance, lambda z: optax.cosine_distance(z, Y), Y),
    "label smoothing": (
        functools.partial(losses.cross_entropy, label_smoothing=0.2),
        lambda z: optax.softmax_cross_entropy(z, optax.smooth_labels(jnp.eye(4)[LABELS], 0.2)),
        LABELS,
    ),
    "focal": (
        functools.partial(losses.focal, gamma=1.5, balance=0.3),
        lambda z: optax.sigmoid_focal_loss(z, BITS, alpha=0.3, gamma=1.5).mean(-1),
        BITS,
    ),
}


def in_float64(loss: Any, z: Any) -> tuple[Any, Any]:
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        values, pull = jax.jit(lambda z: jax.vjp(loss, z))(jnp.asarray(z))
        return np.asarray(values), np.asarray(pull(jnp.ones_like(values))[0])


@pytest.mark.parametrize("name", PAIRS)
def test_equals_optax(name: str) -> None:
    ours, theirs, targets = PAIRS[name]
    assert_close(in_float64(lambda z: ours(z, targets), Z), in_float64(theirs, Z), 1e-10)


def test_equals_pytorch() -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    y, p, labels = map(torch.tensor, (Y, P, LABELS))
    cases = {
        "absolute_error": lambda z: F.l1_loss(z, y, reduction="none").mean(-1),
        "huber": lambda z: F.huber_loss(z, y, reduction="none", delta=0.7).mean(-1),
        "kl_divergence": lambda z: F.kl_div(z.log_softmax(-1), p, reduction="none").sum(-1),
        "cosine_distance": lambda z: 1 - F.cosine_similarity(z, y),
        "label smoothing": lambda z: F.cross_entropy(z, labels, reduction="none", label_smoothing=0.2),
    }
    for name, theirs in cases.items():
        ours, _, targets = PAIRS[name]
        z = torch.tensor(Z, requires_grad=True)
        values = theirs(z)
        values.sum().backward()
        found = in_float64(lambda z, ours=ours, targets=targets: ours(z, targets), Z)
        assert_close(found, to_numpy((values, z.grad)), 1e-10)


def all_paths(log_p: np.ndarray, labels: list[int], blank: int) -> float:
    """``-log`` of the sum over every path of frames that collapses to the labels."""
    total = 0.0
    for path in itertools.product(range(log_p.shape[-1]), repeat=len(log_p)):
        collapsed = [k for i, k in enumerate(path) if (i == 0 or path[i - 1] != k) and k != blank]
        if collapsed == labels:
            total += math.exp(sum(log_p[t, k] for t, k in enumerate(path)))
    return -math.log(total)


CTC = draw(4, 7, 5)
CTC_LABELS = np.array([[1, 2, 2], [4, 3, 9], [2, 9, 9], [9, 9, 9]])
FRAMES = np.arange(7) < np.array([[7], [5], [1], [3]])
REAL = np.arange(3) < np.array([[3], [2], [1], [0]])


def ctc(z: Any) -> Any:
    return losses.ctc(z, CTC_LABELS, FRAMES, REAL)


def test_ctc_is_the_sum_over_all_paths() -> None:
    z = draw(5, 3)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    for labels, blank in (([1, 1], 0), ([2, 0, 2], 1), ([], 0), ([1, 2, 1], 0)):
        value, _ = in_float64(
            lambda z, labels=labels, blank=blank: losses.ctc(z, np.array(labels, int), blank=blank), z
        )
        np.testing.assert_allclose(value, all_paths(log_p, labels, blank), rtol=1e-12)


def test_ctc_equals_optax() -> None:
    def theirs(z: Any) -> Any:
        return optax.ctc_loss(z, 1.0 - FRAMES, np.where(REAL, CTC_LABELS, 0), 1.0 - REAL)

    ours, expected = in_float64(ctc, CTC), in_float64(theirs, CTC)
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-6)  # Optax's log 0 is -1e5
    assert_close(ours[1], expected[1], 1e-6)


def test_ctc_equals_pytorch() -> None:
    torch = pytest.importorskip("torch")
    z = torch.tensor(CTC, requires_grad=True)
    values = torch.nn.functional.ctc_loss(
        z.log_softmax(-1).transpose(0, 1),
        torch.tensor(np.where(REAL, CTC_LABELS, 0)),
        torch.tensor(FRAMES.sum(-1)),
        torch.tensor(REAL.sum(-1)),
        reduction="none",
    )
    values.sum().backward()
    assert_close(in_float64(ctc, CTC), to_numpy((values, z.grad)), 1e-10)


def test_padding_of_ctc_may_stand_anywhere_and_hold_anything() -> None:
    z = np.full((9, 4), np.nan)
    frames = np.array([0, 1, 1, 0, 1, 1, 0, 1, 0], bool)
    z[frames] = draw(5, 4)
    labels, real = np.array([7, 2, -1, 3]), np.array([0, 1, 0, 1], bool)
    value, slope = in_float64(lambda z: losses.ctc(z, labels, frames, real), z)
    expected, expected_slope = in_float64(lambda z: losses.ctc(z, np.array([2, 3])), z[frames])
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(slope[frames], expected_slope, atol=1e-12)
    assert not slope[~frames].any()


@pytest.mark.parametrize("frames", [2, 0])
@pytest.mark.parametrize("jit", [False, True])
def test_labels_that_cannot_be_aligned_have_no_gradient(frames: int, jit: bool) -> None:
    labels, mask = jnp.array([1, 1]), jnp.arange(4) < frames  # two equal labels need three frames
    run = jax.value_and_grad(lambda z: losses.ctc(z, labels, mask))
    value, slope = (jax.jit(run) if jit else run)(jnp.ones((4, 3)))
    assert value == jnp.inf
    assert not slope.any()
    zeroed = losses.ctc(jnp.ones((4, 3)), labels, mask, impossible=0.0)
    assert zeroed == 0


def test_ctc_of_a_class_without_probability_is_finite_where_it_is_not_needed() -> None:
    z = jnp.zeros((3, 3)).at[:, 2].set(-jnp.inf)
    value, slope = jax.value_and_grad(lambda z: losses.ctc(z, jnp.array([1])))(z)
    np.testing.assert_allclose(value, -math.log(6 / 8), rtol=1e-6)
    assert jnp.isfinite(slope).all()
    assert losses.ctc(z, jnp.array([2])) == jnp.inf


def test_a_recogniser_is_trained_with_ctc_on_masked_sequences() -> None:
    """The masks of frames and labels reach the loss through ``supervised``; padding changes nothing."""
    x, labels = jnp.asarray(draw(4, 7, 3), jnp.float32), jnp.asarray(np.where(REAL, CTC_LABELS, 0))
    model = nn.chain(nn.gru(6), nn.dense(5))
    task = train.supervised(model, losses.ctc)
    data = nn.Masked(x, jnp.asarray(FRAMES)), nn.Masked(labels, jnp.asarray(REAL))
    params, state = task.init(jax.random.key(0), data)

    def loss(params: Any, data: Any) -> Any:
        return task.evaluate(params, state, data)[0].values

    values, alone = loss(params, data), []
    for i in range(4):
        row = x[i : i + 1, : FRAMES[i].sum()], labels[i : i + 1, : REAL[i].sum()]
        alone.append(loss(params, row)[0])
    np.testing.assert_allclose(values, alone, rtol=1e-5)
    rubbish = nn.Masked(jnp.where(FRAMES[..., None], x, jnp.nan), data[0].mask), data[1]
    slope = jax.grad(lambda p: loss(p, rubbish).sum())(params)
    assert_close(jax.grad(lambda p: loss(p, data).sum())(params), slope, 1e-6)


ERRORS = {
    r"ctc: expected logits \[\.\.\., frames, classes\] .*float32\[4, 3\] and int32\[2, 2\]": lambda: (
        losses.ctc(jnp.ones((4, 3)), jnp.ones((2, 2), int))
    ),
    r"ctc: labels must be integers, got float32\[2\]": lambda: losses.ctc(jnp.ones((4, 3)), jnp.ones(2)),
    r"ctc: labels must be in \[0, 3\) and not the blank 0, got 3; .*target_mask": lambda: losses.ctc(
        jnp.ones((4, 3)), jnp.array([1, 3])
    ),
    r"not the blank 0, got 0": lambda: losses.ctc(jnp.ones((4, 3)), jnp.array([1, 0])),
    r"ctc: blank must be one of the 3 classes, got 3": lambda: losses.ctc(
        jnp.ones((4, 3)), jnp.array([1]), blank=3
    ),
    r"ctc: output_mask must be boolean, got float32\[4\]": lambda: losses.ctc(
        jnp.ones((4, 3)), jnp.array([1]), jnp.ones(4)
    ),
    r"ctc: target_mask must have shape \[1\], got bool\[2\]": lambda: losses.ctc(
        jnp.ones((4, 3)), jnp.array([1]), None, jnp.ones(2, bool)
    ),
    r"hinge: targets must be -1 or 1, got 0.*2 \* labels - 1": lambda: losses.hinge(
        jnp.ones(2), jnp.zeros(2)
    ),
    r"hinge: labels must be in \[0, 2\), got labels from 2 to 2": lambda: losses.hinge(
        jnp.ones(2), jnp.asarray(2)
    ),
    r"hinge: expected outputs of 2 classes": lambda: losses.hinge(jnp.ones((2, 1)), jnp.zeros(2, int)),
    r"huber: delta must be a finite positive number, got 0": lambda: losses.huber(
        jnp.ones(2), jnp.ones(2), delta=0
    ),
    r"focal: balance weighs yes against no.*class_weight": lambda: losses.focal(
        jnp.ones((2, 3)), jnp.zeros(2, int), balance=0.5
    ),
    r"focal: balance must be in \[0, 1\], got 2; .*0\.25": lambda: losses.focal(
        jnp.ones(2), jnp.ones(2), balance=2
    ),
    r"focal: gamma must be a finite non-negative number, got -1": lambda: losses.focal(
        jnp.ones(2), jnp.ones(2), gamma=-1
    ),
    r"kl_divergence: labels must be in \[0, 1\], got 2": lambda: losses.kl_divergence(
        jnp.ones(2), 2 * jnp.ones(2)
    ),
    r"cross_entropy: label_smoothing .* must be in \[0, 1\), got 1\.0; 0\.1": lambda: losses.cross_entropy(
        jnp.ones(2), jnp.asarray(0), label_smoothing=1.0
    ),
    r"kl_standard_normal: .*float32\[2, 1\] and float32\[2\]; nothing is broadcast": (
        lambda: losses.kl_standard_normal(jnp.ones((2, 1)), jnp.ones(2))
    ),
    r"cosine_distance: expected a floating-point input, got int32\[2\]": lambda: losses.cosine_distance(
        jnp.ones(2, int), jnp.ones(2, int)
    ),
    r"masks of outputs and targets must have one shape, got bool\[2, 3\] and bool\[2\]; .*output_mask": (
        lambda: train.supervised(nn.chain(jnp.tanh), losses.squared_error).evaluate(
            {},
            {},
            (
                nn.Masked(jnp.ones((2, 3, 1)), jnp.ones((2, 3), bool)),
                nn.Masked(jnp.ones((2, 3, 1)), jnp.ones(2, bool)),
            ),
        )
    ),
}


@pytest.mark.parametrize("pattern", ERRORS)
def test_message(pattern: str) -> None:
    with pytest.raises((TypeError, ValueError), match=pattern):
        ERRORS[pattern]()


@pytest.mark.parametrize("name", ["gamma", "label_smoothing", "delta"])
def test_rates_pass_when_traced(name: str) -> None:
    z, rates = jnp.asarray(Z, jnp.float32), jnp.array([0.1, 0.5])
    loss = {
        "gamma": lambda r: losses.focal(z, jnp.asarray(LABELS), gamma=r),
        "label_smoothing": lambda r: losses.cross_entropy(z, jnp.asarray(LABELS), label_smoothing=r),
        "delta": lambda r: losses.huber(z, jnp.asarray(Y, jnp.float32), delta=r),
    }[name]
    np.testing.assert_allclose(jax.vmap(loss)(rates), [loss(0.1), loss(0.5)], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_taken_to_float32(dtype: Any) -> None:
    z, y = jnp.asarray(Z, dtype), jnp.asarray(P, dtype)
    pairs = [losses.absolute_error, losses.huber, losses.focal, losses.kl_divergence, losses.cosine_distance]
    for loss in pairs:
        found = loss(z, y)
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, loss(z.astype(jnp.float32), y.astype(jnp.float32)), rtol=1e-6)
    assert losses.ctc(z, jnp.array([1])).dtype == jnp.float32


@pytest.mark.parametrize("padding", [-np.inf, np.nan, np.inf])
@pytest.mark.parametrize("by", ["mask of outputs", "mask of targets", "weights"])
def test_what_does_not_count_has_no_gradient_whatever_it_is(by: str, padding: float) -> None:
    task = train.supervised(nn.chain(lambda x: x * 2.0), losses.cross_entropy)
    real, labels = jnp.array([True, False]), jnp.array([1, 0])
    z = jnp.array([[0.0, 1.0], [padding, padding]])

    def mean(z: Any) -> Any:
        batch = {
            "mask of outputs": (nn.Masked(z, real), labels),
            "mask of targets": (z, nn.Masked(labels, real)),
            "weights": (z, labels, jnp.array([1.0, 0.0])),
        }[by]
        terms, _ = task.evaluate({}, {}, batch)
        return metrics.Mean.of(terms.values, terms.weights).compute()

    value, slope = jax.value_and_grad(mean)(z)
    expected, row = jax.value_and_grad(lambda z: losses.cross_entropy(2.0 * z, jnp.asarray(1)))(z[0])
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(slope[0], row, rtol=1e-6)
    assert not slope[1].any()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_gelu_is_right_in_any_precision(dtype: Any) -> None:
    x = jnp.array([-6e4, -200.0, -40.0, -1.0, 0.0, 1.0, 40.0, 150.0, 6e4], dtype)
    value, slope = jax.vmap(jax.value_and_grad(ops.gelu))(x)
    assert value.dtype == slope.dtype == dtype
    wide = jax.vmap(jax.value_and_grad(jax.nn.gelu))(x.astype(jnp.float32))
    for found, expected in zip((value, slope), wide, strict=True):
        np.testing.assert_allclose(found.astype(jnp.float32), expected, rtol=1e-2, atol=1e-6)


def test_ctc_of_nan_is_nan() -> None:
    nan = jnp.full((3, 3), jnp.nan)
    assert np.isnan(losses.ctc(nan, jnp.array([1]), impossible=0.0))

"""The area under the curve at every scale and offset of the scores, beside the exact one of their ranks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import jaxnn as nn
from jaxnn import losses, metrics, optim, train

N = 2000
RNG = np.random.default_rng(1)
YES = RNG.integers(0, 2, N)
NORMAL = RNG.normal(size=N) + YES
SCORES = {
    **{f"near {o:g}, {s:g} apart": o + s * NORMAL for o in (0, 1, 8, -1e3, 1e6) for s in (1e-3, 0.03, 1, 30)},
    **{f"times {s:g}": s * NORMAL for s in (1e-30, 1e-20, 1e20, 1e30)},
    "probabilities": RNG.uniform(size=N) ** (1 / (1 + YES)),
    "probabilities near 1": 1 - 1e-6 * RNG.uniform(size=N) ** (1 + YES),
    "tens of powers": np.exp(20 * NORMAL),
    "ties": NORMAL.round(1),
    "two values": (NORMAL > 0) * 1.0,
    "all equal": np.full(N, 8.0),
    "two groups": np.where(RNG.uniform(size=N) < 0.5, 8 + 1e-3 * NORMAL, -1e4 + NORMAL),
}
TIED = ("ties", "two values", "probabilities near 1", "near 1e+06, 0.001 apart", "near 1e+06, 0.03 apart")


@jax.jit
def area_and_bound(outputs: Any, labels: Any) -> Any:
    """Of two batches, as ``fit`` adds them."""
    cut = N // 3
    found = metrics.merge(metrics.auc(outputs[:cut], labels[:cut]), metrics.auc(outputs[cut:], labels[cut:]))
    return found.compute(), found.error_bound()


@pytest.mark.parametrize("name", SCORES)
def test_area_is_exact_within_its_bound(name: str) -> None:
    scores = SCORES[name].astype(np.float32)
    area, bound = area_and_bound(jnp.asarray(scores[:, None]), jnp.asarray(YES))
    error = abs(area - roc_auc_score(YES, scores))
    assert error <= bound + 1e-6
    assert error < 1e-3
    # Pairs of equal scores are counted rightly, but which were equal isn't known of all.
    assert bound < 1e-3 or name in TIED


@pytest.mark.parametrize("seed", range(20))
def test_drawn_scales_and_offsets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    offset, spread = rng.choice([-1, 1]) * 10 ** rng.uniform(-6, 6), 10 ** rng.uniform(-6, 6)
    scores = (offset + spread * (rng.normal(size=N) + rng.uniform(0, 2) * YES)).astype(np.float32)
    area, bound = area_and_bound(jnp.asarray(scores[:, None]), jnp.asarray(YES))
    assert abs(area - roc_auc_score(YES, scores)) <= bound + 1e-6
    assert bound < 1e-3


def test_infinite_scores_and_both_zeros() -> None:
    scores = jnp.array([[-jnp.inf], [-1.0], [-0.0], [0.0], [3e38], [jnp.inf]])
    assert metrics.auc(scores, jnp.array([0, 0, 0, 1, 1, 1])).compute() == pytest.approx(8.5 / 9)
    assert metrics.auc(scores, jnp.array([1, 0, 0, 0, 0, 1])).compute() == pytest.approx(0.5)


def test_large_logits_of_two_classes_and_half_precision() -> None:
    scores = (8 + NORMAL).astype(np.float32)
    exact = roc_auc_score(YES, scores)
    two = metrics.auc(jnp.stack([jnp.zeros(N), jnp.asarray(scores)], -1), jnp.asarray(YES))
    assert abs(two.compute() - exact) <= two.error_bound() + 1e-6
    half = jnp.asarray(scores[:, None], jnp.bfloat16)
    found, rounded = metrics.auc(half, jnp.asarray(YES)), np.asarray(half[:, 0], np.float32)
    assert abs(found.compute() - roc_auc_score(YES, rounded)) <= found.error_bound() + 1e-6
    assert found.error_bound() < 1e-2


@pytest.mark.parametrize("bins", [1, 3, 64, 1000, 1024, 5000])
def test_any_number_of_bins_keeps_its_bound(bins: int) -> None:
    for name in ("near 8, 1 apart", "near 0, 1 apart", "ties"):
        scores = SCORES[name].astype(np.float32)
        found = metrics.auc(jnp.asarray(scores[:, None]), jnp.asarray(YES), bins=bins)
        assert abs(found.compute() - roc_auc_score(YES, scores)) <= found.error_bound() + 1e-6


def test_history_of_fit_has_the_area() -> None:
    x = np.stack([8 + NORMAL, np.zeros(N)], -1).astype(np.float32)
    task = train.supervised(nn.chain(lambda x: x[:, :1]), losses.binary_cross_entropy, metrics=(metrics.auc,))
    data = jnp.asarray(x), jnp.asarray(YES[:, None])
    found = train.fit(task, optim.sgd(0.1), data, key=jax.random.key(0), epochs=1, batch_size=300)
    exact = roc_auc_score(YES, x[:, 0])
    assert found.history.records[0]["auc"] == pytest.approx(exact, abs=1e-3)
    assert train.evaluate(task, found.params, found.state, data)["auc"] == pytest.approx(exact, abs=1e-3)

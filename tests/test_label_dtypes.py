"""Labels and ids of every integer dtype are those of int32, however many classes there are."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, metrics, ops

# Each at the number of classes where it wraps, and beyond.
CASES = [
    ("int2", 2),
    ("uint2", 4),
    ("int4", 16),
    ("uint4", 16),
    ("int8", 128),
    ("int8", 300),
    ("uint8", 256),
    ("uint8", 300),
    ("uint16", 65536),
    ("uint32", 5),
]
LABELS = np.array([0, 1])


def frames(loss: Any, z: Any, labels: Any) -> Any:
    return loss(jnp.stack([z] * 3, 1), labels[:, None])


def kept(metric: Any, z: Any, labels: Any) -> Any:
    return metric(z, labels).compute()


USES = {
    "cross_entropy": losses.cross_entropy,
    "label smoothing": functools.partial(losses.cross_entropy, label_smoothing=0.1),
    "focal": losses.focal,
    "hinge": losses.hinge,
    "ctc": functools.partial(frames, functools.partial(losses.ctc, blank=1)),
    "accuracy": functools.partial(kept, metrics.accuracy),
    "top_k_accuracy": functools.partial(kept, functools.partial(metrics.top_k_accuracy, k=2)),
    "perplexity": functools.partial(kept, metrics.perplexity),
    "f1": functools.partial(kept, metrics.f1),
    "one_hot": lambda z, ids: nn.one_hot(z.shape[-1]).apply({}, {}, ids)[0],
    "masked one_hot": lambda z, ids: nn.one_hot(z.shape[-1]).apply({}, {}, nn.Masked(ids, ids > 0))[0].value,
    "embedding": lambda z, ids: nn.embedding(z.shape[-1], 2).apply({"embedding": z.T}, {}, ids)[0],
    "embed": lambda z, ids: ops.embed(z.T, ids),
    "sparse_update": lambda z, ids: ops.sparse_update(z.T, ids, jnp.ones((2, 2))),
}


def test_uint8_of_256_classes() -> None:
    values = losses.cross_entropy(jnp.zeros((2, 256)), jnp.array([3, 7], jnp.uint8))
    np.testing.assert_allclose(values, np.log(256), rtol=1e-6)


@jax.jit
def all_uses(z: Any, labels: Any) -> dict[str, Any]:
    # CTC's labels are no blanks, and int2 ends at 1.
    return {name: use(z, labels * 0 if name == "ctc" else labels) for name, use in USES.items()}


@pytest.mark.parametrize(("dtype", "classes"), CASES)
def test_labels_of_any_dtype_are_those_of_int32(dtype: str, classes: int) -> None:
    z = jnp.asarray(np.random.default_rng(0).normal(size=(2, classes)), jnp.float32)
    expected = all_uses(z, jnp.asarray(LABELS, jnp.int32))
    given = jnp.asarray(LABELS, dtype)
    for name, found in all_uses(z, given).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, err_msg=name)
    # Concrete labels are checked, by comparisons of their own.
    for name in ("cross_entropy", "embedding", "accuracy"):
        np.testing.assert_allclose(USES[name](z, given), expected[name], rtol=1e-5, err_msg=name)
    losses.ctc(jnp.zeros((3, classes)), given[:1], blank=1)
    np.testing.assert_allclose(jax.vmap(losses.cross_entropy)(z, given), expected["cross_entropy"], rtol=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "accuracy", "one_hot", "embed", "ctc"])
def test_labels_of_64_bits(name: str) -> None:
    use = USES[name]
    z = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5)), jnp.float32)
    labels = np.array([0, 0]) if name == "ctc" else LABELS
    expected = np.asarray(use(z, jnp.asarray(labels, jnp.int32)))
    for wide in (np.int64, np.uint64):
        np.testing.assert_allclose(use(z, labels.astype(wide)), expected, rtol=1e-6)
        with jax.enable_x64(True):
            np.testing.assert_allclose(use(z, jnp.asarray(labels, wide)), expected, rtol=1e-6)


def test_numbers_beyond_32_bits_are_no_classes() -> None:
    z = jnp.zeros((1, 5))
    for wide in (2**32 + 3, 2**63 + 3, -(2**32) + 3):
        label = np.array([wide], np.int64 if abs(wide) < 2**62 else np.uint64)
        with pytest.raises(ValueError, match="labels must be in"):
            losses.cross_entropy(z, label)
        with jax.enable_x64(True):
            assert jnp.isnan(jax.jit(losses.cross_entropy)(z, label)[0])
            assert jax.jit(metrics.accuracy)(z, label).compute() == 0
            assert jnp.isnan(jax.jit(ops.embed)(jnp.ones((5, 2)), jnp.asarray(label))).all()
    assert jnp.isnan(jax.jit(ops.embed)(jnp.ones((5, 2)), jnp.array([2**32 - 1], jnp.uint32))).all()


def test_booleans_are_the_numbers_of_two_classes() -> None:
    z, yes = jnp.array([[1.0, 2.0], [0.5, -1.0]]), jnp.array([True, False])
    for loss in (losses.cross_entropy, losses.focal, losses.hinge):
        np.testing.assert_array_equal(loss(z, yes), loss(z, yes.astype(jnp.int32)))
    for metric in (metrics.accuracy, metrics.f1, metrics.confusion_matrix, metrics.perplexity):
        found = metric(z, yes).compute()
        np.testing.assert_array_equal(found, metric(z, yes.astype(jnp.int32)).compute())
    with pytest.raises(ValueError, match="booleans are the numbers of two classes"):
        losses.cross_entropy(jnp.zeros((2, 3)), yes)


@pytest.mark.parametrize("kind", ["uint8", "int8", "bool"])
def test_weights_of_few_bits_are_counted_whole(kind: str) -> None:
    outputs, labels = jnp.zeros((400, 2)), jnp.zeros(400, jnp.int8)
    weights = jnp.ones(400, bool) if kind == "bool" else jnp.full(400, 100, kind)
    total = float(weights[0]) * 400
    assert metrics.confusion_matrix(outputs, labels, weights).compute()[0, 0] == total
    mean = metrics.accuracy(outputs, labels, weights)
    assert (mean.weight, mean.total) == (total, total)
    assert metrics.merge(mean, mean).weight == 2 * total
    assert metrics.perplexity(outputs, labels, weights).nats.weight == total


WHICH = [losses.cross_entropy, metrics.accuracy, metrics.f1, metrics.top_k_accuracy, metrics.perplexity]


@pytest.mark.parametrize("use", WHICH, ids=lambda use: use.__name__)
def test_the_shape_tells_numbers_from_one_hot(use: Any) -> None:
    """Also where there are as many steps as classes, and every row of numbers could be one-hot."""
    use = functools.partial(use, k=1) if use is metrics.top_k_accuracy else use
    z = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3, 3)), jnp.float32)
    labels = jnp.eye(3, dtype=jnp.int32)[jnp.array([0, 1, 2, 2])]
    numbers, one_hot = use(z, labels), use(z, jax.nn.one_hot(labels, 3, dtype=jnp.int32))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), numbers, one_hot)
    with pytest.raises(ValueError, match="class numbers from 0 to 2"):
        use(z[0], jnp.array([[0, 1, 2], [2, 2, 0], [1, 1, 1]]))
    with pytest.raises(ValueError, match="class numbers from 0 to 2"):
        use(z[0], jnp.array([[0.0, 1, 2], [2, 2, 0], [1, 1, 1]]))
    with pytest.raises(ValueError, match=r"convert them with labels.astype\(jnp.int32\)"):
        use(z[0], jnp.array([0.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match=r"drop the last axis .* labels\[..., 0\]"):
        use(z[0], jnp.array([[0], [1], [2]]))


def test_numpy_labels_that_a_compiled_function_closes_over_are_checked() -> None:
    labels = np.array([0, 9])
    for loss in (losses.cross_entropy, losses.hinge, losses.focal):
        with pytest.raises(ValueError, match="labels must be in"):
            jax.jit(lambda z, loss=loss: loss(z, labels))(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="labels must be in"):
        jax.jit(lambda z: metrics.accuracy(z, labels))(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="ctc: labels must be in"):
        jax.jit(lambda z: losses.ctc(z, labels))(jnp.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"labels must be in \[0, 1\]"):
        jax.jit(lambda z: losses.binary_cross_entropy(z, labels))(jnp.zeros(2))

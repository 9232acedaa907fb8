"""Objectives: weights, masks, penalties and labels that count for nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training import KEY, MODEL, RULE, TASK, N, X, Y, same_bits

import jaxnn as nn
from jaxnn import losses, metrics, train
from jaxnn.train._objective import reduce_terms


def test_weights_are_exact_over_masks_and_unequal_batches() -> None:
    weights = np.where(np.arange(N) < 20, 2.0, 0.0).astype(np.float32)
    task = train.supervised(nn.dense(2), losses.cross_entropy, metrics=(metrics.accuracy,))
    params, state = task.init(KEY, (X, Y))
    weighted = train.evaluate(task, params, state, (X, Y, weights), batch_size=7)
    alone = train.evaluate(task, params, state, (X[:20], Y[:20]))
    assert weighted == pytest.approx(alone, rel=1e-6)


def test_class_weights_of_labels_in_a_column_and_one_hot() -> None:
    from jaxnn.train._data import weigh_classes

    for targets in (Y, Y[:, None], Y[:, None].astype(np.float32), np.eye(2)[Y], np.eye(2, dtype=bool)[Y]):
        *_, weights = weigh_classes((X, targets), {0: 1.0, 1: 10.0})
        np.testing.assert_array_equal(weights, np.where(Y == 1, 10.0, 1.0))


def test_class_weights_are_weights_of_examples() -> None:
    table = {0: 3.0, 1: 0.5}
    weights = np.array([table[int(label)] for label in Y], np.float32)
    options = {"epochs": 2, "batch_size": 8, "key": KEY, "progress": False}
    a = train.fit(TASK, RULE, (X, Y), class_weight=table, **options)
    b = train.fit(TASK, RULE, (X, Y, weights), **options)
    assert same_bits(a.params, b.params)
    with pytest.raises(ValueError, match=r"class_weight .* missing or bad for \[1\]"):
        train.fit(TASK, RULE, (X, Y), class_weight={0: 1.0}, **options)


def test_masked_sequences_weigh_positions() -> None:
    mask = jnp.arange(3)[None] < jnp.array([3, 1])[:, None]
    x, y = jnp.asarray(X[:6].reshape(2, 3, 4)), jnp.asarray(Y[:6].reshape(2, 3))
    task = train.supervised(nn.dense(2), losses.cross_entropy, metrics=(metrics.accuracy,))
    params, state = task.init(KEY, (x, y))
    masked = train.evaluate(task, params, state, (nn.Masked(x, mask), y))
    alone = train.evaluate(task, params, state, (x[mask], y[mask]))
    assert masked == pytest.approx(alone, rel=1e-6)


def test_penalty_is_added_to_the_mean_loss() -> None:
    def penalty(params):
        return 0.5 * optax.tree_utils.tree_norm(params, squared=True)

    plain = train.supervised(nn.dense(2), losses.cross_entropy)
    penalised = train.supervised(nn.dense(2), losses.cross_entropy, penalty=penalty)
    params, state = plain.init(KEY, (X, Y))
    a, b = (train.evaluate(task, params, state, (X, Y))["loss"] for task in (plain, penalised))
    assert b - a == pytest.approx(float(penalty(params)), rel=1e-5)


def test_bad_metrics_and_losses() -> None:
    for bad in ("mse", None):
        with pytest.raises(TypeError, match="loss must be a function"):
            train.supervised(MODEL, bad)
    for bad in ("accuracy", ["accuracy"]):
        with pytest.raises(TypeError, match=r"pass metrics\.accuracy itself"):
            train.supervised(MODEL, losses.cross_entropy, metrics=bad)
    task = train.supervised(MODEL, losses.cross_entropy, metrics={"x": lambda o, t, w: jnp.mean(o)})
    with pytest.raises(TypeError, match="metric 'x' must return a mergeable sum"):
        train.evaluate(task, *task.init(KEY, (X, Y)), (X, Y))
    bare = train.Objective(TASK.init, lambda p, s, b, key=None, train=False: (jnp.ones(3), s))
    with pytest.raises(TypeError, match=r"evaluate must return \(Terms"):
        train.evaluate(bare, {}, {}, (X, Y))


@pytest.mark.parametrize("masked", [False, True])
def test_labels_that_weigh_nothing_may_be_anything_outside_of_jit_too(masked) -> None:
    params, state = TASK.init(KEY, (X, Y))
    counted = np.arange(N) >= 5

    def batch(labels):
        return (X, nn.Masked(labels, counted)) if masked else (X, labels, counted.astype(np.float32))

    def mean(params, labels):
        return reduce_terms(TASK.evaluate(params, state, batch(labels))[0]).compute()

    padded = np.where(counted, Y, -1)
    found = jax.value_and_grad(mean)(params, padded)
    for a, b in zip(*map(jax.tree.leaves, (found, jax.value_and_grad(mean)(params, Y))), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="cross_entropy: labels must be in"):
        mean(params, np.where(counted, -1, Y))


def test_labels_of_weight_zero_may_be_out_of_range() -> None:
    labels, weights = np.where(np.arange(N) < 5, -1, Y), np.where(np.arange(N) < 5, 0.0, 1.0)
    result = train.fit(
        TASK, RULE, (X, labels, weights.astype(np.float32)), epochs=1, batch_size=8, key=KEY, progress=False
    )
    assert result.stopped is None
    with pytest.raises(ValueError, match="labels from -1"):
        train.evaluate(TASK, result.params, result.state, (X, labels))


HIDING = {
    "dense": nn.chain(nn.dense(5), jnp.tanh, nn.dense(2)),
    # A row of zeros has no direction: the first row that counts must stand in, not 0.
    "direction": nn.chain(lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True), nn.dense(2)),
    "layer norm": nn.chain(nn.layer_norm(), nn.dense(2)),
    "conv": nn.chain(nn.reshape(2, 2, 1), nn.conv(2, (2, 2)), nn.flatten(), nn.dense(2)),
}


def zero_rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eight examples of weight 1, of which numbers 3 and 6 have weight 0."""
    weights = np.ones(8, np.float32)
    weights[[3, 6]] = 0
    return X[:8], Y[:8], weights


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", HIDING)
def test_inputs_of_weight_0_that_are_not_finite_are_as_if_absent(name: str, value: float) -> None:
    x, y, weights = zero_rows()
    bad, kept = x.copy(), weights > 0
    bad[3], bad[6, 1] = value, value
    task = train.supervised(HIDING[name], losses.cross_entropy, metrics=(metrics.accuracy,))
    start = train.TrainState.create(task, RULE, KEY, (x, y))
    step = train.make_step(task, RULE)
    (new, record), (expected, alone) = step(start, (bad, y, weights)), step(start, (x[kept], y[kept]))
    for a, b in zip(jax.tree.leaves(new.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    for metric in record:
        assert float(record[metric].compute()) == pytest.approx(float(alone[metric].compute()), rel=1e-5)
    assert not step(start, (bad, y))[1]["loss"].compute() < 100


@pytest.mark.parametrize(
    "weights", [np.array([1, 0, 0, 1], np.float32), np.array([True, False, False, True])]
)
@pytest.mark.parametrize("strange", [-1, 5, 2**31 - 1, -(2**31)])
def test_ids_of_examples_of_weight_0_are_as_if_absent(strange: int, weights: np.ndarray) -> None:
    ids = np.array([[0, 1, 2], [3, 4, strange], [strange, 1, 1], [0, 0, 4]], np.int32)
    labels, kept = np.array([0, 1, 0, 1]), weights > 0
    model = nn.chain(nn.embedding(5, 3), nn.lstm(4, return_sequences=False), nn.dense(2))
    task = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    found = train.fit(task, RULE, (ids, labels, weights), epochs=2, batch_size=4, key=KEY, progress=False)
    alone = train.fit(task, RULE, (ids[kept], labels[kept]), epochs=2, batch_size=2, key=KEY, progress=False)
    for a, b in zip(jax.tree.leaves(found.params), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert found.history["loss"] == pytest.approx(alone.history["loss"], rel=1e-5)


def test_an_id_at_a_position_of_weight_0_is_checked_where_others_read_it() -> None:
    ids = np.array([[0, 1, 7], [3, 4, 2]], np.int32)
    weights = np.array([[1, 1, 0], [1, 1, 1]], np.float32)
    task = train.supervised(nn.chain(nn.embedding(5, 3), nn.lstm(4), nn.dense(2)), losses.cross_entropy)
    with pytest.raises(ValueError, match=r"ids must be in \[0, 5\) for the layer embedding_0, got 7"):
        train.fit(
            task, RULE, (ids, np.zeros((2, 3), int), weights), epochs=1, batch_size=2, key=KEY, progress=False
        )


def test_targets_of_weight_0_may_be_anything_outside_of_jit_too() -> None:
    weights = np.array([1, 1, 1, 0], np.float32)
    for loss, outputs, labels in [
        (losses.binary_cross_entropy, 1, np.array([[0], [1], [1], [-1]])),
        (losses.focal, 1, np.array([[0], [1], [1], [7]])),
        (losses.hinge, 1, np.array([[1], [-1], [1], [-3]])),
        (losses.cross_entropy, 2, np.array([0, 1, 1, -1])),
        (losses.cross_entropy, 2, np.array([[0, 1], [1, 0], [1, 0], [-1, 7]])),
    ]:
        task = train.supervised(nn.dense(outputs), loss)
        params, state = task.init(KEY, (X[:4], labels))
        found = reduce_terms(task.evaluate(params, state, (X[:4], labels, weights))[0])
        alone = reduce_terms(task.evaluate(params, state, (X[:3], labels[:3]))[0])
        assert float(found.compute()) == pytest.approx(float(alone.compute()), rel=1e-6)
    found = metrics.perplexity(jnp.zeros((2, 2)), jnp.array([[0, 1], [-1, 7]]), jnp.array([1.0, 0]))
    assert float(found.compute()) == pytest.approx(2)


def test_what_is_hidden_reaches_no_statistics_targets_or_later_position() -> None:
    x, y, weights = zero_rows()
    bad = x.copy()
    bad[3] = np.nan
    norm = train.supervised(nn.chain(nn.batch_norm(), nn.dense(2)), losses.cross_entropy)
    new, _ = train.make_step(norm, RULE)(train.TrainState.create(norm, RULE, KEY, (x, y)), (bad, y, weights))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((new.params, new.state, new.opt_state)))
    targets = x[:, :1].copy()
    targets[3], targets[6] = np.nan, np.inf
    squares = train.supervised(nn.dense(1), losses.squared_error, {"mean": squared_mean})
    params, state = squares.init(KEY, (x, targets))
    found = train.evaluate(squares, params, state, (bad, targets, weights))
    assert found["mean"] == pytest.approx(found["loss"], rel=1e-6)
    alone = train.evaluate(squares, params, state, (x[weights > 0], targets[weights > 0]))
    assert found["loss"] == pytest.approx(alone["loss"], rel=1e-6)
    sequences, labels = x.reshape(2, 4, 4).copy(), y.reshape(2, 4)
    over_time = np.ones((2, 4), np.float32)
    over_time[0], over_time[1, 2:] = 0, 0
    sequences[0], sequences[1, 2:] = np.nan, np.inf
    lstm = train.supervised(nn.chain(nn.lstm(3), nn.dense(2)), losses.cross_entropy)
    start = train.TrainState.create(lstm, RULE, KEY, (sequences, labels))
    new, _ = train.make_step(lstm, RULE)(start, (sequences, labels, over_time))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new.params))


def squared_mean(outputs, targets, weights):
    return metrics.Mean.of(jnp.square(outputs - targets)[:, 0], weights)


def test_finite_inputs_of_weight_0_stay_since_they_may_bear_on_others() -> None:
    seen = []

    def look(params, x):
        jax.debug.callback(lambda value: seen.append(np.asarray(value)), x)
        return x

    x, y, weights = zero_rows()
    bad = x.copy()
    bad[3, 0] = np.nan
    task = train.supervised(nn.chain(nn.stateless("look", None, look), nn.dense(2)), losses.cross_entropy)
    params, state = task.init(KEY, (x, y))
    task.evaluate(params, state, (bad, y, weights))
    jax.effects_barrier()
    expected = x.copy()
    expected[3] = x[0]
    np.testing.assert_array_equal(seen[-1], expected)

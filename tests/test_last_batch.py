"""The examples at the end of an epoch that do not fill a batch: kept, left out, or with the batch before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training import KEY, RULE, X, Y, same_bits

import jaxnn as nn
from jaxnn import losses, metrics, optim, train

SIZES = {"keep": [4, 4, 2], "drop": [4, 4], "merge": [4, 6]}


def first(n: int):
    return X[:n], Y[:n]


def counting(seen: list[np.ndarray]) -> train.Objective:
    """An objective whose loss is the batch's number of examples, and which tells what it was given."""

    def evaluate(params, state, batch, *, key=None, train=False):
        if train:
            jax.debug.callback(lambda x: seen.append(np.asarray(x)), batch, ordered=True)
        values = batch.astype(jnp.float32) + params["w"]
        return terms(values, aux={"size": mean.of(jnp.ones(len(batch)))}), state

    terms, mean = train.Terms, metrics.Mean
    return train.Objective(lambda key, batch: ({"w": jnp.zeros(())}, {}), evaluate)


@pytest.mark.parametrize("last", SIZES)
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_batches_of_an_epoch(last: str, shuffle: bool) -> None:
    seen: list[np.ndarray] = []
    data = np.arange(10, dtype=np.int32)
    result = train.fit(
        counting(seen), optim.sgd(0.0), data, epochs=2, batch_size=4, key=KEY, shuffle=shuffle,
        last_batch=last, progress=False,
    )  # fmt: skip
    jax.effects_barrier()
    assert [len(batch) for batch in seen] == 2 * SIZES[last]
    steps = len(SIZES[last])
    for epoch, record in enumerate(result.history.records):
        trained = np.concatenate(seen[epoch * steps : (epoch + 1) * steps])
        assert len(set(trained.tolist())) == len(trained) == sum(SIZES[last])
        assert record["loss"] == pytest.approx(trained.mean())
        assert record["examples_per_second"] == pytest.approx(sum(SIZES[last]) / record["seconds"])
    assert int(result.train_state.step) == 2 * steps
    again = train.fit(
        counting([]), optim.sgd(0.0), data, epochs=1, batch_size=4, key=KEY, last_batch=last,
        train_state=result.train_state, progress=False,
    )  # fmt: skip
    assert again.history.last["epoch"] == 3


@pytest.mark.parametrize("last", SIZES)
def test_make_epoch_does_the_same_in_any_pieces(last: str) -> None:
    task = train.supervised(nn.dense(2), losses.cross_entropy)
    data = first(10)
    start = train.TrainState.create(task, RULE, KEY, data)
    epoch = train.make_epoch(task, RULE, 4, donate=False, last_batch=last)
    whole, record = epoch(start, data)
    order = train.epoch_order(start, 10)
    state, sums = start, None
    for number in range(len(SIZES[last])):
        state, sums = epoch(state, data, order, number, number + 1, sums)
    assert same_bits(whole, state)
    assert float(record["loss"].weight) == float(sums["loss"].weight) == sum(SIZES[last])
    step = train.make_step(task, RULE)
    alone, begin = start, 0
    for size in SIZES[last]:
        chosen = np.asarray(order[begin : begin + size])
        alone, _ = step(alone, (X[chosen], Y[chosen]))
        begin += size
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), whole.params, alone.params)


@pytest.mark.parametrize("last", ["drop", "merge"])
@pytest.mark.parametrize(("n", "size"), [(8, 4), (4, 4), (8, 8)])
def test_what_fills_its_batches_is_trained_alike(last: str, n: int, size: int) -> None:
    task = train.supervised(nn.dense(2), losses.cross_entropy)
    options = {"epochs": 1, "batch_size": size, "key": KEY, "progress": False}
    kept = train.fit(task, RULE, first(n), **options)
    other = train.fit(task, RULE, first(n), last_batch=last, **options)
    assert same_bits(kept.params, other.params)


def test_a_last_batch_that_the_model_refuses_is_named_with_its_remedies() -> None:
    model = nn.chain(nn.dense(3), nn.batch_norm(), jax.nn.relu, nn.dense(2))
    task = train.supervised(model, losses.cross_entropy)
    options = {"epochs": 1, "batch_size": 32, "key": KEY, "progress": False}
    with pytest.raises(
        ValueError,
        match=r"^fit: the last batch of the epoch holds 1 of 33 examples at batch_size=32.*last_batch='drop' or",
    ):
        train.fit(task, RULE, first(33), **options)
    state = train.TrainState.create(task, RULE, KEY, first(33))
    with pytest.raises(ValueError, match="the last batch of the epoch holds 1 of 33"):
        train.make_epoch(task, RULE, 32)(state, first(33))
    for last in ("drop", "merge"):
        assert train.fit(task, RULE, first(33), last_batch=last, **options).stopped is None
    with pytest.raises(ValueError, match=r"^fit: batch 2 holds 1 example, .* use a larger batch"):
        train.fit(task, RULE, [first(32), first(1)], epochs=1, key=KEY, progress=False)
    with pytest.raises(ValueError, match=r"^(?!fit)"):
        train.fit(task, RULE, [first(1), first(32)], epochs=1, key=KEY, progress=False)


def test_bad_choices_are_refused() -> None:
    task = train.supervised(nn.dense(2), losses.cross_entropy)
    with pytest.raises(ValueError, match="fit: last_batch must be one of"):
        train.fit(task, RULE, first(9), epochs=1, batch_size=4, key=KEY, last_batch="fold")
    with pytest.raises(ValueError, match="make_epoch: last_batch must be one of"):
        train.make_epoch(task, RULE, 4, last_batch="fold")
    with pytest.raises(ValueError, match="last_batch='drop' needs arrays, not batches"):
        train.fit(task, RULE, [first(9)], epochs=1, key=KEY, last_batch="drop")

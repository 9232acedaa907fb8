"""Batches read ahead by a thread, and executables that a second fit finds ready."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train
from jaxnn.train._prefetch import prefetched


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jaxnn-prefetch"]


def test_batches_come_in_order_on_the_device() -> None:
    batches = [(np.full(3, i), {"a": np.full(2, -i)}) for i in range(7)]
    found = list(prefetched(batches))
    assert [int(x[0]) for x, _ in found] == list(range(7))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(found))
    assert not readers()


def test_reading_overlaps_the_use_and_stays_a_little_ahead() -> None:
    read = []

    def batches():
        for i in range(6):
            read.append(i)
            yield np.zeros(1)

    for used, _ in enumerate(prefetched(batches())):
        patience = time.monotonic() + 30
        while len(read) < min(used + 3, 6):  # while this batch is in use
            assert time.monotonic() < patience
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(read) <= used + 4  # the one in use, two ready, one waiting for its place


def test_an_error_of_the_reader_comes_after_the_batches_before_it() -> None:
    def broken():
        yield np.zeros(1)
        yield np.ones(1)
        raise OSError("the disk is gone")

    stream = prefetched(broken())
    assert [float(next(stream)[0]) for _ in range(2)] == [0.0, 1.0]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert not readers()


def test_closing_ends_the_thread() -> None:
    def endless():
        while True:
            yield np.zeros(1)

    stream = prefetched(endless())
    next(stream)
    assert len(readers()) == 1
    stream.close()
    assert not readers()


def counted_task(counts: list[int]) -> train.Objective:
    def loss(outputs, targets):
        counts.append(1)
        return losses.squared_error(outputs, targets)

    return train.supervised(nn.dense(1), loss)


@pytest.mark.parametrize("batched", [False, True])
def test_a_second_fit_traces_nothing_for_training(batched: bool) -> None:
    counts: list[int] = []
    task, rule = counted_task(counts), optim.sgd(0.1)
    x = jax.random.normal(jax.random.key(0), (12, 2))
    y = x @ jnp.ones((2, 1))
    data = [(x[:6], y[:6]), (x[6:], y[6:])] if batched else (x, y)
    traced = []
    for seed in range(3):
        counts.clear()
        train.fit(task, rule, data, epochs=2, batch_size=6, key=jax.random.key(seed), progress=False)
        traced.append(len(counts))
    # What remains are shapes: the rehearsal, and the spec of the record.
    assert traced[1] == traced[2] <= traced[0] - 1


def test_batches_and_arrays_train_alike_through_the_thread() -> None:
    x = jax.random.normal(jax.random.key(0), (12, 2))
    y = x @ jnp.ones((2, 1))
    task, rule = train.supervised(nn.dense(1), losses.squared_error), optim.adam(0.1)
    key = jax.random.key(1)
    one = train.fit(task, rule, (x, y), epochs=2, batch_size=6, key=key, progress=False, shuffle=False)
    batches = [(x[:6], y[:6]), (x[6:], y[6:])]
    other = train.fit(task, rule, batches, epochs=2, key=key, progress=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one.params, other.params)

"""Steps and epochs: every example once, one executable, identical bits."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training import KEY, RULE, TASK, N, X, Y, same_bits

import jaxnn as nn
from jaxnn import losses, optim, train


def test_the_loop_of_a_user_in_ten_lines_learns() -> None:
    step = train.make_step(TASK, RULE)
    state = train.TrainState.create(TASK, RULE, KEY, (X, Y))
    for _ in range(100):
        state, record = step(state, (X, Y))
    assert record["accuracy"].compute() > 0.9
    assert int(state.step) == 100


def test_the_step_works_inside_the_users_scan_and_vmap() -> None:
    step = train.make_step(TASK, RULE)

    def run(key):
        state = train.TrainState.create(TASK, RULE, key, (X, Y))
        return jax.lax.scan(lambda s, _: step(s, (X, Y)), state, None, length=3)[0].params

    keys = jax.random.split(KEY, 2)
    together = jax.jit(jax.vmap(run))(keys)
    alone = jax.jit(run)(keys[1])
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1], together), alone, rtol=1e-5)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(60_000, 128, 469), (4_000, 32, 125), (50, 50, 1)])
def test_steps_of_an_epoch(n: int, batch_size: int, steps: int) -> None:
    data = jnp.zeros((n, 1)), jnp.zeros((n, 1))
    task = train.supervised(nn.dense(1), losses.squared_error)
    state = train.TrainState.create(task, optim.sgd(0.1), KEY, data)
    state, record = train.make_epoch(task, optim.sgd(0.1), batch_size)(state, data)
    assert int(state.step) == steps
    assert record["loss"].weight == n


@pytest.mark.parametrize("n", [1, 2, 1000, 65_536])
def test_orders_are_stable_sorts_of_the_runs_random_words(n: int) -> None:
    from jaxnn.core import fold_name

    state = train.TrainState({}, {}, (), KEY, jnp.asarray(3, jnp.int32))
    words = jax.random.bits(jax.random.fold_in(fold_name(KEY, "draw", "order"), 3), (n,), jnp.uint32)
    np.testing.assert_array_equal(train.epoch_order(state, n), np.argsort(words, kind="stable"))
    assert train.epoch_order(state, n).dtype == jnp.int32


def test_every_example_is_trained_once_an_epoch() -> None:
    seen = train.Objective(
        init=lambda key, batch: ({"w": jnp.zeros(())}, {"count": jnp.zeros(N)}),
        evaluate=lambda params, state, batch, key=None, train=False: (
            train_terms(params, batch),
            {"count": state["count"].at[batch].add(1)},
        ),
    )

    def train_terms(params, batch):
        return train.Terms(params["w"] * batch.astype(jnp.float32))

    state = train.TrainState.create(seen, optim.sgd(0.0), KEY, jnp.arange(N))
    epoch = train.make_epoch(seen, optim.sgd(0.0), 8)
    for turn in (1, 2):
        before = train.epoch_order(state, N)
        state, _ = epoch(state, jnp.arange(N))
        assert jnp.all(state.state["count"] == turn)
        assert not jnp.array_equal(before, train.epoch_order(state, N))


@pytest.mark.parametrize("cuts", [(0, 7), (0, 1, 2, 3, 4, 5, 6, 7), (0, 3, 7), (0, 6, 7)])
def test_bits_do_not_depend_on_how_an_epoch_is_cut(cuts: tuple[int, ...]) -> None:
    epoch = train.make_epoch(TASK, RULE, 8)
    whole_state, whole = epoch(train.TrainState.create(TASK, RULE, KEY, (X, Y)), (X, Y))
    state = train.TrainState.create(TASK, RULE, KEY, (X, Y))
    order, record = train.epoch_order(state, N), None
    for start, stop in itertools.pairwise(cuts):
        state, record = epoch(state, (X, Y), order, start, stop, record)
    assert same_bits((state, record), (whole_state, whole))


def test_pieces_without_an_order_belong_to_one_epoch() -> None:
    epoch = train.make_epoch(TASK, RULE, 8)
    whole_state, whole = epoch(train.TrainState.create(TASK, RULE, KEY, (X, Y)), (X, Y))
    state, record = epoch(train.TrainState.create(TASK, RULE, KEY, (X, Y)), (X, Y), stop=3)
    state, record = epoch(state, (X, Y), start=3, record=record)
    assert same_bits((state, record), (whole_state, whole))


def test_fit_twice_gives_identical_bits_and_another_seed_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(seed: int) -> train.Result:
        return train.fit(TASK, RULE, (X, Y), epochs=3, batch_size=8, key=jax.random.key(seed), progress=False)

    first = run(0)
    monkeypatch.setattr("jaxnn.train._runs._CHUNK_SECONDS", 1e-5)
    again = run(0)
    assert same_bits(first.train_state, again.train_state)
    assert first.history["loss"] == again.history["loss"]
    assert not same_bits(first.params, run(1).params)


def test_a_run_traces_its_training_loop_once() -> None:
    traced = []

    def evaluate(params, state, batch, *, key=None, train=False):
        if train:
            traced.append(jax.tree.leaves(batch)[0].shape)
        return TASK.evaluate(params, state, batch, key=key, train=train)

    counted = train.Objective(TASK.init, evaluate)
    train.fit(counted, RULE, (X, Y), epochs=4, batch_size=8, key=KEY, validation=(X, Y), progress=False)
    # Shapes of the record, then one trace of the executable: the body of full batches and of the last one.
    assert traced == [(8, 4), (8, 4), (2, 4)]


def test_an_epoch_cut_in_pieces_is_compiled_once(caplog) -> None:
    from jaxnn.train._epoch import pure_epoch
    from jaxnn.train._step import empty_record, pure_step, record_spec

    compiled = jax.jit(pure_epoch(TASK, RULE, 7, None))
    state = train.TrainState.create(TASK, RULE, KEY, (X, Y))
    order = train.epoch_order(state, N)
    record = empty_record(record_spec(pure_step(TASK, RULE, None), state, (X[:7], Y[:7])))
    caplog.clear()
    with jax.log_compiles():
        for start, stop in [(0, 1), (1, 3), (3, 8), (0, 8)]:
            state, record = compiled(state, (X, Y), order, np.int32(start), np.int32(stop), record)
    said = [entry.getMessage() for entry in caplog.records]
    assert len([line for line in said if "Finished XLA compilation of jit(run)" in line]) == 1

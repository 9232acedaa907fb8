"""Training: exact weights, one executable, identical bits, and a loop that loses nothing."""

import itertools
import os
import signal
import threading
import time

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn as nn
from jaxnn import losses, metrics, optim, train
from jaxnn.train._objective import reduce_terms

KEY = jax.random.key(0)
N = 50
X = np.asarray(jax.random.normal(jax.random.key(1), (N, 4)))
Y = (X[:, 0] > 0).astype(np.int32)
MODEL = nn.chain(nn.dense(8), jax.nn.relu, nn.dropout(0.2), nn.dense(2))
TASK = train.supervised(MODEL, losses.cross_entropy, metrics=(metrics.accuracy,))
RULE = optim.adam(1e-2)


def same_bits(a, b) -> bool:
    return all(
        np.array_equal(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, y_)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        for y_ in [jax.random.key_data(y) if jnp.issubdtype(y.dtype, jax.dtypes.prng_key) else y]
    )


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
    from jaxnn.train._epoch import compile_epoch
    from jaxnn.train._step import empty_record, pure_step, record_spec

    compiled = compile_epoch(TASK, RULE, 7, None, True)
    state = train.TrainState.create(TASK, RULE, KEY, (X, Y))
    order = train.epoch_order(state, N)
    record = empty_record(record_spec(pure_step(TASK, RULE, None), state, (X[:7], Y[:7])))
    caplog.clear()
    with jax.log_compiles():
        for start, stop in [(0, 1), (1, 3), (3, 8), (0, 8)]:
            state, record = compiled(state, (X, Y), order, np.int32(start), np.int32(stop), record)
    said = [entry.getMessage() for entry in caplog.records]
    assert len([line for line in said if "Finished XLA compilation of jit(run)" in line]) == 1


def test_weights_are_exact_over_masks_and_unequal_batches() -> None:
    weights = np.where(np.arange(N) < 20, 2.0, 0.0).astype(np.float32)
    task = train.supervised(nn.dense(2), losses.cross_entropy, metrics=(metrics.accuracy,))
    params, state = task.init(KEY, (X, Y))
    weighted = train.evaluate(task, params, state, (X, Y, weights), batch_size=7)
    alone = train.evaluate(task, params, state, (X[:20], Y[:20]))
    assert weighted == pytest.approx(alone, rel=1e-6)


def test_class_weights_of_labels_in_a_column_and_one_hot() -> None:
    from jaxnn.train._data import weigh_classes

    for targets in (Y, Y[:, None], Y[:, None].astype(np.float32), np.eye(2)[Y], np.eye(2, dtype=int)[Y]):
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


def test_validation_split_takes_the_last_examples() -> None:
    result = train.fit(
        TASK, RULE, (X, Y), epochs=1, batch_size=8, key=KEY, validation_split=0.2, progress=False
    )
    scores = train.evaluate(TASK, result.params, result.state, (X[40:], Y[40:]))
    assert result.history["val_loss"] == [pytest.approx(scores["loss"])]
    assert list(result.history.last)[:3] == ["epoch", "loss", "accuracy"]
    assert result.history["val_acc"] == result.history["val_accuracy"]


def test_early_stopping_gives_the_best_weights() -> None:
    noise = jax.random.randint(jax.random.key(5), (N,), 0, 2)
    result = train.fit(
        TASK,
        optim.adam(0.05),
        (X, Y),
        epochs=60,
        batch_size=8,
        key=KEY,
        validation=(X, noise),
        early_stopping=train.early_stopping(patience=3),
        progress=False,
    )
    assert result.stopped == "early stopping"
    best = int(np.argmin(result.history["val_loss"])) + 1
    assert result.best_epoch == best == len(result.history.records) - 3
    scores = train.evaluate(TASK, result.params, result.state, (X, noise))
    assert scores["loss"] == pytest.approx(min(result.history["val_loss"]))


def test_ema_is_evaluated_and_returned() -> None:
    result = train.fit(
        TASK, RULE, (X, Y), epochs=2, batch_size=8, key=KEY, ema=0.9, validation=(X, Y), progress=False
    )
    assert same_bits(result.params, result.train_state.ema)
    assert not same_bits(result.params, result.train_state.params)
    average = train.TrainState.create(TASK, RULE, KEY, (X, Y), ema=True)
    new, _ = train.make_step(TASK, RULE, ema=0.9)(average, (X, Y))
    expected = jax.tree.map(lambda old, p: 0.1 * old + 0.9 * p, average.ema, new.params)
    chex.assert_trees_all_close(new.ema, expected, rtol=1e-6)


def test_the_average_moves_in_low_precision() -> None:
    task = train.supervised(nn.dense(2, param_dtype=jnp.bfloat16), losses.cross_entropy)
    rule = optim.sgd(1.0)
    state = train.TrainState.create(task, rule, KEY, (X, Y), ema=True)
    start = state.ema
    step = train.make_step(task, rule, ema=0.999)
    for _ in range(3):
        state, _ = step(state, (X, Y))
    assert {leaf.dtype for leaf in jax.tree.leaves(state.ema)} == {jnp.dtype("float32")}
    assert not same_bits(start, state.ema)


def test_a_callback_may_keep_the_state_and_needs_no_second_argument() -> None:
    states, seen = [], []

    def keep(record, state):
        states.append(state)

    def plain(record, verbose=False):
        seen.append(verbose)

    train.fit(TASK, RULE, (X, Y), epochs=2, batch_size=8, key=KEY, callbacks=[keep, plain], progress=False)
    assert [int(state.step) for state in states] == [7, 14]
    assert seen == [False, False]


def test_evaluate_and_predict_compile_once() -> None:
    traced = []

    def apply(params, x):
        traced.append(x.shape)
        return x

    model = nn.chain(nn.stateless("identity", None, apply))
    task = train.supervised(model, losses.squared_error)
    for _ in range(3):
        train.evaluate(task, {}, {}, (X, X))
        train.predict(model, {}, {}, X)
    # A full batch is traced before the loop over batches and in it, and once by predict.
    assert traced.count((N, 4)) == 3


def test_weak_types_of_an_objective_do_not_compile_twice() -> None:
    traced = []

    def evaluate(params, state, batch, *, key=None, train=False):
        traced.append(None)
        return terms(params["w"] * batch), state

    terms = train.Terms
    task = train.Objective(lambda key, batch: ({"w": jnp.asarray(0.5)}, {}), evaluate)
    state = train.TrainState.create(task, optim.sgd(0.1), KEY, jnp.ones(3))
    step = train.make_step(task, optim.sgd(0.1))
    for _ in range(3):
        state, _ = step(state, jnp.ones(3))
    assert len(traced) == 1


def test_callbacks_see_each_record_and_may_take_the_state() -> None:
    records, steps = [], []
    train.fit(
        TASK,
        RULE,
        (X, Y),
        epochs=2,
        batch_size=8,
        key=KEY,
        callbacks=[records.append, lambda record, state: steps.append(int(state.step))],
        progress=False,
    )
    assert [record["epoch"] for record in records] == [1, 2]
    assert {"loss", "accuracy", "seconds", "examples_per_second"} <= set(records[0])
    assert steps == [7, 14]


@pytest.mark.parametrize("kind", ["list", "loader"])
def test_batches_from_any_iterable(kind: str) -> None:
    batches = [(X[i : i + 8], Y[i : i + 8]) for i in range(0, N, 8)]

    class Loader:
        def __iter__(self):
            return iter(batches)

    data = batches if kind == "list" else Loader()
    result = train.fit(TASK, RULE, data, epochs=2, key=KEY, validation=data, progress=False)
    whole = train.fit(TASK, RULE, (X, Y), epochs=2, batch_size=8, key=KEY, shuffle=False, progress=False)
    chex.assert_trees_all_close(result.params, whole.params, rtol=1e-5)
    assert result.history["val_loss"][1] == pytest.approx(
        train.evaluate(TASK, result.params, result.state, (X, Y))["loss"], rel=1e-5
    )


def test_an_iterator_for_several_epochs_raises() -> None:
    with pytest.raises(ValueError, match="an iterator can be read once, but epochs=2"):
        train.fit(TASK, RULE, iter([(X, Y)]), epochs=2, key=KEY, progress=False)


def test_one_iterator_is_fine_for_one_epoch() -> None:
    result = train.fit(TASK, RULE, iter([(X, Y), (X, Y)]), epochs=1, key=KEY, progress=False)
    assert int(result.train_state.step) == 2


def test_dicts_and_trees_are_data_for_objectives_of_ones_own() -> None:
    def init(key, batch):
        return MODEL.init(key, batch["image"])

    def evaluate(params, state, batch, *, key=None, train=False):
        logits, state = MODEL.apply(params, state, batch["image"], key=key, train=train)
        return terms(losses.cross_entropy(logits, batch["label"])), state

    terms = train.Terms
    task = train.Objective(init, evaluate)
    data = {"image": X, "label": Y}
    result = train.fit(task, RULE, data, epochs=5, batch_size=8, key=KEY, progress=False)
    assert result.history["loss"][-1] < result.history["loss"][0]


def test_going_on_from_a_state_equals_one_run() -> None:
    options = {"batch_size": 8, "key": KEY, "progress": False}
    whole = train.fit(TASK, RULE, (X, Y), epochs=4, **options)
    half = train.fit(TASK, RULE, (X, Y), epochs=2, **options)
    rest = train.fit(TASK, RULE, (X, Y), epochs=2, train_state=half.train_state, **options)
    assert same_bits(whole.train_state, rest.train_state)


def test_predict_equals_apply_at_any_batch_size() -> None:
    params, state = MODEL.init(KEY, X)
    whole, _ = MODEL.apply(params, state, X)
    np.testing.assert_allclose(
        train.predict(MODEL, params, state, X, batch_size=7), whole, rtol=1e-5, atol=1e-6
    )


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_history() -> None:
    result = train.fit(TASK, optim.sgd(1e30), (X, Y), epochs=9, batch_size=8, key=KEY, progress=False)
    assert result.stopped is not None
    assert result.stopped.startswith("non-finite loss")
    assert len(result.history.records) == 1


def test_ctrl_c_keeps_the_history_and_the_last_weights() -> None:
    def interrupt(record):
        if record["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    result = train.fit(
        TASK, RULE, (X, Y), epochs=9, batch_size=8, key=KEY, callbacks=[interrupt], progress=False
    )
    assert result.stopped == "interrupted"
    assert [record["epoch"] for record in result.history.records] == [1, 2]
    assert signal.getsignal(signal.SIGINT) is before
    whole = train.fit(TASK, RULE, (X, Y), epochs=2, batch_size=8, key=KEY, progress=False)
    assert same_bits(result.params, whole.params)


def test_ctrl_c_inside_an_epoch_keeps_the_pieces_done() -> None:
    x, y = np.zeros((200_000, 64), np.float32), np.zeros(200_000, np.int32)
    traced = threading.Event()

    def evaluate(*args, **options):
        traced.set()
        return TASK.evaluate(*args, **options)

    def interrupt():
        traced.wait()
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    task = train.Objective(TASK.init, evaluate)
    result = train.fit(task, RULE, (x, y), epochs=500, batch_size=2, key=KEY, progress=False)
    assert result.stopped == "interrupted"
    assert 0 < int(result.train_state.step) < 500 * 100_000
    assert int(result.train_state.step) % 100_000
    assert result.history["loss"]


def test_progress_is_a_line_an_epoch_or_silence(capsys: pytest.CaptureFixture[str]) -> None:
    options = {"epochs": 2, "batch_size": 8, "key": KEY}
    train.fit(TASK, RULE, (X, Y), progress=False, **options)
    assert capsys.readouterr().out == ""
    train.fit(TASK, RULE, (X, Y), **options)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss 0.")
    assert "examples/s" in lines[0]
    train.fit(TASK, RULE, (X, Y), progress=True, **options)
    assert "epoch 2/2" in capsys.readouterr().out


BAD = {
    "raw key": ({"key": 0}, "fit: key must be a typed random key, got int 0"),
    "batch larger than data": ({"batch_size": 51}, r"batch_size must be at most .* got 51 for 50 examples"),
    "no epochs": ({"epochs": 0}, "fit: epochs must be a positive int, got 0"),
    "both validations": ({"validation": (X, Y), "validation_split": 0.2}, "not both"),
    "split": ({"validation_split": 1.5}, r"validation_split is the share .* got 1\.5"),
    "unequal": ({"data": (X, Y[:3])}, r"one number of examples .*\[0\]: \[50, 4\], .*\[1\]: \[3\]"),
    "labels": ({"data": (X, Y + 1)}, r"labels must be in \[0, 2\), got labels from 1 to 2"),
    "validation labels": ({"validation": (X, Y - 1)}, r"labels from -1 to 0"),
    "ema": ({"ema": 1.0}, r"ema must be in \[0, 1\)"),
    "rule by name": ({"rule": "adam"}, "optimizer must be a gradient transformation, got 'adam'"),
    "rule not called": ({"rule": optim.adam}, "call its factory"),
    "a model for a task": ({"task": MODEL}, "objective must be an Objective, got Layer; train.supervised"),
    "patience for a policy": ({"early_stopping": 3}, "early_stopping must be a policy, got 3"),
    "lists": ({"data": ([[1.0, 2.0]], [1])}, "got a float in it; convert lists with np.asarray"),
    "result for a state": ({"train_state": 3}, "train_state must be a TrainState, got 3"),
    "validation features": ({"validation": (X[:, :3], Y)}, r"dense: expected input \[\.\.\., 4\]"),
    "validation iterator": (
        {"validation": iter([(X, Y)]), "epochs": 2},
        "an iterator can be read once, but epochs=2",
    ),
    "monitor": ({"early_stopping": train.early_stopping()}, "'val_loss' is not recorded"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_of_fit(name: str) -> None:
    options, pattern = BAD[name]
    options = {"data": (X, Y), "epochs": 1, "batch_size": 8, "key": KEY, "progress": False, **options}
    with pytest.raises((ValueError, TypeError), match=pattern):
        train.fit(options.pop("task", TASK), options.pop("rule", RULE), options.pop("data"), **options)


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


def test_labels_out_of_range_in_batches_stop_the_run() -> None:
    result = train.fit(TASK, RULE, [(X, Y + 5)], epochs=2, key=KEY, progress=False)
    assert str(result.stopped).startswith("non-finite loss")


@pytest.mark.parametrize("rate", [float("nan"), -0.1])
def test_bad_learning_rates_raise_at_once(rate: float) -> None:
    with pytest.raises(ValueError, match="learning_rate"):
        optim.rmsprop(rate)

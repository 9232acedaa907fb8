"""The loop: validation, averages, callbacks, data of any kind, interruption, and what it refuses."""

import itertools
import os
import signal
import threading

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training import KEY, MODEL, RULE, TASK, N, X, Y, same_bits

import jaxnn as nn
from jaxnn import losses, optim, train


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
    steps, running = itertools.count(), threading.Event()

    def count():
        if next(steps) == 2000:
            running.set()

    def evaluate(*args, **options):
        jax.debug.callback(count)
        return TASK.evaluate(*args, **options)

    def interrupt():
        running.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
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


def test_labels_out_of_range_in_batches_stop_the_run() -> None:
    result = train.fit(TASK, RULE, [(X, Y + 5)], epochs=2, key=KEY, progress=False)
    assert str(result.stopped).startswith("non-finite loss")


@pytest.mark.parametrize("rate", [float("nan"), -0.1])
def test_bad_learning_rates_raise_at_once(rate: float) -> None:
    with pytest.raises(ValueError, match="learning_rate"):
        optim.rmsprop(rate)

"""What fit says of a loss that is not finite: its cause, not always the learning rate."""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training import KEY, RULE, X, Y

import jaxnn as nn
from jaxnn import losses, optim, train

CLASSES = train.supervised(nn.dense(2), losses.cross_entropy)
SQUARES = train.supervised(nn.dense(1), losses.squared_error)
WORDS = train.supervised(nn.chain(nn.embedding(5, 4), nn.flatten(), nn.dense(2)), losses.cross_entropy)
SPEECH = train.supervised(nn.dense(3), losses.ctc)
IDS = np.arange(36, dtype=np.int32).reshape(12, 3) % 5


def changed(array: np.ndarray, index: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


def broken_start(key, shape, dtype):
    return jax.random.normal(key, shape, dtype).at[0, 0].set(jnp.nan)


def log_of_zero(params, x):
    return jnp.log(jax.nn.relu(x - 100))


FRAMES = np.zeros((12, 4, 3), np.float32)
LABELS = np.tile(np.array([[1, 2, 1]], np.int32), (12, 1))
CAUSES: dict[str, tuple[train.Objective, Any, str]] = {
    "inputs": (CLASSES, (changed(X[:12], (7, 1), np.nan), Y[:12]), "the inputs of EXAMPLE hold nan; replace"),
    "infinite inputs": (CLASSES, (changed(X[:12], 7, np.inf), Y[:12]), "the inputs of EXAMPLE hold inf"),
    "targets": (SQUARES, (X[:12], changed(X[:12, :1], 7, np.nan)), "the targets of EXAMPLE hold nan"),
    "weights": (SQUARES, (X[:12], X[:12, :1], changed(X[:12, 0], 7, np.nan)), "the weights of EXAMPLE hold nan"),
    "infeasible": (SPEECH, (FRAMES, changed(LABELS, 7, 1)), "EXAMPLE is inf already.* too long for CTC to align"),
    "start": (
        train.supervised(nn.dense(2, kernel_init=broken_start), losses.cross_entropy),
        (X[:12], Y[:12]),
        r"params\.kernel of the start is not finite; look at the initializer",
    ),
    "log": (
        train.supervised(nn.chain(nn.stateless("log", None, log_of_zero), nn.dense(1)), losses.squared_error),
        (X[:12], X[:12, :1]),
        "with the parameters of the start the loss of .* already.* a log of 0",
    ),
}  # fmt: skip
IN_BATCHES = {
    "ids": (WORDS, (changed(IDS, (7, 1), 7), Y[:12]), r"ids must be in \[0, 5\) for the layer embedding_0, got 7"),
    "labels": (CLASSES, (X[:12], changed(Y[:12], 7, 9)), r"labels must be in \[0, 2\), got labels from . to 9"),
}  # fmt: skip


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("name", [*CAUSES, *IN_BATCHES])
def test_the_advice_fits_the_cause(name: str, batched: bool) -> None:
    task, data, pattern = {**CAUSES, **IN_BATCHES}[name]
    options: dict[str, Any] = {"epochs": 2, "batch_size": 4, "key": KEY, "progress": False}
    if name in IN_BATCHES and not batched:
        with pytest.raises(ValueError, match=pattern):
            train.fit(task, RULE, data, **options)
        return
    batches = [tuple(part[i : i + 4] for part in data) for i in (0, 4, 8)]
    result = train.fit(task, RULE, batches if batched else data, **options)
    assert result.stopped is not None
    assert result.stopped.startswith("non-finite loss: ")
    assert "smaller learning rate" not in result.stopped
    example = "example 3 of batch 2" if batched else "example 7"
    with_example = pattern.replace("EXAMPLE", example)
    assert re.search(with_example, result.stopped), result.stopped


class Pair(NamedTuple):
    inputs: Any
    targets: Any


@pytest.mark.parametrize("batched", [False, True])
def test_data_in_a_named_tuple_are_looked_at_too(batched: bool) -> None:
    data = Pair(changed(X[:12], (7, 1), np.nan), X[:12, :1])
    batches = [Pair(data.inputs[i : i + 4], data.targets[i : i + 4]) for i in (0, 4, 8)]
    given = batches if batched else data
    result = train.fit(SQUARES, RULE, given, epochs=1, batch_size=4, key=KEY, progress=False)
    assert "the inputs of example" in str(result.stopped)


@pytest.mark.parametrize("batched", [False, True])
def test_a_learning_rate_that_is_too_large_is_still_blamed(batched: bool) -> None:
    # What is not finite and does not count is no cause.
    weights = changed(np.ones(48, np.float32), 7, 0.0)
    data = changed(X[:48], 7, np.nan), X[:48, :1], weights
    batches = [tuple(part[i : i + 8] for part in data) for i in range(0, 48, 8)]
    result = train.fit(
        SQUARES,
        optim.sgd(1e30),
        batches if batched else data,
        epochs=3,
        batch_size=8,
        key=KEY,
        progress=False,
    )
    assert "try a smaller learning rate" in str(result.stopped)


def test_at_the_first_step_no_rate_is_blamed() -> None:
    def evaluate(params, state, batch, *, key=None, train=False):
        values = (params["w"] * batch).sum(1)
        return terms(values * jnp.nan if train else values), state

    terms = train.Terms
    task = train.Objective(lambda key, batch: ({"w": jnp.ones(())}, {}), evaluate)
    result = train.fit(task, RULE, X, epochs=1, batch_size=10, key=KEY, progress=False)
    assert "at the first step, before any update" in str(result.stopped)


@nn.model(first=nn.embedding(5, 4), second=nn.embedding(8, 4), out=nn.dense(2))
def two_tables(m, ids):
    return m.out((m.first(ids[:, :2]) + m.second(ids[:, 1:] + 1)).mean(1))


FED = {
    "embedding": (nn.chain(nn.embedding(5, 4), nn.flatten(), nn.dense(2)), (5, 0), -1, "embedding_0"),
    "one hot": (nn.chain(nn.one_hot(5), nn.flatten(), nn.dense(2)), (5, 0), 5, "one_hot_0"),
    "named": (nn.chain(body=nn.chain(words=nn.embedding(5, 4), flat=nn.flatten()), out=nn.dense(2)), (5, 2), 99,
              r"body\.words"),
    "first of two": (two_tables, (5, 0), 5, "first"),
    "second of two": (two_tables, (5, 2), 7, "second"),
    "remat, dropout": (nn.chain(nn.remat(nn.embedding(5, 4)), nn.dropout(0.1), nn.flatten(), nn.dense(2)), (5, 0), 6,
                       "embedding_0"),
}  # fmt: skip


@pytest.mark.parametrize("name", FED)
def test_ids_are_checked_before_the_first_step_as_labels_are(name: str) -> None:
    model, index, value, path = FED[name]
    task = train.supervised(model, losses.cross_entropy)
    good, bad = (IDS, Y[:12]), (changed(IDS, index, value), Y[:12])
    params, state = task.init(KEY, good)
    assert task.check is not None
    task.check(params, state, good)
    with pytest.raises(ValueError, match=rf"ids must be in \[0, .\) for the layer {path}, got "):
        task.check(params, state, bad)
    with pytest.raises(ValueError, match=f"for the layer {path}, got "):
        train.fit(task, RULE, good, epochs=1, batch_size=4, key=KEY, validation=bad, progress=False)


def test_ids_in_padding_may_be_anything() -> None:
    task = train.supervised(nn.chain(nn.embedding(5, 4), nn.dense(2)), losses.cross_entropy)
    ids = nn.Masked(jnp.asarray(changed(IDS, (3, 2), 77)), jnp.asarray(changed(IDS >= 0, (3, 2), False)))
    result = train.fit(task, RULE, (ids, IDS % 2), epochs=1, batch_size=4, key=KEY, progress=False)
    assert result.stopped is None
    alone = nn.embedding(5, 4)
    direct = train.supervised(alone, losses.squared_error)
    with pytest.raises(ValueError, match="for the model, got 77"):
        direct.check(*alone.init(KEY, IDS), (changed(IDS, (3, 2), 77), np.zeros((12, 3, 4), np.float32)))


def test_a_blank_among_the_labels_of_ctc_is_named() -> None:
    frames, labels = np.zeros((4, 5, 3), np.float32), np.array([[1, 2], [2, 1], [1, 0], [2, 2]])
    task = train.supervised(nn.dense(3), losses.ctc)
    found = train.fit(
        task, optim.sgd(0.1), (frames, labels), epochs=1, batch_size=4, key=jax.random.key(0), progress=False
    )
    assert found.stopped is not None
    assert "labels must be in [0, 3) and not the blank 0, got 0" in found.stopped

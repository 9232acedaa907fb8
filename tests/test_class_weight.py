"""Class weights: which class each loss belongs to is known by the outputs, and its weight multiplies."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training import KEY, RULE

import jaxnn as nn
from jaxnn import losses, train
from jaxnn.train._class_weight import weigh_classes

TABLE = {0: 1, 1: 10, 2: 100}


def spec(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *shape), jnp.float32)


def weights_of(targets: Any, outputs: Any = None, table: Any = TABLE, weights: Any = ...) -> Any:
    rest = () if weights is ... else (weights,)
    return np.asarray(weigh_classes((np.zeros((2, 2)), targets, *rest), table, outputs)[2])


def test_integer_labels_of_a_time_step_each() -> None:
    labels = np.array([[0, 1, 2], [2, 2, 0]])
    expected = [[1, 10, 100], [100, 100, 1]]
    assert weights_of(labels).tolist() == weights_of(labels, spec(3, 3)).tolist() == expected


def test_rows_with_a_single_1_are_what_the_outputs_say() -> None:
    rows = np.array([[0, 1], [1, 0], [1, 0]])
    table = {0: 2.0, 1: 5.0}
    assert weights_of(rows, spec(2, 2), table).tolist() == [[2, 5], [5, 2], [5, 2]]
    assert weights_of(rows, spec(2), table).tolist() == [5, 2, 2]
    for label in (rows, jnp.asarray(rows, jnp.bfloat16), rows.astype(bool), jnp.asarray(rows, jnp.int4)):
        assert weights_of(label, spec(2), table).tolist() == [5, 2, 2]


def test_an_objective_that_tells_no_outputs_is_asked_what_integers_are() -> None:
    rows, table = np.array([[0, 1], [1, 0], [1, 0]]), {0: 2.0, 1: 5.0}
    with pytest.raises(TypeError, match=r"can't tell whether .* class numbers or one-hot .* outputs="):
        weights_of(rows, None, table)
    for told in (rows.astype(np.float32), rows.astype(bool)):
        assert weights_of(told, None, table).tolist() == [5, 2, 2]
    assert weights_of(np.array([[0, 1], [1, 1], [1, 0]]), None, table).tolist() == [[2, 5], [5, 5], [5, 2]]
    silent = train.supervised(nn.dense(2), losses.cross_entropy)
    silent = train.Objective(silent.init, silent.evaluate)
    with pytest.raises(TypeError, match="can't tell whether"):
        train.fit(silent, RULE, (X[:3], rows), class_weight=table, **OPTIONS)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, ...]:
    """Labels of a form and rank, weights of some of their axes, rubbish where they are 0."""
    lead = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    classes = draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, classes, lead)
    form = draw(st.sampled_from(["numbers", "float numbers", "column", "one-hot", "one binary column"]))
    if form == "one binary column":
        classes, labels = 1, labels % 2
    weights = None
    if draw(st.booleans()):
        weights = rng.integers(0, 3, lead[: draw(st.integers(1, len(lead)))])
        weights = weights.astype(draw(st.sampled_from([bool, np.int8, np.float32])))
    mask = rng.random(lead) < 0.7 if draw(st.booleans()) else None
    counts = np.ones(lead, bool)
    if weights is not None:
        counts &= (weights != 0).reshape(*weights.shape, *[1] * (len(lead) - weights.ndim))
    if mask is not None:
        counts &= mask
    whole = form in ("column", "one binary column")
    targets = labels[..., None] if whole else np.eye(classes)[labels] if form == "one-hot" else labels
    kind = np.float32 if form == "float numbers" else draw(st.sampled_from([np.int8, np.int32, np.float32]))
    targets = targets.astype(kind)
    targets[~counts] = draw(st.sampled_from([-1, 100, *([np.nan] if kind == np.float32 else [])]))
    targets = targets if mask is None else nn.Masked(targets, mask)
    return labels, targets, weights, counts, spec(*lead[1:], classes)


@given(cases())
@settings(max_examples=150)
def test_weights_multiply_those_of_the_classes_of_any_form(case: tuple[Any, ...]) -> None:
    labels, targets, weights, counts, outputs = case
    table = np.array([0.5, 3.0, 0.0, 7.0])
    expected = table[labels]
    if weights is not None:
        expected = expected * weights.astype(float).reshape(
            *weights.shape, *[1] * (labels.ndim - weights.ndim)
        )
    found = weights_of(targets, outputs, table, weights)
    assert found.shape == labels.shape
    np.testing.assert_allclose(found[counts], expected[counts])
    assert np.isfinite(found).all()


X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)
OPTIONS = {"epochs": 1, "batch_size": 3, "key": KEY, "progress": False}


def fitted(model: Any, loss: Any, data: Any, **more: Any) -> float:
    return train.fit(train.supervised(model, loss), RULE, data, **OPTIONS, **more).history.last["loss"]


def test_fit_weighs_each_time_step_and_each_form() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (6, 3))
    table = {0: 1.0, 1: 2.0, 2: 3.0}
    x = np.repeat(X[:, None], 3, 1)
    weights = np.array([1, 2, 3], np.float32)[labels]
    expected = fitted(nn.dense(3), losses.cross_entropy, (x, labels, weights))
    assert fitted(nn.dense(3), losses.cross_entropy, (x, labels), class_weight=table) == expected
    one_hot = np.eye(3, dtype=np.float32)[labels]
    found = fitted(nn.dense(3), losses.cross_entropy, (x, one_hot, None), class_weight=[1.0, 2.0, 3.0])
    assert found == pytest.approx(expected, rel=1e-6)
    part = train.partition(nn.dense(3).init(KEY, x)[0], "kernel").objective(
        train.supervised(nn.dense(3), losses.cross_entropy)
    )
    a = train.fit(part, RULE, (x, labels), class_weight=table, **OPTIONS).history.last["loss"]
    assert a == train.fit(part, RULE, (x, labels, weights), **OPTIONS).history.last["loss"]


def test_fit_leaves_out_classes_of_weight_0_that_the_model_has_not() -> None:
    labels = np.array([0, 1, 255, 1, 0, 255])
    found = fitted(nn.dense(2), losses.cross_entropy, (X, labels), class_weight={0: 1, 1: 4, 255: 0})
    weights = np.array([1, 4, 0, 4, 1, 0], np.float32)
    assert found == fitted(nn.dense(2), losses.cross_entropy, (X, labels, weights))


def test_labels_of_weight_0_need_no_class_weight() -> None:
    labels, weights = np.array([0, 1, -1, 1, 0, 7]), np.array([1, 1, 0, 1, 1, 0])
    found = fitted(nn.dense(2), losses.cross_entropy, (X, labels, weights), class_weight={0: 1, 1: 4})
    assert np.isfinite(found)


def test_one_logit() -> None:
    column = np.array([[0], [1], [1], [0], [1], [0]])
    weights = np.where(column[:, 0] == 1, 4.0, 1.0).astype(np.float32)
    expected = fitted(nn.dense(1), losses.binary_cross_entropy, (X, column, weights))
    found = fitted(nn.dense(1), losses.binary_cross_entropy, (X, column), class_weight=[1, 4])
    assert found == expected


MISTAKES = {
    r"targets that are one array of labels, got \{'a': int64\[2\]\}; multiply the weights": lambda: (
        weights_of({"a": np.array([0, 1])})
    ),
    r"missing or bad for \[3, 9\]": lambda: weights_of(np.array([0, 9, 3])),
    r"missing or bad for \[1\]": lambda: weights_of(np.array([0, 1]), None, {0: 1, 1: -2.0}),
    r"missing or bad for \[0\]": lambda: weights_of(np.array([0, 1]), None, [np.inf, 1.0]),
    r"keyed by class numbers, got 'cat'": lambda: weights_of(np.array([0, 1]), None, {"cat": 1}),
    r"mapping from class numbers.*got float 2\.0": lambda: weights_of(np.array([0, 1]), None, 2.0),
    r"rows that are not one-hot": lambda: weights_of(np.array([[0.2, 0.8], [1, 0]]), spec(2)),
    r"with other values": lambda: weights_of(np.array([0.5, 1.0]), spec(3)),
    r"without the last axis.*got int64\[2, 5\]": lambda: weights_of(np.zeros((2, 5), int), spec(3)),
    r"shape must be that of the labels \[2\] or their first axes, got float64\[2, 3\]": lambda: weights_of(
        np.array([0, 1]), None, TABLE, np.ones((2, 3))
    ),
    r"needs data \(inputs, targets\), got \{'x'": lambda: weigh_classes({"x": np.ones(2)}, TABLE),
    r"model of one output, got \{'a'": lambda: weights_of(np.array([0, 1]), {"a": spec(3)}),
}


@pytest.mark.parametrize("pattern", MISTAKES)
def test_message(pattern: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"fit: class_weight.*{pattern}"):
        MISTAKES[pattern]()


def test_a_loss_that_aligns_has_no_class_weights() -> None:
    data = np.zeros((3, 5, 3), np.float32), np.array([[1, 2], [2, 1], [1, 1]])
    with pytest.raises(TypeError, match="class_weight needs one label for each loss"):
        fitted(nn.dense(3), losses.ctc, data, class_weight=TABLE)

"""Metrics: beside scikit-learn, exact however batches are cut and padded, inside the compiled loop."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

import jaxnn as nn
from jaxnn import losses, metrics, optim, train

RNG = np.random.default_rng(0)
N, K = 61, 5
LOGITS = jnp.asarray(RNG.normal(size=(N, K)).round(1), jnp.float32)  # rounded, so that some are equal
LABELS = jnp.asarray(np.minimum(RNG.integers(0, K, N), 3))  # class 4 never occurs
WEIGHTS = jnp.asarray(RNG.integers(0, 4, N), jnp.float32)
SCORES = jnp.asarray(RNG.normal(size=(N, 1)), jnp.float32)
YES = jnp.asarray(RNG.integers(0, 2, N))
PREDICTED = np.argmax(LOGITS, -1)
METRICS = {
    "accuracy": (metrics.accuracy, LOGITS, LABELS),
    "top_k_accuracy": (functools.partial(metrics.top_k_accuracy, k=2), LOGITS, LABELS),
    "confusion_matrix": (metrics.confusion_matrix, LOGITS, LABELS),
    "precision": (functools.partial(metrics.precision, average=None), LOGITS, LABELS),
    "recall": (functools.partial(metrics.recall, average="micro"), LOGITS, LABELS),
    "f1": (metrics.f1, LOGITS, LABELS),
    "binary f1": (functools.partial(metrics.f1, average="binary"), SCORES, YES),
    "perplexity": (metrics.perplexity, LOGITS, LABELS),
    "auc": (functools.partial(metrics.auc, bins=32), SCORES, YES),
}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("average", ["macro", "micro", None])
@pytest.mark.parametrize("kind", ["precision", "recall", "f1"])
def test_scores_equal_scikit_learn(kind: str, average: str | None, weights: Any) -> None:
    theirs = getattr(sklearn, f"{kind}_score")
    labels = range(K) if average is None else None
    expected = theirs(
        LABELS, PREDICTED, average=average, labels=labels, sample_weight=weights, zero_division=0
    )
    found = getattr(metrics, kind)(LOGITS, LABELS, weights, average=average).compute()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["precision", "recall", "f1"])
@pytest.mark.parametrize("outputs", [SCORES, jnp.concatenate([-SCORES, SCORES], -1)], ids=["1", "2"])
def test_binary_scores_equal_scikit_learn(kind: str, outputs: Any) -> None:
    expected = getattr(sklearn, f"{kind}_score")(YES, SCORES[:, 0] > 0)
    for labels in (YES, YES[:, None]) if outputs.shape[-1] == 1 else (YES, jax.nn.one_hot(YES, 2)):
        found = getattr(metrics, kind)(outputs, labels, average="binary").compute()
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_confusion_matrix_and_top_k_equal_scikit_learn(weights: Any) -> None:
    expected = sklearn.confusion_matrix(LABELS, PREDICTED, labels=range(K), sample_weight=weights)
    np.testing.assert_array_equal(metrics.confusion_matrix(LOGITS, LABELS, weights).compute(), expected)
    # scikit-learn counts the last of equal scores as larger, this the first: reverse the classes.
    for k in (1, 2, 3, K):
        found = metrics.top_k_accuracy(LOGITS, LABELS, weights, k=k).compute()
        expected = (
            sklearn.top_k_accuracy_score(
                K - 1 - LABELS, LOGITS[:, ::-1], k=k, labels=range(K), sample_weight=weights
            )
            if k < K
            else 1.0
        )
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    one = metrics.top_k_accuracy(LOGITS, LABELS, weights, k=1)
    assert one.compute() == metrics.accuracy(LOGITS, LABELS, weights).compute()


@pytest.mark.parametrize("bins", [1, 4, 64, 4096])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_auc_is_within_its_stated_error(bins: int, weights: Any) -> None:
    exact = sklearn.roc_auc_score(YES, SCORES[:, 0], sample_weight=weights)
    found = metrics.auc(SCORES, YES, weights, bins=bins)
    bound = float(found.error_bound())
    assert abs(found.compute() - exact) <= bound + 1e-6
    assert bins != 1 or bound == pytest.approx(0.5)
    assert bins != 4096 or bound < 2e-3
    two = metrics.auc(jnp.concatenate([-SCORES / 2, SCORES / 2], -1), YES, weights, bins=bins)
    np.testing.assert_allclose(two.compute(), found.compute(), atol=1e-6)


def test_auc_bound_is_reached_by_the_worst_order_within_a_bin() -> None:
    scores = jnp.array([[0.01], [0.02], [0.03], [0.04]])
    best = metrics.auc(scores, jnp.array([0, 0, 1, 1]), bins=4)
    assert (best.compute(), best.error_bound()) == (0.5, 0.5)
    nothing = metrics.auc(scores, jnp.ones(4, int))
    assert (nothing.compute(), nothing.error_bound()) == (0.5, 0.5)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_cutting_and_padding_changes_nothing(name: str, seed: int) -> None:
    """Batches of any sizes, padded with examples of weight 0 that hold rubbish, merge to the whole."""
    metric, outputs, labels = METRICS[name]
    rng = np.random.default_rng(seed)
    run = jax.jit(metric)
    order, cuts = rng.permutation(N), np.sort(rng.choice(np.arange(1, N), 3, replace=False))
    sums = None
    for part in np.split(order, cuts):
        pad = N - len(part)
        rubbish = jnp.full((pad, outputs.shape[-1]), jnp.nan)
        padded = (
            jnp.concatenate([outputs[part], rubbish]),
            jnp.concatenate([labels[part], jnp.full(pad, -7)]),
            jnp.concatenate([WEIGHTS[part], jnp.zeros(pad)]),
        )
        new = run(*padded)
        sums = new if sums is None else metrics.merge(sums, new)
    whole = metric(outputs, labels, WEIGHTS)
    np.testing.assert_allclose(sums.compute(), whole.compute(), rtol=1e-5)


def test_perplexity_of_masked_sequences_counts_real_tokens() -> None:
    logits, tokens = jnp.asarray(RNG.normal(size=(3, 4, K)), jnp.float32), jnp.zeros((3, 4), int)
    mask = jnp.arange(4)[None, :] < jnp.array([[4], [2], [1]])
    task = train.supervised(nn.chain(jnp.tanh), losses.cross_entropy, metrics=metrics.perplexity)
    logits = jnp.where(mask[..., None], logits, jnp.nan)
    terms, _ = task.evaluate({}, {}, (nn.Masked(logits, mask), tokens))
    real = losses.cross_entropy(jnp.tanh(logits[mask]), tokens[mask])
    np.testing.assert_allclose(terms.aux["perplexity"].compute(), jnp.exp(real.mean()), rtol=1e-6)
    assert metrics.perplexity(logits, tokens, jnp.zeros((3, 4))).compute() == 1


def test_labels_outside_cost_nan_when_traced_and_weighed() -> None:
    labels = jnp.array([0, 2])
    for metric in (metrics.confusion_matrix, metrics.f1, metrics.precision):
        found = jax.jit(metric)(jnp.ones((2, 2)), labels).compute()
        assert jnp.isnan(found).any()
        assert jnp.isfinite(jax.jit(metric)(jnp.ones((2, 2)), labels, jnp.array([1.0, 0.0])).compute()).all()


def test_an_output_that_is_not_a_number_is_no_right_answer() -> None:
    outputs = jnp.array([[jnp.nan, 1.0, 0.0], [1.0, jnp.nan, 0.0]])
    assert metrics.top_k_accuracy(outputs, jnp.zeros(2, int), k=1).compute() == 0
    assert jnp.isnan(metrics.auc(jnp.full((2, 1), jnp.nan), jnp.array([0, 1])).compute())


@pytest.fixture(scope="module")
def task() -> train.Objective:
    chosen = (
        metrics.accuracy,
        functools.partial(metrics.top_k_accuracy, k=2),
        metrics.confusion_matrix,
        functools.partial(metrics.recall, average=None),
        metrics.f1,
        metrics.perplexity,
    )
    return train.supervised(nn.dense(K), losses.cross_entropy, metrics=chosen)


X = jnp.asarray(RNG.normal(size=(N, 3)), jnp.float32)


def test_every_metric_lives_in_the_compiled_loop(task: train.Objective) -> None:
    result = train.fit(
        task,
        optim.sgd(0.0),
        (X, LABELS),
        epochs=2,
        batch_size=16,
        key=jax.random.key(0),
        validation=(X, LABELS),
        progress=False,
    )
    record = result.history.last
    names = ["accuracy", "top_k_accuracy", "confusion_matrix", "recall", "f1", "perplexity"]
    assert set(names) < set(record)
    # At rate 0 an epoch of training sees what validation sees, in other batches.
    for name in names:
        np.testing.assert_allclose(record[name], record[f"val_{name}"], rtol=1e-5)
    assert record["confusion_matrix"].shape == (K, K)
    assert record["confusion_matrix"].sum() == N
    assert [m.shape for m in result.history["recall"]] == [(K,), (K,)]
    for size in (7, N):
        scores = train.evaluate(task, result.params, result.state, (X, LABELS), batch_size=size)
        np.testing.assert_allclose(scores["f1"], record["f1"], rtol=1e-6)
    batches = [(X[:20], LABELS[:20]), (X[20:], LABELS[20:])]
    again = train.fit(
        task, optim.sgd(0.0), batches, epochs=1, key=jax.random.key(0), progress=False
    ).history.last
    np.testing.assert_array_equal(again["confusion_matrix"], record["confusion_matrix"])


def test_stopping_by_an_array_is_refused_before_training(task: train.Objective) -> None:
    policy = train.early_stopping("val_confusion_matrix", mode="max")
    with pytest.raises(ValueError, match=r"'val_confusion_matrix' is an array, float64\[5, 5\].*metrics\.f1"):
        train.fit(
            task,
            optim.sgd(0.0),
            (X, LABELS),
            epochs=1,
            key=jax.random.key(0),
            validation=(X, LABELS),
            early_stopping=policy,
            progress=False,
        )


ERRORS = {
    r"top_k_accuracy: k must be at most the number of classes, 5, got 6": lambda: metrics.top_k_accuracy(
        LOGITS, LABELS, k=6
    ),
    r"top_k_accuracy: expected integer labels \[61\] .*got int32\[3\]": lambda: metrics.top_k_accuracy(
        LOGITS, LABELS[:3]
    ),
    r"confusion_matrix: labels must be in \[0, 5\), got labels from 7 to 7": lambda: metrics.confusion_matrix(
        LOGITS, jnp.full(N, 7)
    ),
    r"confusion_matrix: weights must have the shape of the labels, \[61\], got float32\[1\]": (
        lambda: metrics.confusion_matrix(LOGITS, LABELS, jnp.ones(1))
    ),
    r"f1: average must be one of .*got 'makro'; did you mean 'macro'": lambda: metrics.f1(
        LOGITS, LABELS, average="makro"
    ),
    r"recall: average='binary' needs two classes, got 5": lambda: metrics.recall(
        LOGITS, LABELS, average="binary"
    ),
    r"auc: expected logits \[\.\.\., 1\] or \[\.\.\., 2\].*float32\[61, 5\]": lambda: metrics.auc(
        LOGITS, LABELS
    ),
    r"auc: bins must be a positive int, got 0": lambda: metrics.auc(SCORES, YES, bins=0),
    r"perplexity|cross_entropy: labels must be in \[0, 5\)": lambda: metrics.perplexity(
        LOGITS, jnp.full(N, 5)
    ),
}


@pytest.mark.parametrize("pattern", ERRORS)
def test_message(pattern: str) -> None:
    with pytest.raises((TypeError, ValueError), match=pattern):
        ERRORS[pattern]()


def test_outputs_that_are_nan_are_no_right_answers() -> None:
    nan = jnp.full((3, 3), jnp.nan)
    assert float(metrics.accuracy(nan, jnp.array([0, 0, 1])).compute()) == 0
    assert float(metrics.binary_accuracy(nan, jnp.zeros((3, 3))).compute()) == 0


def test_outputs_that_are_nan_are_wrong_in_counts_by_class() -> None:
    """By hand: rows of NaN are taken for the first class that they are not."""
    nan = jnp.nan
    outputs = jnp.array([[nan, 1.0, 0.0], [nan, nan, nan], [0.0, 2.0, 1.0], [1.0, 0.0, nan]])
    labels = jnp.array([0, 1, 1, 2])
    matrix = metrics.confusion_matrix(outputs, labels).compute()
    assert matrix.tolist() == [[0, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert metrics.accuracy(outputs, labels).compute() == matrix.trace() / matrix.sum() == 0.25
    assert metrics.recall(outputs, labels, average=None).compute().tolist() == [0, 0.5, 0]
    assert metrics.precision(outputs, labels, average=None).compute().tolist() == [0, 0.5, 0]
    one = metrics.confusion_matrix(jnp.full((2, 1), nan), jnp.array([0, 1]))
    assert one.compute().tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("label", [-1, 2, 0.3, -0.5, 1.5])
def test_traced_labels_of_one_logit_outside_are_never_right(label: float) -> None:
    outputs, labels = jnp.array([[3.0], [-3.0], [-2.0]]), jnp.array([1, label, 0], type(label))
    outside = not 0 <= label <= 1
    for metric in (metrics.f1, metrics.confusion_matrix, metrics.auc):
        found = jax.jit(metric)(outputs, labels).compute()
        assert jnp.isnan(found).any() == outside
        spared = jax.jit(metric)(outputs, labels, jnp.array([1.0, 0.0, 1.0])).compute()
        assert jnp.isfinite(spared).all()
    binary = jax.jit(metrics.binary_accuracy)(outputs, labels[:, None]).compute()
    np.testing.assert_allclose(binary, 2 / 3 if outside else 1, rtol=1e-6)


@pytest.mark.parametrize("label", [-1, K])
@pytest.mark.parametrize("name", ["accuracy", "top_k_accuracy"])
def test_concrete_labels_are_classes(name: str, label: int) -> None:
    metric = getattr(metrics, name)
    with pytest.raises(ValueError, match=rf"{name}: labels must be in \[0, {K}\), got labels from"):
        metric(LOGITS, LABELS.at[3].set(label))
    counted = jax.jit(metric)(LOGITS, LABELS.at[3].set(label)).compute() * N
    before = jax.jit(metric)(LOGITS, LABELS, jnp.ones(N).at[3].set(0)).compute() * (N - 1)
    np.testing.assert_allclose(counted, before, rtol=1e-6)


PADDED = jnp.ones(N).at[3].set(0)


@pytest.mark.parametrize("label", [-1, K])
@pytest.mark.parametrize(
    "name", ["accuracy", "top_k_accuracy", "confusion_matrix", "precision", "recall", "f1", "perplexity"]
)
def test_labels_of_weight_zero_may_be_anything(name: str, label: int) -> None:
    metric, wrong = METRICS[name][0], LABELS.at[3].set(label)
    found = metric(LOGITS, wrong, PADDED).compute()
    np.testing.assert_array_equal(found, metric(LOGITS, LABELS, PADDED).compute())
    np.testing.assert_allclose(jax.jit(metric)(LOGITS, wrong, PADDED).compute(), found, rtol=1e-6)
    np.testing.assert_array_equal(metric(LOGITS, wrong, PADDED.astype(bool)).compute(), found)
    jax.eval_shape(lambda w: metric(LOGITS, wrong, w), PADDED)  # weights unknown: nothing to check
    with pytest.raises(ValueError, match="labels must be in"):
        metric(LOGITS, wrong, PADDED.at[3].set(0.5))


@pytest.mark.parametrize("label", [-1, 7, -0.5, 1.5])
@pytest.mark.parametrize("metric", [metrics.f1, metrics.auc, metrics.binary_accuracy])
def test_targets_of_one_logit_of_weight_zero_may_be_anything(metric, label: float) -> None:
    right = YES[:, None].astype(jnp.int32 if isinstance(label, int) else jnp.float32)
    wrong = right.at[3].set(label)
    found = metric(SCORES, wrong, PADDED).compute()
    np.testing.assert_array_equal(found, metric(SCORES, right, PADDED).compute())
    np.testing.assert_allclose(jax.jit(metric)(SCORES, wrong, PADDED).compute(), found, rtol=1e-6)
    with pytest.raises(ValueError, match="labels must be in"):
        metric(SCORES, wrong, PADDED.at[3].set(0.5))


def test_weights_of_another_shape_are_named_before_labels() -> None:
    for name in ("accuracy", "top_k_accuracy", "f1", "perplexity"):
        with pytest.raises(ValueError, match="weights"):
            METRICS[name][0](LOGITS, LABELS, jnp.ones(N - 1))


@pytest.mark.parametrize("metric", [metrics.f1, metrics.auc, metrics.binary_accuracy])
def test_labels_of_one_logit_are_0_or_1(metric) -> None:
    with pytest.raises(ValueError, match=r"labels must be in \[0, 1\]"):
        metric(jnp.array([[2.0], [-1.0]]), jnp.array([[1.0], [-1.0]]))
    with pytest.raises(ValueError, match=r"labels must be in \[0, "):
        metric(jnp.array([[2.0], [-1.0]]), jnp.array([[7], [-1]]))

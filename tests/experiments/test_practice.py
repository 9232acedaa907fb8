"""Working like a practitioner: cures of overfitting, rates, transfer, two tasks, surgery, ensembles, "
"folds."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from experiments import (
    ensembles,
    inside_a_cnn,
    learning_rate_range,
    overfitting,
    transfer,
    two_inputs_two_outputs,
    weights,
)
from experiments.data import load_digits
from jaxnn import inspect, optim


@pytest.fixture(scope="module")
def learned():
    """Two networks on the digits, and the digits."""
    data = load_digits()
    both = weights.learn(weights.Config(epochs=4), data)
    return data, jax.tree.map(lambda leaf: leaf[0], both), jax.tree.map(lambda leaf: leaf[1], both)


def test_cures_of_overfitting() -> None:
    """From calculus to convolutional networks: what is learnt by heart does not help on other digits."""
    config = replace(overfitting.Config(), seeds=3, epochs=60)
    cures = {name: overfitting.CURES[name] for name in ("none", "dropout 0.5")}
    found = overfitting.learn(config, cures)
    plain, dropped = found["none"], found["dropout 0.5"]
    assert plain["val_loss"].shape == (3, 60)
    assert plain["accuracy"][:, -1].mean() > 0.9
    assert dropped["val_loss"][:, -1].mean() < plain["val_loss"][:, -1].mean()
    chosen = overfitting.stop_early(plain)
    best = plain["val_loss"][np.arange(3), chosen]
    assert (best <= plain["val_loss"][:, -1]).all()


def test_penalties_have_the_gradients_of_their_names() -> None:
    """From calculus to convolutional networks: L1 pushes by sign(w), L2 pulls by 2 w; biases are free."""
    params = {"dense_0": {"kernel": jnp.array([[2.0, -3.0]]), "bias": jnp.array([5.0, 5.0])}}
    first, second = (
        overfitting.penalty(cure) for cure in (overfitting.Cure(l1=1.0), overfitting.Cure(l2=1.0))
    )
    assert first is not None
    assert second is not None
    one, two = jax.grad(first)(params)["dense_0"], jax.grad(second)(params)["dense_0"]
    assert one["kernel"].tolist() == [[1, -1]]
    assert two["kernel"].tolist() == [[4, -6]]
    assert not one["bias"].any()


def test_range_test_finds_a_rate_that_trains() -> None:
    config = learning_rate_range.Config(steps=60, starts=2)
    data = load_digits()
    found = learning_rate_range.range_test(config, optim.adam, (jnp.asarray(data.x), jnp.asarray(data.y)))
    assert found.rates.shape == (2, 60)
    assert ((found.suggestion > 1e-3) & (found.suggestion < 0.3)).all()


def test_two_inputs_two_outputs() -> None:
    """From calculus to convolutional networks: 28,670 parameters, layer by layer, written in two ways."""
    model, function = two_inputs_two_outputs.by_combinators(), two_inputs_two_outputs.by_function()
    specs = (jax.ShapeDtypeStruct((1, 10), jnp.float32), jax.ShapeDtypeStruct((1, 8), jnp.float32))
    params, _ = jax.jit(lambda key: model.init(key, specs))(jax.random.key(0))
    layers = jax.tree.leaves(params, is_leaf=lambda node: isinstance(node, dict) and "kernel" in node)
    counts = sorted(layer["kernel"].size + layer["bias"].size for layer in layers)
    assert counts == sorted([1408, 16512, 4128, 288, 1056, 1056, 1820, 1856, 65, 464, 17])
    assert inspect.summary(model, specs).params == 28_670
    data = two_inputs_two_outputs.examples(jax.random.key(1), 20)
    ours, _ = jax.jit(model.apply)(params, {}, data[0])
    theirs, _ = jax.jit(function.apply)(two_inputs_two_outputs.same_weights(params), {}, data[0])
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_a_head_learns_on_a_frozen_trunk() -> None:
    """From calculus to convolutional networks: using other people's trained networks."""
    config = transfer.Config(seeds=3, steps=60, epochs=6, most=2)
    shots, found = transfer.learn(config)
    assert shots.tolist() == [1, 2]
    assert {way: scores.shape for way, scores in found.items()} == dict.fromkeys(transfer.WAYS, (3, 2))
    assert (found["frozen trunk"].mean(0) > [0.4, 0.6]).all()  # 0.2 by chance


def test_surgery_on_weights(learned) -> None:
    data, params, other = learned
    model = weights.build()
    x = data.x_test[:50]
    logits = np.asarray(model.apply(params, {}, x)[0])
    moved = weights.reorder(params, jnp.arange(64)[::-1])
    np.testing.assert_allclose(model.apply(moved, {}, x)[0], logits, atol=1e-5)
    silenced = np.asarray(model.apply(weights.silence(params, 3), {}, x)[0])
    np.testing.assert_allclose(silenced - logits, np.eye(10)[3] * -100 + np.zeros_like(logits), atol=1e-4)
    kernel = np.asarray(weights.prune(params, 0.5)["output"]["kernel"])
    assert (kernel == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert weights.accuracy(params, data) > 0.9
    assert weights.accuracy(weights.mix(params, other, 0.5), data) < weights.accuracy(params, data)


def test_an_ensemble_makes_fewer_mistakes() -> None:
    labels = np.array([0, 1])
    sure, wrong = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.4, 0.6], [0.1, 0.9]])
    members = np.stack([sure, wrong])
    assert ensembles.together(members, labels, 1) == 0.75
    assert ensembles.together(members, labels, 2) == 1


def test_folds_score_what_they_have_not_seen() -> None:
    data = load_digits()
    scores = ensembles.cross_validate(ensembles.Config(folds=3, epochs=4), data, (2, 32))
    assert scores.shape == (2, 3)
    assert scores[1].mean() > 0.9 > scores[0].mean()


def test_saliency_of_a_linear_network_is_its_weights() -> None:
    model = nn.chain(nn.flatten(), nn.dense(3))
    kernel = jnp.arange(48.0).reshape(16, 3)
    params = {"dense_0": {"kernel": kernel, "bias": jnp.zeros(3)}}
    picture = jnp.ones((4, 4))
    wanted = np.asarray(kernel)[:, 1].reshape(4, 4)
    np.testing.assert_allclose(inside_a_cnn.saliency(model, params, picture, 1), wanted)
    averaged = inside_a_cnn.smooth_saliency(model, params, picture, 1, jax.random.key(0), copies=4)
    np.testing.assert_allclose(averaged, wanted, rtol=1e-6)


def test_covering_what_decides_lowers_the_answer() -> None:
    model = nn.chain(nn.flatten(), nn.dense(2))
    kernel = jnp.zeros((64, 2)).at[27, 0].set(5.0)  # row 3, column 3 speaks for class 0
    params = {"dense_0": {"kernel": kernel, "bias": jnp.zeros(2)}}
    fall = np.asarray(inside_a_cnn.occlusion(model, params, jnp.ones((8, 8)), 0))
    assert (fall[2:5, 2:5] > 0.4).all()
    assert (fall > 0.4).sum() == 9

"""Losses and vanishing gradients: numbers of the courses, and what the pictures show."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments import loss_functions, vanishing_gradients
from jaxnn import losses, train


def test_losses_of_deep_learning_day_1() -> None:
    with jax.enable_x64(True):
        three = jnp.log(jnp.array([0.01, 0.23, 0.76]))
        np.testing.assert_allclose(losses.cross_entropy(three, jnp.array(2)), 0.2744368457017603, atol=1e-12)
        two = losses.cross_entropy(jnp.log(jnp.array([0.3, 0.7])), jnp.array([1.0, 0.0]))
        np.testing.assert_allclose(two, 1.2039728043259361, atol=1e-12)
        coin = losses.binary_cross_entropy(jnp.zeros(1), jnp.ones(1))
        np.testing.assert_allclose(coin, np.log(2), atol=1e-12)
        square = losses.squared_error(jnp.exp(three), jnp.array([0.0, 0, 1]))
        np.testing.assert_allclose(square, 0.0368667, atol=1e-7)


def test_plotted_gradients_of_two_losses() -> None:
    z, values, slopes = loss_functions.by_logit()
    p = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(slopes["cross entropy"], p - 1, atol=1e-6)
    np.testing.assert_allclose(slopes["half squared error"], (p - 1) * p * (1 - p), atol=1e-6)
    np.testing.assert_allclose(values["half squared error"], (p - 1) ** 2 / 2, atol=1e-6)
    learned = loss_functions.learning(600)
    first = {name: int(np.argmax(path > 0.9)) for name, path in learned.items()}
    assert 0 < first["cross entropy"] < 20 < 400 < first["half squared error"]


def test_the_printed_loss_of_the_deck_is_none() -> None:
    """From calculus to convolutional networks: exponentials where logarithms belong."""
    broken = loss_functions.broken(np.array([0, 0.5, 1]), 1.0)
    np.testing.assert_allclose(broken, [1e9, -1.6487213, 0], rtol=1e-6)
    half = loss_functions.broken(np.array([1e-9, 0.5, 1 - 1e-9]), 0.5)
    np.testing.assert_allclose(half, [-1.859141, -1.648721, -1.859141], rtol=1e-6)
    np.testing.assert_allclose(loss_functions.right(np.array(0.5), 1.0), np.log(2), rtol=1e-6)


def test_gradients_vanish_through_sigmoids_and_not_through_relu() -> None:
    config = vanishing_gradients.Config(depth=6, width=16, points=32, steps=2)
    keys = jax.random.split(jax.random.key(0), 2)
    ratios = {}
    for name in ("sigmoid, descent", "ReLU, descent", "sigmoid, batch norm"):
        remedy = vanishing_gradients.REMEDIES[name]
        norms = np.asarray(
            train.fit_many(vanishing_gradients.make_train(config, remedy), keys).results["norms"]
        )
        assert norms.shape == (2, 7)
        ratios[name] = norms[:, 0] / norms[:, -1]
    assert (ratios["sigmoid, descent"] < 1e-3).all()
    assert (ratios["ReLU, descent"] > 0.02).all()
    assert (ratios["sigmoid, batch norm"] > 0.05).all()

"""The camera of four pixels and the irises: the numbers that the courses print, and what is plotted."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import camera_by_hand, camera_learned, iris
from experiments.data import camera, load_iris


def test_camera_set_by_hand() -> None:
    """Back-propagation; Multi-layer networks and optimisation: p, loss and what the hidden layers see."""
    with jax.enable_x64(True):
        seen = camera_by_hand.seen(camera_by_hand.weights(jnp.float64))
    right = np.arange(8), seen["class"]
    np.testing.assert_allclose(seen["probability"][right], 0.46504800464890356, atol=1e-12)
    np.testing.assert_allclose(np.sort(seen["probability"])[:, :3], 0.17831733178369877, atol=1e-12)
    np.testing.assert_allclose(seen["loss"], 0.765614642919136, atol=1e-12)
    np.testing.assert_allclose(np.abs(seen["columns"]).max(1), 0.9640275800758169, atol=1e-12)
    np.testing.assert_allclose(np.abs(seen["both"]).max(1), 0.9585759101766381, atol=1e-12)
    assert ((np.abs(seen["both"]) > 0).sum(1) == 1).all()
    assert ((seen["signs apart"] > 0).sum(1) == 1).all()


def test_camera_samples_are_labelled_pictures() -> None:
    x, y = camera.sample(jax.random.key(0), 400)
    patterns, classes = camera.patterns()
    assert {(tuple(p), c) for p, c in zip(x.tolist(), y.tolist(), strict=True)} == {
        (tuple(p), c) for p, c in zip(patterns.tolist(), classes.tolist(), strict=True)
    }


def test_camera_learned() -> None:
    """Back-propagation; Multi-layer networks and optimisation: every picture is recognised."""
    config = replace(camera_learned.Config(), seeds=6)
    history = camera_learned.learn(config).results["history"]
    accuracy = np.asarray(history["val_accuracy"])
    assert accuracy.shape == (6, config.epochs)
    assert np.median(accuracy[:, 7]) == 1
    assert accuracy[:, -1].tolist() == [1] * 6
    assert (np.diff(np.asarray(history["val_loss"]).mean(0)) < 1e-3).all()


def test_irises_stand_in_blocks_of_ten() -> None:
    x, y = load_iris()
    assert x.shape == (150, 4)
    assert y.reshape(15, 10).tolist() == [[species] * 10 for _ in range(5) for species in range(3)]
    assert np.bincount(y[:50]).tolist() == [20, 20, 10]
    np.testing.assert_allclose(x[0], [5.1, 3.5, 1.4, 0.2])


@pytest.mark.parametrize(
    ("shuffled", "least", "most"), [(False, 88, 90), (True, 96, 98)], ids=["course", "shuffled"]
)
def test_irises(shuffled: bool, least: float, most: float) -> None:
    """Deep learning, day 1: 89 of 100 right, a last loss of 0.006; medians over three hundred networks."""
    found = iris.learn(iris.Config(), shuffled)
    collapsed = found["loss"][:, -1] > iris.COLLAPSED
    assert least <= np.median(found["right"]) <= most
    assert found["loss"].shape == (300, 11)
    assert 0.01 <= collapsed.mean() <= 0.08
    assert found["dead"][collapsed].mean() > 0.7 > found["dead"][~collapsed].mean()
    if not shuffled:
        assert 0.005 <= np.median(found["loss"][:, -1]) <= 0.006

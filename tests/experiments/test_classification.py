"""Classifiers of points in the plane: Gaussian clouds at their ceiling, features by hand and learned."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import handmade_features, ring_network, two_gaussians
from experiments.data import plane
from experiments.plots import Grid
from jaxnn import inspect, train


def test_the_best_line_between_two_gaussians() -> None:
    """From calculus to convolutional networks: its two clouds; weights and accuracy are derived."""
    with jax.enable_x64(True):
        weights, bias = two_gaussians.line(two_gaussians.population())
    np.testing.assert_allclose(weights, [-0.8, 0.8], atol=1e-12)
    np.testing.assert_allclose(bias, 0, atol=1e-12)
    ceiling = (1 + math.erf(math.sqrt(32) / (2 * math.sqrt(5)) / math.sqrt(2))) / 2
    assert abs(ceiling - two_gaussians.CEILING) < 1e-9


def test_classifiers_reach_the_ceiling() -> None:
    """One covariance, two covariances and logistic regression: within 0.01 of 0.897 on 10,000 points."""
    config = two_gaussians.Config(epochs=1)
    found = jax.jit(two_gaussians.make_train(config))(jax.random.key(1))
    for name in ("own covariances", "shared covariance", "logistic regression", "truth known"):
        assert abs(float(found[name]) - two_gaussians.CEILING) < 0.01, name
    weights, bias = two_gaussians.line(found["fits"]["shared"])
    x = found["data"].x[:50]
    np.testing.assert_allclose(
        x @ weights + bias, two_gaussians.log_odds(found["fits"]["shared"], x), rtol=1e-3, atol=1e-3
    )
    # One weight from 1,000 points has a standard error of 0.053 (2,000 samples), so from 200,000 one of 0.0037.
    many = two_gaussians.estimate(plane.gaussians(jax.random.key(1), 200_000), shared=True)
    np.testing.assert_allclose(two_gaussians.line(many)[0], [-0.8, 0.8], atol=0.02)
    sizes = inspect.summary(two_gaussians.network(), jax.ShapeDtypeStruct((1, 2), jnp.float32))
    assert sizes.params == 40_902


def test_estimates_are_maximum_likelihood() -> None:
    points = plane.gaussians(jax.random.key(0), 200)
    own = two_gaussians.estimate(points, shared=False)
    x, y = np.asarray(points.x), np.asarray(points.y)
    for label in (0, 1):
        np.testing.assert_allclose(own.means[label], x[y == label].mean(0), rtol=1e-4)
        np.testing.assert_allclose(own.covariances[label], np.cov(x[y == label].T, ddof=0), rtol=1e-4)


@pytest.mark.parametrize("name", ["coordinates", "feature by hand", "network"])
def test_a_ring_needs_a_feature_or_a_network(name: str) -> None:
    config = handmade_features.Config(points=500, steps=600, frames=2)
    grid = Grid((-6.0, 6.0), (-6.0, 6.0), 10)
    run = jax.jit(handmade_features.make_train(config, handmade_features.PROBLEMS["ring"], name, grid))
    found = run(jax.random.key(0))
    accuracy = float(found["accuracy"])
    assert abs(accuracy - 0.5) < 0.12 if name == "coordinates" else accuracy > 0.99
    assert found["maps"].shape == (2, 10, 10)
    centre, corner = found["maps"][-1, 5, 5], found["maps"][-1, 0, 0]
    assert name == "coordinates" or centre > 0.5 > corner


def test_points_are_what_their_names_say() -> None:
    ring, quadrants = plane.ring(jax.random.key(0), 400), plane.quadrants(jax.random.key(0), 400)
    radius = np.linalg.norm(np.asarray(ring.x), axis=1)
    assert radius[ring.y == 1].max() < 2
    assert 3 < radius[ring.y == 0].min() < radius.max() < 5
    assert float(ring.y.mean()) == 0.5
    assert ((np.asarray(quadrants.x).prod(1) > 0) == (np.asarray(quadrants.y) == 1)).all()


def test_the_ring_network_stays_on_its_plateau() -> None:
    """From calculus to convolutional networks: 751 parameters, and ln 2 at the rate of ``SGD()``."""
    model = ring_network.build(jax.nn.sigmoid)
    assert inspect.summary(model, jax.ShapeDtypeStruct((1, 2), jnp.float32)).params == 751
    config = ring_network.Config(epochs=10, every=5)
    run = ring_network.make_train(config, jax.nn.sigmoid, Grid((-6.0, 6.0), (-6.0, 6.0), 4))
    found = train.fit_many(run, jax.random.split(jax.random.key(0), 2), jnp.array([0.01])).results
    assert found["maps"].shape == (1, 2, 3, 4, 4)
    assert found["loss"].shape == (1, 2, 10)
    np.testing.assert_allclose(found["loss"][..., -1], math.log(2), atol=5e-3)

"""Autoencoders on small made-up data: counts, subspaces, noise, bounds, and one-hot against embeddings."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import (
    autoencoder,
    denoising_autoencoder,
    linear_autoencoder,
    one_hot,
    variational_autoencoder,
)
from jaxnn import train


def test_6_3_6_has_45_parameters() -> None:
    """The figure of "Recurrent, convolutional and embedding networks"."""
    spec = jax.ShapeDtypeStruct((1, 6), jnp.float32)
    params, _ = jax.eval_shape(lambda key: autoencoder.small().init(key, spec), jax.random.key(0))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == 45


def test_6_3_6_tells_six_patterns_apart() -> None:
    many = train.fit_many(autoencoder.make_train_small(), jax.random.split(jax.random.key(0), 4))
    assert many.results["right"].tolist() == [6, 6, 6, 6]
    codes = np.asarray(many.results["codes"])
    assert codes.shape == (4, 6, 3)
    assert (codes >= 0).all()
    assert (codes <= 1).all()
    for code in codes:
        assert np.abs(code[:, None] - code[None]).max(-1)[~np.eye(6, dtype=bool)].min() > 0.2


@pytest.mark.parametrize("name", autoencoder.networks())
def test_networks_give_back_the_shape_and_count_what_is_on(name: str) -> None:
    network = autoencoder.networks()[name]
    task = autoencoder.objective(network)
    x = jax.random.uniform(jax.random.key(0), (3, 784))
    params, state = task.init(jax.random.key(1), x)
    terms, _ = task.evaluate(params, state, x)
    assert terms.values.shape == (3,)
    assert 0 <= float(terms.aux["on"].compute()) <= 1
    code, _ = network.encoder.apply(params["encoder"], {}, x)
    assert code.shape == (3, network.units)


def test_compression_by_principal_components_is_the_tail_of_the_variances() -> None:
    x = np.random.default_rng(0).normal(size=(50, 6)) * np.arange(1, 7)
    variances = linear_autoencoder.principal_axes(x)[1]
    assert autoencoder.principal_error(x, x, 4) == pytest.approx(variances[4:].sum() / 6)


def anisotropic() -> np.ndarray:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    x = np.random.default_rng(0).normal(size=(400, 12)) * np.sqrt([4, 3, 2, *[0.3] * 9])
    return (x @ turn - (x @ turn).mean(0)).astype(np.float32)


def test_a_linear_autoencoder_spans_the_principal_subspace() -> None:
    x = anisotropic()
    config = linear_autoencoder.Config(units=3, epochs=250, batch_size=100, learning_rate=0.005)
    params = linear_autoencoder.make_train(config, sigmoid=False)(jax.random.key(0), x).params
    encoder, decoder = linear_autoencoder.kernels(params)
    axes, variances = linear_autoencoder.principal_axes(x)
    assert linear_autoencoder.angles(axes[:, :3], decoder.T)[-1] < 1
    made = x @ encoder @ decoder
    assert ((made - x) ** 2).sum(1).mean() == pytest.approx(variances[3:].sum(), rel=1e-3)
    assert ((made - x) ** 2).sum(1).mean() >= variances[3:].sum() * (1 - 1e-6)
    back = linear_autoencoder.recovered(made, 3)
    for index in range(3):
        assert linear_autoencoder.angles(axes[:, [index]], back[:, [index]])[0] < 2
    # The decoder's own columns are no principal axes.
    own = [linear_autoencoder.angles(axes[:, :1], decoder.T[:, [index]])[0] for index in range(3)]
    assert min(own) > 2


def test_angles_between_subspaces() -> None:
    turned = np.array([[np.cos(0.01), 0], [np.sin(0.01), 0], [0, 1.0]])
    found = linear_autoencoder.angles(np.eye(3)[:, [0, 2]], turned)
    assert found == pytest.approx([0, np.degrees(0.01)], abs=1e-6)
    assert linear_autoencoder.angles(turned, turned @ [[2, 1], [0, 3]]) == pytest.approx([0, 0], abs=1e-6)


def test_noise_is_added_in_training_only() -> None:
    config = denoising_autoencoder.Config(hidden=8)
    model = denoising_autoencoder.build(config)
    x = jnp.zeros((2, 784))
    params, state = model.init(jax.random.key(0), x)
    quiet = model.apply(params, state, x)[0]
    np.testing.assert_array_equal(quiet, model.apply(params, state, x, key=jax.random.key(1))[0])
    loud = model.apply(params, state, x, key=jax.random.key(1), train=True)[0]
    assert np.abs(loud - quiet).max() > 0.01
    assert (loud >= 0).all()
    assert (loud <= 1).all()


def test_no_linear_map_is_better_than_wieners() -> None:
    x = anisotropic()
    linear, mean = denoising_autoencoder.wiener(x, 0.5)
    dirty = denoising_autoencoder.noisy(x, 0.5)
    best = denoising_autoencoder.error((dirty - mean) @ linear + mean, x)
    assert best < denoising_autoencoder.error(dirty, x) < 0.26
    for factor in (0.9, 1.1):
        assert denoising_autoencoder.error((dirty - mean) @ (factor * linear) + mean, x) > best
    np.testing.assert_array_equal(dirty, denoising_autoencoder.noisy(x, 0.5))


def vae() -> tuple[variational_autoencoder.Config, dict]:
    config = variational_autoencoder.Config(latent=3, hidden=8, epochs=1, batch_size=4)
    x = jnp.zeros((2, 784))
    return config, variational_autoencoder.objective(config, 3).init(jax.random.key(0), x)[0]


def test_the_bound_is_below_the_log_likelihood() -> None:
    """One code of one number, one pixel: the integral over the code can be taken on a grid."""
    grid = np.linspace(-8, 8, 4001)
    weight, shift, mean, log_var = 1.7, -0.4, 0.3, -0.5
    yes = 1 / (1 + np.exp(-(weight * grid + shift)))
    truth = np.log(np.trapezoid(yes * np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), grid))
    codes = mean + np.exp(log_var / 2) * np.random.default_rng(0).normal(size=20_000)
    logits = jnp.asarray(weight * codes + shift, jnp.float32)[:, None]
    ones = jnp.ones_like(logits)
    again, divergence = variational_autoencoder.bound(ones, logits, mean * ones, log_var * ones)
    elbo = -float(jnp.mean(again + divergence))
    assert elbo < truth
    density = np.exp(-((grid - mean) ** 2) / (2 * np.exp(log_var))) / np.sqrt(2 * np.pi * np.exp(log_var))
    expected = np.trapezoid(density * np.log(yes), grid) - (mean**2 + np.exp(log_var) - 1 - log_var) / 2
    assert elbo == pytest.approx(expected, abs=0.01)


def test_the_divergence_of_equal_normals_is_zero() -> None:
    zeros = jnp.zeros((2, 5))
    _, divergence = variational_autoencoder.bound(zeros, zeros, zeros, zeros)
    assert divergence.tolist() == [0, 0]


def test_pictures_are_binarised_with_the_probability_of_their_grey() -> None:
    grey = jnp.tile(jnp.array([0.0, 0.25, 1.0])[:, None], (1, 20_000))
    found = variational_autoencoder.binarised(jax.random.key(0), grey)
    assert set(np.unique(found)) == {0, 1}
    assert found.mean(1).tolist() == pytest.approx([0, 0.25, 1], abs=0.01)


def test_one_seed_gives_the_same_bound_and_the_same_digits() -> None:
    config, params = vae()
    x = np.asarray(variational_autoencoder.binarised(jax.random.key(1), jnp.full((5, 784), 0.3)))
    first, second = (variational_autoencoder.bound_of(config, 3, params, x) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, variational_autoencoder.bound_of(config, 3, params, x, seed=1))
    codes = jax.random.normal(jax.random.key(0), (2, 3))
    made = variational_autoencoder.generate(config, params, codes)
    assert made.shape == (2, 28, 28)
    np.testing.assert_array_equal(made, variational_autoencoder.generate(config, params, codes))
    assert (made >= 0).all()
    assert (made <= 1).all()


def test_training_raises_the_bound() -> None:
    config = variational_autoencoder.Config(latent=2, hidden=16, batch_size=50, learning_rate=0.01)
    halves = np.repeat(np.eye(2, dtype=np.float32), 392, axis=1)  # the left half black, or the right
    x = halves[np.arange(200) % 2]
    history = variational_autoencoder.make_train(config, 2, 150)(jax.random.key(0), x).history
    assert history["loss"][-1] < 100 < history["loss"][0]
    # Telling two pictures apart takes ln 2 nats.
    assert history["divergence"][-1] > 0.9 * math.log(2)


@pytest.mark.parametrize(
    ("sentence", "ids"), [("have a good day", [4, 0, 2, 1]), ("have a great day", [4, 0, 3, 1])]
)
def test_words_as_numbers(sentence: str, ids: list[int]) -> None:
    """The vocabulary and the two sentences of "Recurrent, convolutional and embedding networks"."""
    assert one_hot.WORDS == ("a", "day", "good", "great", "have")
    assert one_hot.encode(sentence) == ids


def test_one_hot_words_are_all_equally_far_apart() -> None:
    apart = one_hot.distances(np.eye(5))
    assert apart[~np.eye(5, dtype=bool)] == pytest.approx(2**0.5)
    assert len(one_hot.neighbours([4, 0, 2, 1], 1)) == 6


def test_words_with_the_same_neighbours_come_together() -> None:
    many = train.fit_many(one_hot.make_train(one_hot.Config()), jax.random.split(jax.random.key(0), 3))
    for vectors in np.asarray(many.results["embeddings"]):
        apart = one_hot.distances(vectors)
        assert apart[2, 3] < 0.2 * np.sort(np.delete(apart[2], [2, 3]))[0]

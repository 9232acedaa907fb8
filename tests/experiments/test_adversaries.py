"""The two players of a GAN: value, optimal discriminator, losses, penalty; the density of two hills."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from experiments import density_gan, mnist_gan
from experiments.adversaries.players import (
    EQUILIBRIUM_VALUE,
    discriminator_objective,
    generator_objective,
    value,
)
from experiments.plots.samples import sheet


def test_tossing_a_coin_is_worth_minus_ln_4() -> None:
    assert pytest.approx(-math.log(4), abs=1e-15) == EQUILIBRIUM_VALUE
    zeros = jnp.zeros(3)
    assert np.asarray(value(zeros, zeros)) == pytest.approx(np.full(3, EQUILIBRIUM_VALUE))


def test_the_best_discriminator_is_worth_the_divergence() -> None:
    """Integrated over a grid: ``E_p ln D + E_q ln(1 - D)`` with ``logit D = ln p/q`` is ``2 JS - ln 4``."""
    x = np.linspace(-12, 12, 20_001)
    p, q = (np.exp(-((x - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (-0.7, 0.8))
    mixture = (p + q) / 2
    divergence = np.trapezoid((p * np.log(p / mixture) + q * np.log(q / mixture)) / 2, x)
    with jax.enable_x64(True):
        logit = jnp.asarray(np.log(p / q))
        zero = jnp.full_like(logit, -jnp.inf)
        real, fake = value(logit, zero), value(-zero, logit)
        found = np.trapezoid(np.asarray(p * np.asarray(real) + q * np.asarray(fake)), x)
    assert found == pytest.approx(2 * divergence + EQUILIBRIUM_VALUE, abs=1e-9)
    assert divergence > 0.1


def test_the_discriminators_loss_is_value_and_penalty() -> None:
    discriminator = nn.dense(1, use_bias=False)
    kernel = jnp.array([[3.0], [4.0]])
    batch = {"real": jnp.array([[1.0, 0.0], [0.0, -1.0]]), "fake": jnp.array([[-1.0, 0.5], [0.0, 1.0]])}
    plain, damped = (discriminator_objective(discriminator, penalty) for penalty in (0.0, 0.2))
    terms, _ = plain.evaluate({"kernel": kernel}, {}, batch)
    real, fake = np.array([3.0, -4.0]), np.array([-1.0, 4.0])
    expected = np.log1p(np.exp(-real)) + np.log1p(np.exp(fake))
    assert np.asarray(terms.values) == pytest.approx(expected, rel=1e-6)
    assert float(terms.aux["value"].compute()) == pytest.approx(-expected.mean(), rel=1e-6)
    assert float(terms.aux["right"].compute()) == 0.5
    output = np.concatenate([1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))]).mean()
    assert float(terms.aux["output"].compute()) == pytest.approx(output, rel=1e-6)
    more, _ = damped.evaluate({"kernel": kernel}, {}, batch)
    assert np.asarray(more.values) == pytest.approx(expected + 0.1 * 25, rel=1e-6)


def test_the_generator_has_a_slope_where_the_discriminator_is_sure() -> None:
    objective = generator_objective(nn.dense(1, use_bias=False), nn.dense(1))
    sure = {"kernel": jnp.ones((1, 1)), "bias": jnp.array([-20.0])}
    batch = {"noise": jnp.ones((1, 1)), "discriminator": sure}
    slope = jax.grad(lambda k: objective.evaluate({"kernel": k}, {}, batch)[0].values[0])(jnp.zeros((1, 1)))
    assert float(slope[0, 0]) == pytest.approx(-1)


def test_numbers_are_drawn_from_the_density() -> None:
    x = np.linspace(-8, 8, 4001)
    assert np.trapezoid(density_gan.density(x), x) == pytest.approx(1, abs=1e-9)
    drawn = density_gan.draw(jax.random.key(0), 20_000)[:, 0]
    # Kolmogorov: the distance exceeds 1.95 / sqrt(n) once in a thousand.
    assert float(density_gan.distance(drawn)) < 1.95 / math.sqrt(20_000)
    assert float(density_gan.distance(drawn + 0.5)) > 0.05


def test_a_lane_of_the_game() -> None:
    config = density_gan.effective(density_gan.Config(quick=True))
    keys = jax.random.split(jax.random.key(0), 2)
    found = jax.jit(jax.vmap(density_gan.make_train(config)))(keys)
    assert found["value"].shape == (2, config.stages)
    assert found["made"].shape == (2, config.stages, 1000)
    assert not np.array_equal(found["made"][0], found["made"][1])
    assert np.isfinite(found["final_value"]).all()


@pytest.mark.slow
def test_the_game_comes_to_rest() -> None:
    config = density_gan.Config(rounds=4000)
    found = jax.jit(jax.vmap(density_gan.make_train(config)))(jax.random.split(jax.random.key(3), 5))
    at_rest = np.abs(np.asarray(found["final_value"]) - EQUILIBRIUM_VALUE) < 0.02
    at_rest &= np.abs(np.asarray(found["final_output"]) - 0.5) < 0.02
    at_rest &= np.asarray(found["fresh_value"]) - EQUILIBRIUM_VALUE < 0.02
    assert at_rest.sum() >= 4


def test_a_sheet_keeps_every_picture() -> None:
    pictures = np.arange(1, 6, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), np.float32)
    laid = sheet(pictures, margin=1)
    assert laid.shape == (3 * 3 + 1, 3 * 4 + 1)
    assert laid[1:3, 5:8] == pytest.approx(2)
    assert laid[4:6, 1:4] == pytest.approx(4)
    assert laid.sum() == pytest.approx(6 * 15)


def test_a_part_of_an_epoch_takes_a_step_of_each_player_for_each_batch() -> None:
    config = mnist_gan.Config(batch_size=4, features=2, noise=3)
    start, part = mnist_gan.make_part(config)
    x = jax.random.uniform(jax.random.key(1), (20, 28, 28))
    order = jnp.arange(20).reshape(5, 4)
    (judged, forged), record = part(start(jax.random.key(0)), x, order)
    assert int(judged.step) == int(forged.step) == 5
    assert {name: values.shape for name, values in record.items()} == dict.fromkeys(record, (5,))
    assert np.asarray(record["discriminator_loss"]) == pytest.approx(-np.asarray(record["value"]))
    drawn = np.asarray(mnist_gan.make_draw(config)(forged, jax.random.normal(jax.random.key(2), (6, 3))))
    assert drawn.shape == (6, 28, 28)
    assert 0 <= drawn.min() < drawn.max() <= 1


def test_a_batch_larger_than_a_part_of_an_epoch_is_refused() -> None:
    train = mnist_gan.make_train(mnist_gan.Config(batch_size=6, features=2))
    with pytest.raises(ValueError, match="at most a quarter of the 20 pictures, got 6"):
        train(jax.random.key(0), np.zeros((20, 28, 28), np.float32), lambda *_: None)


def test_confidence_by_digit() -> None:
    probabilities = np.full((3, 10), 0.01)
    probabilities[[0, 1], 4] = 0.9, 0.7
    probabilities[2, 7] = 0.6
    found = mnist_gan._confidence(probabilities)
    assert found[4] == pytest.approx(0.8)
    assert found[7] == pytest.approx(0.6)
    assert sum(found) == pytest.approx(1.4)

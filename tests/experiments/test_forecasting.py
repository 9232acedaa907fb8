"""Forecasting: windows without the future, persistence, bands, and what networks learn from."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import forecasting
from experiments.data.time_series import FILES, Series, load_series
from experiments.forecasts import learning
from experiments.forecasts.windows import Recipe, Windows, make_windows

GROWING = Recipe("log", grows=True, year=12, season="lag", window=5, epochs=3)
STEADY = Recipe("plain", grows=False, year=30, season="calendar", window=4, epochs=3)


def series(values: np.ndarray) -> Series:
    return Series("made", tuple(str(place) for place in range(len(values))), values)


def made_series() -> Series:
    rng = np.random.default_rng(3)
    return series(50 + np.cumsum(rng.normal(size=90)) ** 2)


def loaded(name: str) -> Series:
    try:
        return load_series(name)
    except OSError as error:
        pytest.skip(str(error))


# Recurrent, convolutional and embedding networks: recurrent cells.


def test_persistence_on_the_last_year_of_shampoo_sales() -> None:
    shampoo = loaded("shampoo")
    windows = make_windows(shampoo, forecasting.RECIPES["shampoo"])
    assert windows.is_test.sum() == 12
    said = forecasting.persistence(shampoo, windows)
    assert forecasting.rmse(shampoo, windows, said, windows.is_test) == pytest.approx(136.761, abs=1e-3)


@pytest.mark.parametrize(("name", "count"), [("airline", 144), ("temperatures", 3650), ("sunspots", 2820)])
def test_the_series_are_whole_and_their_last_third_is_the_test(name: str, count: int) -> None:
    found = loaded(name)
    windows = make_windows(found, forecasting.RECIPES[name])
    assert found.values.shape == (count,)
    assert np.isfinite(found.values).all()
    assert windows.test == count - count // 3
    assert windows.is_test.sum() == count // 3
    assert np.isfinite(windows.inputs).all()
    assert np.isfinite(windows.targets).all()


def test_an_unknown_series_is_named() -> None:
    with pytest.raises(ValueError, match=f"no series 'stocks'; there are {', '.join(FILES)}"):
        load_series("stocks")


@pytest.mark.parametrize("recipe", [GROWING, STEADY])
def test_forecasting_no_change_is_persistence_and_the_true_change_is_the_truth(recipe: Recipe) -> None:
    made = made_series()
    windows = make_windows(made, recipe)
    still = np.full(len(windows.targets), -windows.mean / windows.spread)
    np.testing.assert_allclose(windows.values(still), forecasting.persistence(made, windows), rtol=1e-6)
    np.testing.assert_allclose(windows.values(windows.targets), made.values[windows.steps], rtol=1e-4)


@pytest.mark.parametrize("recipe", [GROWING, STEADY])
def test_inputs_hold_nothing_from_their_target_on(recipe: Recipe) -> None:
    made = made_series()
    before = make_windows(made, recipe)
    at = 40  # a training step, changed together with all that follows in the training part
    changed = made.values.copy()
    changed[before.steps[at]] *= 3
    # The scaling belongs to the training part and may change with it; besides that the windows must not.
    after = make_windows(series(changed), recipe)
    line = np.polyfit(before.inputs[:at, :, 0].ravel(), after.inputs[:at, :, 0].ravel(), 1)
    fitted = np.polyval(line, before.inputs[: at + 2, :, 0])
    np.testing.assert_allclose(after.inputs[: at + 1, :, 0], fitted[: at + 1], atol=1e-4)
    assert abs(after.inputs[at + 1, -1, 0] - fitted[at + 1, -1]) > 0.1


@pytest.mark.parametrize("recipe", [GROWING, STEADY])
def test_the_test_part_changes_nothing_of_what_is_learned(recipe: Recipe) -> None:
    made = made_series()
    one = make_windows(made, recipe)
    values = made.values.copy()
    values[one.test :] = values[one.test :][::-1] * 1.7
    other = make_windows(series(values), recipe)
    learned = ~one.is_test
    assert (one.mean, one.spread) == (other.mean, other.spread)
    np.testing.assert_array_equal(one.inputs[learned], other.inputs[learned])
    np.testing.assert_array_equal(one.targets[learned], other.targets[learned])
    np.testing.assert_array_equal(
        learning.autoregression(one, learned)[learned], learning.autoregression(other, learned)[learned]
    )


def test_networks_learn_nothing_from_windows_without_weight() -> None:
    made = made_series()
    one = make_windows(made, STEADY)
    values = made.values.copy()
    values[one.test :] *= -9
    other = make_windows(series(values), STEADY)
    weights = jnp.asarray(~one.is_test, jnp.float32)

    def changes(windows: Windows) -> np.ndarray:
        run = learning.make_train(learning.build("GRU", 4, 0.0), windows, 2, 16, 1e-2)
        return np.asarray(run(jax.random.key(0), weights)["changes"])

    ours, theirs = changes(one), changes(other)
    np.testing.assert_array_equal(ours[~one.is_test], theirs[~one.is_test])
    assert (ours[one.is_test] != theirs[one.is_test]).any()


def test_a_forecast_has_a_band_around_its_mean() -> None:
    made = made_series()
    windows = make_windows(made, STEADY)
    found = forecasting.forecast(forecasting.Config(seeds=2, units=3), windows, "LSTM", STEADY.epochs)
    assert found.each.shape == (2, len(windows.steps))
    assert found.loss.shape == (2, STEADY.epochs)
    assert (found.low < found.mean).all()
    assert (found.mean < found.high).all()
    panel = forecasting.panel(replace(made, name="airline"), windows, found)
    np.testing.assert_array_equal(panel.truth, made.values[windows.test :])
    np.testing.assert_array_equal(panel.forecast, found.mean[windows.is_test])


def test_too_short_a_series_is_refused() -> None:
    with pytest.raises(ValueError, match="made: 8 training values are too few for windows of 5"):
        make_windows(series(np.arange(1.0, 13.0)), GROWING)


# Characters.

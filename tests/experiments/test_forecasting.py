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


# Recurrent, convolutional and embedding networks: forecasting of shampoo sales.


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
    for column in range(before.inputs.shape[2]):
        old, new = before.inputs[..., column], after.inputs[..., column]
        fitted = np.polyval(np.polyfit(old[:at].ravel(), new[:at].ravel(), 1), old)
        np.testing.assert_allclose(new[: at + 1], fitted[: at + 1], atol=1e-4)
        # It is seen in the step after it, as a season when a year has passed, and in the calendar never.
        seen = {"": at + 1, "lag": at + recipe.year, "calendar": None}[recipe.season if column else ""]
        if seen is not None:
            assert abs(new[seen, -1] - fitted[seen, -1]) > 0.1
            np.testing.assert_allclose(new[:seen], fitted[:seen], atol=1e-4)


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
    config = forecasting.Config(seeds=2, units=3)
    found = forecasting.forecast(config, windows, "LSTM", STEADY.epochs)
    assert found.each.shape == (2, len(windows.steps))
    assert found.loss.shape == (2, STEADY.epochs)
    assert (found.low < found.mean).all()
    assert (found.mean < found.high).all()
    # In the series' unit, as this scale is plain: how they disagree, and how wrong those were that had not
    # learned the held-out third.
    held = windows.is_held_out
    wrong = (found.held_out.mean(axis=0) - made.values[windows.steps])[held]
    expected = 1.645 * np.sqrt(found.each.var(axis=0, ddof=1) + np.mean(wrong**2))
    np.testing.assert_allclose(found.high - found.mean, expected, rtol=1e-5)
    np.testing.assert_allclose(found.mean - found.low, expected, rtol=1e-5)
    truth = made.values[windows.steps[windows.is_test]]
    within = np.abs(truth - found.mean[windows.is_test]) <= expected[windows.is_test]
    share, width = forecasting.band(made, windows, found)
    assert share == within.mean()
    assert width == pytest.approx(2 * expected[windows.is_test].mean())
    # The held-out third is learned by the second ensemble only.
    assert (windows.held_out, windows.test) == (40, 60)
    turned = replace(windows, targets=np.where(held, -windows.targets, windows.targets))
    other = forecasting.forecast(config, turned, "LSTM", STEADY.epochs)
    np.testing.assert_array_equal(found.held_out, other.held_out)
    assert (found.each != other.each).any()
    panel = forecasting.panel(replace(made, name="airline"), windows, found)
    np.testing.assert_array_equal(panel.truth, made.values[windows.test :])
    np.testing.assert_array_equal(panel.forecast, found.mean[windows.is_test])


@pytest.mark.parametrize(("chosen", "shown"), [("all", "shampoo"), ("airline", "airline")])
def test_a_quick_run_keeps_the_series_that_was_asked_for(chosen, shown) -> None:
    assert forecasting.effective(forecasting.Config(series=chosen, quick=True)).series == shown


def test_too_short_a_series_is_refused() -> None:
    with pytest.raises(ValueError, match="made: 8 training values are too few for windows of 5"):
        make_windows(series(np.arange(1.0, 13.0)), GROWING)

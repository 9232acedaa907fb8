"""Forecasting four series one step ahead: LSTM and GRU against persistence and a linear autoregression.

Shampoo sales, airline passengers, daily minimum temperatures and sunspots. A forecaster reads the last steps
and foretells the next; then the true value becomes known, and it goes on (walk-forward). The last third of
each series is the test. Persistence says that all stays as it is, which is hard to beat where steps are
random. Five networks are trained side by side from five seeds (``train.fit_many``). Where they disagree, they
do not know; that, and how wrong they were on the last third of the training part when they had not learned
it, makes the band around the forecast. Settings were chosen on that third too, never on the test.

Run:     python -m experiments forecasting
Expect:  errors over those of persistence: airline at most 0.6, temperatures 0.9, sunspots 0.95
Time:    about 70 CPU seconds
Course:  Recurrent, convolutional and embedding networks - recurrent networks
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data.time_series import Series, load_series
from experiments.forecasts import learning
from experiments.forecasts.windows import Recipe, Windows, make_windows
from experiments.plots.forecast import Panel, forecasts
from experiments.runner.config import ExperimentConfig, check_rate, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import train

COURSE = "Recurrent, convolutional and embedding networks"
RECIPES = {
    "airline": Recipe("log", grows=True, year=12, season="lag", window=12, epochs=20),
    "temperatures": Recipe("plain", grows=False, year=365, season="calendar", window=12, epochs=6),
    "sunspots": Recipe("root", grows=False, year=0, season="", window=24, epochs=10),
    "shampoo": Recipe("log", grows=True, year=0, season="", window=3, epochs=25),
}
GOALS = {"airline": "<= 0.6", "temperatures": "<= 0.9", "sunspots": "<= 0.95", "shampoo": ""}
UNITS = {
    "airline": "1000 passengers",
    "temperatures": "degrees C",
    "sunspots": "sunspots",
    "shampoo": "sales",
}
SHAMPOO = (
    "\n\nShampoo is here because the tutorial that the course links has it: 24 months to learn from and 12 "
    "to be judged by show nothing."
)
QUANTILE, BAND = 1.645, "90 % band"  # of a normal: a tenth lies outside
LINEAR = "linear autoregression"
SHOWN = 150  # steps of a long series in the picture


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Forecasters of four series."""

    series: Literal["all", "airline", "temperatures", "sunspots", "shampoo"] = "all"
    """Which series."""
    seeds: int = 5
    """Networks of a kind, each from its own seed; together they are an ensemble."""
    units: int = 16
    """Units of the recurrent layer."""
    dropout: float = 0.0
    """Probability that a unit's last state is dropped in training."""
    batch_size: int = 32
    """Windows in a batch."""
    learning_rate: float = 1e-2
    """Step size of Adam at the beginning, which falls to 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("seeds", self.seeds, least=2)
        check_whole("units", self.units, least=1)
        check_whole("batch_size", self.batch_size, least=1)
        check_rate("dropout", self.dropout)
        if self.series not in ("all", *RECIPES):
            raise ValueError(f"series: expected all, {', '.join(RECIPES)}, got {self.series!r}")


@dataclass(frozen=True)
class Forecasts:
    """What one kind of forecaster says of every window, by networks that learned from the training part.

    Attributes:
        each: of each network, in the series' unit, ``[seeds, n]``.
        mean: of the ensemble. low: lower end of its band. high: upper end. All ``[n]``.
        held_out: of networks that learned from the first two thirds of the training part, ``[seeds, n]``.
        loss: mean squared error of scaled changes by epoch, ``[seeds, epochs]``.
    """

    each: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    held_out: np.ndarray
    loss: np.ndarray


def forecast(config: Config, windows: Windows, kind: str, epochs: int) -> Forecasts:
    """Train the ensemble twice, without and with the last third of the training part, in one call."""
    model = learning.build(kind, config.units, config.dropout)
    run = learning.make_train(model, windows, epochs, config.batch_size, config.learning_rate)
    learned = np.stack([~windows.is_test & ~windows.is_held_out, ~windows.is_test])
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    found = train.fit_many(run, keys, jnp.asarray(learned, jnp.float32)).results
    changes = np.asarray(found["changes"], np.float64)
    wrong = (changes[0].mean(axis=0) - windows.targets)[windows.is_held_out]
    centre = changes[1].mean(axis=0)
    half = QUANTILE * np.sqrt(changes[1].var(axis=0, ddof=1) + np.mean(wrong**2))
    return Forecasts(
        windows.values(changes[1]), windows.values(centre), windows.values(centre - half),
        windows.values(centre + half), windows.values(changes[0]), np.asarray(found["loss"])[1],
    )  # fmt: skip


def rmse(series: Series, windows: Windows, said: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Root mean squared error ``[...]`` of forecasts ``[..., n]`` on the chosen windows ``[n]``."""
    return np.sqrt(np.mean((said[..., part] - series.values[windows.steps[part]]) ** 2, axis=-1))


def persistence(series: Series, windows: Windows) -> np.ndarray:
    """The last value of each window ``[n]``, as the forecast of the next."""
    return series.values[windows.steps - 1]


def effective(config: Config) -> Config:
    """The configuration as it is carried out: a quick run has one series, the shortest, and an LSTM alone."""
    if not config.quick:
        return config
    return replace(config, series="shampoo" if config.series == "all" else config.series, seeds=2, units=4)


def run(config: Config, page: Page) -> None:
    """Forecast each series by each means, and compare."""
    config = effective(config)
    rows, panels, bands = [], [], []
    for name in RECIPES if config.series == "all" else (config.series,):
        series, recipe = load_series(name), RECIPES[name]
        windows = make_windows(series, recipe)
        base = rmse(series, windows, persistence(series, windows), windows.is_test)
        earlier = rmse(series, windows, persistence(series, windows), windows.is_held_out)
        if name == "shampoo":
            page.compare("shampoo: RMSE of persistence, last 12 months", base, 136.761, source=COURSE)
        linear = windows.values(learning.autoregression(windows, ~windows.is_test))
        rows.append((name, "persistence", base, 1, "", 1, ""))
        said = rmse(series, windows, linear, windows.is_test)
        rows.append((name, LINEAR, said, said / base, "", said / base, ""))
        page.compare(f"{name}: RMSE of linear autoregression over persistence's", said / base)
        for kind in list(learning.KINDS)[: 1 if config.quick else None]:
            found = forecast(config, windows, kind, 2 if config.quick else recipe.epochs)
            each = rmse(series, windows, found.each, windows.is_test) / base
            page.compare(
                f"{name}: RMSE of {kind} over persistence's, median of {config.seeds} seeds",
                np.median(each), GOALS[name], spread=each.std(ddof=1),
            )  # fmt: skip
            together = rmse(series, windows, found.mean, windows.is_test)
            before = np.median(rmse(series, windows, found.held_out, windows.is_held_out)) / earlier
            extent = f"{each.min():.3f} to {each.max():.3f}"
            rows.append((name, kind, together, np.median(each), extent, together / base, before))
            bands.append((name, kind, *band(series, windows, found)))
            if kind == "LSTM":
                panels.append(panel(series, windows, found))
    _show(config, rows, bands, panels, page)


def band(series: Series, windows: Windows, found: Forecasts) -> tuple[float, float]:
    """Share of the test values within the band, and the band's mean width in the series' unit."""
    truth = series.values[windows.steps]
    within = (found.low <= truth) & (truth <= found.high)
    return float(within[windows.is_test].mean()), float((found.high - found.low)[windows.is_test].mean())


def panel(series: Series, windows: Windows, found: Forecasts) -> Panel:
    """The end of the test part, for the picture."""
    chosen = np.flatnonzero(windows.is_test)[-SHOWN:]
    places = windows.steps[chosen]
    part = f"last {len(chosen)} steps of the test part" if windows.is_test.sum() > SHOWN else "test part"
    return Panel(
        f"{series.name}, {part}", UNITS[series.name], [series.dates[place] for place in places],
        series.values[places], found.mean[chosen], found.low[chosen], found.high[chosen],
    )  # fmt: skip


def _beside_the_line(rows: list[Any]) -> str:
    """Which networks do better than a linear autoregression, which reads the same windows."""
    linear = {name: ratio for name, forecaster, _, ratio, *_ in rows if forecaster == LINEAR}
    networks = [(name, kind, ratio) for name, kind, _, ratio, *_ in rows if kind in learning.KINDS]
    better = [f"{name} ({kind})" for name, kind, ratio in networks if ratio < linear[name]]
    return (
        "The linear autoregression reads the same windows by least squares. The median network does better "
        f"than it in {len(better)} of {len(networks)} cases{': ' if better else ''}{', '.join(better)}."
    )


def _show(config: Config, rows: list[Any], bands: list[Any], panels: list[Panel], page: Page) -> None:
    page.table(
        "Errors, side by side",
        ("series", "forecaster", "RMSE", "over persistence's", "each network", "ensemble", "held out"),
        rows,
        "Root mean squared error of one step ahead on the last third, in the series' unit (of networks: of "
        f"their mean). Then, over that of persistence: the median of {config.seeds} networks, the best and "
        "the worst, and the mean forecast of all. *Held out*: the same median for the last third of the "
        "training part, by networks that had not learned it; the settings were chosen on this one.\n\n"
        + _beside_the_line(rows)
        + (SHAMPOO if any(row[0] == "shampoo" for row in rows) else ""),
    )
    forecasts(page.picture("forecasts.png"), f"One step ahead, by {config.seeds} LSTMs", panels, BAND)
    page.show(
        "Forecasts and what happened",
        "The line is the mean of the ensemble; the dots should lie in the band nine times of ten. A network "
        "that reads the last value always looks right in such a picture, shifted by a step: judge by the "
        "table, where persistence is 1.",
        "forecasts.png",
    )
    page.table(
        "Do the bands hold what they promise?",
        ("series", "forecaster", "test values within the 90 % band", "mean width"),
        bands,
        "The width joins the networks' disagreement and their error on the held out third. The band can be "
        "right only if the future is as random as that third was.",
    )


EXPERIMENT = Experiment("forecasting", "Forecasting four series", Config, run)

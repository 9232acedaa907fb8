"""Every update rule in a ravine, in a bent valley and at a saddle, each at the best of many rates: a race.

The ravine is fifty times steeper across than along: a rate that is safe across crawls along. The valley is
Rosenbrock's, bent as well. At the saddle the start lies a thousandth off the ridge, where the slope leads to
the saddle point first, and away from it very slowly. All rules, rates and surfaces are one compiled program
(``vmap``); what is shown is the rate at which a rule ends lowest.

Run:     python -m experiments optimizer_race
Expect:  in the valley only momentum and Nesterov end below 0.01; a table, every way, two animations
Time:    about 25 s on two cores
Course:  Multi-layer networks and optimisation - update rules
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from experiments import plots
from experiments.plots.lines import COLOURS
from experiments.plots.style import INK
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.surfaces import RULES, SURFACES, best, race

SHOWN = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "rprop", "muon")


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """How long, and at how many rates."""

    steps: int = 200
    """Steps of every rule."""
    rates: int = 26
    """Learning rates, evenly spaced in logarithm from 0.0001 to 10."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("steps", self.steps, least=10)
        check_whole("rates", self.rates, least=1)


@dataclass(frozen=True)
class Way:
    """A rule's best way on one surface: its rate, its points ``[steps + 1, 2]``, the values there."""

    rate: float
    points: np.ndarray
    values: np.ndarray

    def steps_to(self, value: float) -> int | None:
        """The first step after which the value stays below this one; ``None`` if there is none."""
        above = np.flatnonzero(~(self.values < value))
        last = int(above[-1]) + 1 if len(above) else 0
        return last if last < len(self.values) else None


def ways(config: Config) -> dict[str, dict[str, Way]]:
    """By surface, by rule, the way at the best rate."""
    rates = np.logspace(-4, 1, config.rates)
    found = race(rates, config.steps, SHOWN if config.quick else tuple(RULES))
    result: dict[str, dict[str, Way]] = {}
    for number, (name, surface) in enumerate(SURFACES.items()):
        result[name] = {}
        for rule, points in found.items():
            which, values = best(points[number], surface)
            result[name][rule] = Way(float(rates[which]), points[number, which], values)
    return result


def run(config: Config, page: Page) -> None:
    """Race, tabulate, draw."""
    if config.quick:
        config = Config(seed=config.seed, quick=True, steps=40, rates=6)
    found = ways(config)
    for surface, rules in found.items():
        reached = {rule: way.steps_to(0.01) for rule, way in rules.items()}
        arrived = {rule: steps for rule, steps in reached.items() if steps is not None}
        for rule in dict.fromkeys(("sgd", min(arrived, key=arrived.__getitem__, default="sgd"))):
            if rule in arrived:
                page.compare(f"{surface}: steps until the value stays below 0.01, {rule}", arrived[rule])
            else:
                page.compare(f"{surface}: value after {config.steps} steps, {rule}", rules[rule].values[-1])
    rows = []
    for rule in found["ravine"]:
        row: list[Any] = [rule]
        for surface in found:
            way = found[surface][rule]
            reached = way.steps_to(0.01)
            row += [f"{way.rate:.2g}", f"{way.values[-1]:.0e}", "-" if reached is None else str(reached)]
        rows.append(row)
    head = [f"{surface}: {what}" for surface in found for what in ("rate", "end", "steps to 0.01")]
    page.table("The race", ("rule", *head), rows, f"Each rule at its best of {config.rates} rates.")
    plots.ways(
        page.picture("ways.png"), config.steps, {s: (SURFACES[s], rules) for s, rules in found.items()}
    )
    page.show(
        "The ways",
        "Dots go from dark to bright with the steps; the ring is the end. Rules with memory of the direction "
        "(momentum and its kin) build up speed along the ravine, while the swings across cancel. Rules with "
        "a rate for each parameter (Adagrad, RMSprop, Adam) make the ravine round: they lie along the axes, "
        "and so does it; the valley bends, and there they help less. A rule may also win by a lucky leap at "
        "a large rate: look at its way before you believe its end. At the saddle they leave first, since a "
        "small slope is as good to them as a large one. Two dimensions show how rules move, not which of "
        "them trains networks best: for that, see `optimizer_mnist`.",
        "ways.png",
    )
    for surface in ("ravine", "saddle"):
        name = f"{surface}.gif"
        _animate(page, name, surface, {rule: found[surface][rule] for rule in SHOWN}, config)
        page.show(f"The {surface}, step by step", "Eight of the rules, each at its best rate.", name)


def _animate(page: Page, name: str, which: str, rules: dict[str, Way], config: Config) -> None:
    surface = SURFACES[which]
    shown = min(config.steps, 80)
    every = max(1, shown // (4 if config.quick else 40))

    def prepare(picture: Any) -> Any:
        axes = picture.subplots()
        grid = plots.Grid(surface.x, surface.y, 120)
        heights = np.log10(np.asarray(grid.heights(jax.vmap(surface.value))) + 1e-3)
        axes.contour(grid.columns, grid.rows, heights, levels=18, cmap="Greys", linewidths=0.7)
        axes.plot(*surface.start, "*", color=INK, markersize=10)
        lines = {}
        for index, (rule, way) in enumerate(rules.items()):
            colour = COLOURS[index % len(COLOURS)]
            (line,) = axes.plot([], [], color=colour, linewidth=1.3, label=f"{rule}, rate {way.rate:.2g}")
            (dot,) = axes.plot([], [], "o", color=colour, markersize=5)
            lines[rule] = line, dot
        axes.set(xlim=surface.x, ylim=surface.y)
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))

        def draw(frame: int) -> None:
            step = frame * every
            axes.set_title(f"{which}: step {step}")
            for rule, (line, dot) in lines.items():
                way = rules[rule].points[: step + 1]
                line.set_data(way[:, 0], way[:, 1])
                dot.set_data(way[-1:, 0], way[-1:, 1])

        return draw

    plots.animate(page.picture(name), shown // every + 1, prepare, width=7.4)


EXPERIMENT = Experiment("optimizer_race", "Update rules racing on surfaces", Config, run)

"""Fitting a line without derivatives: look at eight neighbours on a grid, and walk to the best.

Parameters are the slope w and the intercept b of a line; the loss is the mean squared error. From (-4, 4) the
search compares where it stands with the eight points one grid step away and moves to the lowest, until none
is lower. It needs no gradient, but nine losses a move, and the grid is its accuracy: a finer one ends nearer
to the minimum after thousands of moves. Positions are counted in whole steps, so that no rounding piles up.

Run:     python -m experiments local_search
Expect:  the twelve printed moves on the coarse grid; (1.020, -0.009) after 5,960 moves on the fine one
Time:    about 3 s on two cores
Course:  From calculus to convolutional networks - gradient descent
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.data import printed_data
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page

COURSE = "From calculus to convolutional networks"
START = (-4.0, 4.0)
PRINTED = (
    (-4.5, 3.5), (-4, 3), (-3.5, 2.5), (-3, 2), (-2.5, 1.5), (-2, 1.5), (-1.5, 1), (-1, 1), (-0.5, 0.5),
    (0, 0.5), (0.5, 0), (1, 0),
)  # fmt: skip
# Staying comes first: argmin takes the first of equals, so that equal neighbours are no reason to move.
NEIGHBOURS = sorted(((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)), key=lambda move: move != (0, 0))
SLIDE = ((1, 2), (2, np.pi), (71, 22), (7, 122), (712, 2))


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """A search on a grid."""

    fine: float = 0.001
    """Grid step of the fine search."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1e-4 <= self.fine < 0.5:
            raise ValueError(f"fine: expected a grid step from 0.0001 to below 0.5, got {self.fine}")


class Found(NamedTuple):
    """Where a search passed in whole grid steps ``[most + 1, 2]``, of which ``moves + 1`` count."""

    passed: Any
    moves: Any


def line_loss(params: Any, x: Any, y: Any) -> Any:
    """Mean squared error of the line ``params[0] * x + params[1]`` at the points ``x``, ``y``."""
    return jnp.mean((params[0] * x + params[1] - y) ** 2)


def line_losses(params: Any, dtype: Any = np.float32) -> Any:
    """The loss of many lines on the course's data: ``[n, 2] -> [n]``."""
    x, y = (jnp.asarray(values, dtype) for values in printed_data.load_line())
    return jax.vmap(lambda one: line_loss(one, x, y))(jnp.asarray(params, dtype))


def search(loss: Callable[[Any], Any], start: Any, step: Any, most: int) -> Found:
    """Walk down the grid of spacing ``step`` around ``start``, at most ``most`` moves.

    Args:
        loss: takes ``[n, 2]`` to ``[n]``.
        start: ``[2]``, floating point.
        step: spacing of the grid.
        most: most moves.
    """
    neighbours = jnp.array(NEIGHBOURS, jnp.int32)

    def best(at: Any) -> Any:
        around = at[None] + neighbours
        return around[jnp.argmin(loss(start[None] + step * around.astype(start.dtype)))]

    def goes_on(carry: tuple[Any, Any, Any]) -> Any:
        found, at, onward = carry
        return (found.moves < most) & jnp.any(onward != at)

    def move(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        found, _, onward = carry
        moves = found.moves + 1
        return Found(found.passed.at[moves].set(onward), moves), onward, best(onward)

    origin = jnp.zeros(2, jnp.int32)
    first = Found(jnp.zeros((most + 1, 2), jnp.int32), jnp.int32(0))
    return jax.lax.while_loop(goes_on, move, (first, origin, best(origin)))[0]


def walk(step: float, dtype: Any = np.float64) -> np.ndarray:
    """The points ``[moves + 1, 2]`` of the search on the line's data, in whole steps from ``START``."""
    # The farther coordinate has at most 6 to go, a grid step each move.
    most = int(6 / step)
    start = jnp.array(START, dtype)
    found = jax.jit(lambda: search(lambda params: line_losses(params, dtype), start, dtype(step), most))()
    return np.asarray(found.passed)[: int(found.moves) + 1]


def run(config: Config, page: Page) -> None:
    """Search on grids of several steps, draw the walks, and compare with what the course prints."""
    fine = 0.01 if config.quick else config.fine
    steps = (0.5, 0.1, fine)
    with jax.enable_x64(True):
        walks = {step: np.array(START) + step * walk(step) for step in steps}
        losses = {step: np.asarray(line_losses(path, np.float64)) for step, path in walks.items()}
        candidates = [(w, b, float(line_losses([[w, b]], np.float64)[0])) for w, b in SLIDE]

    same = sum(map(np.allclose, walks[0.5][1:], PRINTED))
    page.compare("moves of the coarse walk that equal the printed ones", same, len(PRINTED), source=COURSE)
    end = walks[fine][-1]
    page.compare("slope w at the end of the fine walk", end[0], "1.020", source=COURSE)
    page.compare("intercept b at the end of the fine walk", end[1], "-0.009", source=COURSE)
    page.compare("moves of the fine walk", len(walks[fine]) - 1, 5960, source="counted on whole grid steps")

    names = {step: f"grid step {step:g}" for step in steps}
    grid = plots.Grid((-6.0, 6.0), (-6.0, 6.0))
    heights = grid.heights(line_losses)
    drawn = {names[step]: walks[step] for step in steps}
    values = {names[step]: losses[step] for step in steps[:2]}
    kinds: dict[str, Any] = {"x": "slope w", "y": "intercept b", "height": "mean squared error"}
    plots.surface(page.picture("walks.png"), "Walks on the loss of a line", grid, heights, drawn, **kinds)
    page.show(
        "The loss of a line, and the walks down it",
        "Each point of this plane is a line; the colour is its loss. All lines through the valley fit well "
        "near the data, which is why the valley is long. The coarse walk keeps its direction for as long "
        "as one of eight directions is best, and stops where its grid has no lower neighbour.",
        "walks.png",
    )
    moving = {names[step]: walks[step] for step in steps[:2]}
    frames = 8 if config.quick else 40
    plots.animated_surface(
        page.picture("walks.gif"), "A search that looks around", grid, heights, moving, losses=values,
        frames=frames, **kinds,
    )  # fmt: skip
    page.show("The same, move by move", picture="walks.gif")
    rows = [(names[s], len(walks[s]) - 1, *walks[s][-1], losses[s][-1]) for s in steps]
    page.table(
        "The grid is the accuracy",
        ("search", "moves", "w", "b", "loss at the end"),
        rows,
        "The line that made the data is y = 1.02 x - 0.009. A tenth of the grid step costs ten times the "
        "moves.",
    )
    best = min(candidates, key=lambda row: row[2])
    page.table(
        "Picking the best of a few functions",
        ("w", "b", "loss"),
        candidates,
        f"The course first lists some lines and takes the one of the smallest loss: here w = {best[0]}, b = "
        f"{best[1]}. No list holds all lines, which is why one searches.",
    )
    page.correct(
        "code of the local search",
        "the helper that computes a neighbour's loss appends each point that it looks at to the trace, as a "
        "tuple among lists",
        "only the point that is moved to belongs to the trace",
    )


EXPERIMENT = Experiment("local_search", "Fitting a line by looking around", Config, run)

"""Limits, derivatives and the chain rule: difference quotients beside jax.grad.

What a derivative is, step by step: the slope of a secant whose step shrinks, and the limit that ``jax.grad``
computes without any step. Then its rules, checked at many points; partial derivatives, the tie of a maximum,
the first-order formula of Taylor, and what a gradient of zero does and does not tell.

Run:     python -m experiments calculus
Expect:  4, 6, -3 and every rule to rounding; the best step of a difference quotient near the root of rounding
Time:    about 7 s on two cores
Course:  From calculus to convolutional networks - calculus
Course:  Back-propagation - calculus
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import plots
from experiments.plots.style import INK, TEST, TRAIN
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page

DECK, NOTEBOOK = "From calculus to convolutional networks", "Back-propagation"
POWERS = (-2, -1, 1, 2, 3, 5, 0.5)


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Calculus; nothing in it is random."""


def hole(x: Any) -> Any:
    """The deck's function with a hole at 2: ``(x^2 - 4) / (x - 2)``."""
    return (x**2 - 4) / (x - 2)


def forward(function: Callable[[Any], Any], x: Any, h: Any) -> Any:
    """The slope of the secant from ``x`` to ``x + h``."""
    return (function(x + h) - function(x)) / h


def central(function: Callable[[Any], Any], x: Any, h: Any) -> Any:
    """The slope of the secant from ``x - h`` to ``x + h``."""
    return (function(x + h) - function(x - h)) / (2 * h)


def quotient_errors(dtype: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Steps, and by kind the error of the quotients of ``sin`` at 1 with each step."""
    steps = np.logspace(-12, -0.5, 70)
    h, x, truth = jnp.asarray(steps, dtype), jnp.asarray(1.0, dtype), np.cos(1.0)
    kinds = {"forward": forward, "central": central}
    return steps, {
        name: np.abs(np.asarray(quotient(jnp.sin, x, h), float) - truth) for name, quotient in kinds.items()
    }


def rules() -> list[tuple[str, float]]:
    """Name of each rule, and the largest difference between it and ``jax.grad`` at fifty points."""
    x = jnp.linspace(0.3, 2.5, 50)

    def gap(function: Callable[[Any], Any], rule: Callable[[Any], Any]) -> float:
        return float(jnp.max(jnp.abs(jax.vmap(jax.grad(function))(x) - rule(x))))

    def inner(x: Any) -> Any:
        return x**2 + 1

    found = [
        (f"(x^{n:g})' = {n:g} x^{n - 1:g}", gap(lambda x, n=n: x**n, lambda x, n=n: n * x ** (n - 1)))
        for n in POWERS
    ]
    return [
        *found,
        ("(f + g)' = f' + g'", gap(lambda x: jnp.sin(x) + jnp.exp(x), lambda x: jnp.cos(x) + jnp.exp(x))),
        ("(f g)' = f' g + f g'", gap(
            lambda x: jnp.sin(x) * jnp.exp(x), lambda x: jnp.cos(x) * jnp.exp(x) + jnp.sin(x) * jnp.exp(x)
        )),
        ("f(g(x))' = f'(g(x)) g'(x)", gap(
            lambda x: jnp.sin(inner(x)), lambda x: jnp.cos(inner(x)) * 2 * x
        )),
        ("(1 / x)' = -1 / x^2", gap(lambda x: 1 / x, lambda x: -1 / x**2)),
        ("(c + x)' = 1", gap(lambda x: 7 + x, jnp.ones_like)),
        ("(e^x)' = e^x", gap(jnp.exp, jnp.exp)),
        ("(a x)' = a", gap(lambda x: 3 * x, lambda x: 3 * jnp.ones_like(x))),
    ]  # fmt: skip


def chained(x: Any) -> Any:
    """The word problem: A moves 2 for every x, and B moves 3 for every A."""
    a = 2 * x
    return 3 * a


def bowl(p: Any) -> Any:
    """``p0^2 / 2 + 2 p1^2``: a valley with curvatures 1 and 4."""
    return p[0] ** 2 / 2 + 2 * p[1] ** 2


def run(config: Config, page: Page) -> None:
    """Compute everything in float64 (and what rounding does, in float32 too)."""
    with jax.enable_x64(True):
        near = float(hole(jnp.float32(2 + 1e-4)))
        page.compare("limit of (x^2 - 4) / (x - 2) at 2, from 1e-4 beside it, float32", near, 4, source=DECK)
        page.compare(
            "dB/dx of the chain-rule problem", jax.grad(chained)(1.0), 6, source=f"derived from {DECK}"
        )
        page.compare("slope of dx = 3, dy = 2", 2 / 3, "2/3", source=DECK)
        page.compare("slope of dx = -1, dy = 3", 3 / -1, -3, source=DECK)
        _limit(page)
        _quotients(page, config.quick)
        page.table(
            "Rules",
            ("rule", "largest difference from jax.grad at 50 points"),
            rules(),
            "Each rule follows from the limit; here the formulas stand beside what jax.grad computes.",
        )
        _partial(page)
        _taylor(page)
        _extrema(page)


def _limit(page: Page) -> None:
    sides = [(dtype, side) for dtype in (np.float64, np.float32) for side in (-1, 1)]
    rows = []
    # In float32, 2 + 1e-8 is 2: the table shows the nan of 0/0 there.
    with np.errstate(invalid="ignore"):
        for step in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8):
            values = [float(hole(dtype(2 + side * step))) for dtype, side in sides]
            rows.append((f"{step:g}", *(f"{value:.7g}" for value in values)))
    page.table(
        "A limit where there is no value",
        ("distance from 2", "float64, left", "right", "float32, left", "right"),
        rows,
        "At 2 itself the quotient is 0/0. Beside it, it comes as near to 4 as one likes. At a distance h "
        "the true value is 4 +- h, so 1e-3 beside it nobody gets nearer than 1e-3; and in float32 a "
        "distance of 1e-8 is no distance at all, which gives nan.",
    )
    page.correct(
        "definition of the limit", "|f(x) - f(a)| < eps where |x - a| < delta",
        "|f(x) - L| < eps where 0 < |x - a| < delta: f(a) need not exist, as in this very example",
    )  # fmt: skip


def _quotients(page: Page, quick: bool) -> None:
    panels = []
    for name, dtype in (("float32", np.float32), ("float64", np.float64)):
        steps, errors = quotient_errors(dtype)
        panels.append((name, {kind: (steps, np.maximum(error, 1e-16)) for kind, error in errors.items()}))
    plots.lines(page.picture("steps.png"), "Error of a difference quotient of sin at 1", panels,
                x="step h", y="error", log="xy", width=10)  # fmt: skip
    page.show(
        "The best step is neither big nor tiny",
        "A big step sees a curve instead of a slope; a tiny one subtracts two nearly equal numbers, of "
        "which rounding leaves little. The central quotient is better because its error falls with the "
        "square of the step. jax.grad has no step: it applies the rules, and is right to rounding.",
        "steps.png",
    )
    shown = np.geomspace(1.6, 0.02, 6 if quick else 30)

    def prepare(picture: Any) -> Callable[[int], None]:
        axes = picture.subplots()
        places = np.linspace(-1, 3.2, 200)
        axes.plot(places, np.sin(places), color=INK)
        axes.plot(
            places,
            np.sin(0.6) + np.cos(0.6) * (places - 0.6),
            "--",
            color=TRAIN,
            label="tangent",
            linewidth=1,
        )
        (secant,) = axes.plot([], [], color=TEST, label="secant", animated=True)
        (ends,) = axes.plot([], [], "o", color=TEST, markersize=7, animated=True)
        text = axes.text(0.45, 0.1, "", transform=axes.transAxes, animated=True)
        axes.set(xlabel="x", ylabel="sin x", ylim=(-1.2, 1.8), title="A secant becomes the tangent")
        axes.legend(loc="upper left")

        def draw(frame: int) -> None:
            h = shown[frame]
            slope = forward(np.sin, 0.6, h)
            secant.set_data(places, np.sin(0.6) + slope * (places - 0.6))
            ends.set_data([0.6, 0.6 + h], np.sin([0.6, 0.6 + h]))
            text.set_text(f"h = {h:.2f}   slope {slope:.4f}   derivative {np.cos(0.6):.4f}")

        return draw

    plots.animate(page.picture("secant.gif"), len(shown), prepare, seconds=4)
    page.show("The derivative is where the secants go", picture="secant.gif")


def _partial(page: Page) -> None:
    def gradient(function: Callable[[Any, Any], Any], x: float, y: float) -> tuple[float, ...]:
        return tuple(float(slope) for slope in jax.grad(function, (0, 1))(x, y))

    rows = [
        ("x1 + x2", "(3, 5)", "(1, 1)", str(gradient(lambda x, y: x + y, 3.0, 5.0))),
        ("x1 x2", "(3, 5)", "(x2, x1)", str(gradient(lambda x, y: x * y, 3.0, 5.0))),
        ("max(x1, x2)", "(3, 5)", "(0, 1)", str(gradient(jnp.maximum, 3.0, 5.0))),
        ("max(x1, x2)", "(5, 3)", "(1, 0)", str(gradient(jnp.maximum, 5.0, 3.0))),
        ("max(x1, x2)", "(3, 3)", "any split of 1", str(gradient(jnp.maximum, 3.0, 3.0))),
    ]
    page.table(
        "Partial derivatives, and the tie of a maximum", ("function", "at", "gradient", "jax.grad"), rows,
        "Where both are equal, the maximum has a kink and no gradient. Each of (1, 0), (0, 1) and what lies "
        "between is a subgradient; jnp.maximum takes the middle, so that neither argument is preferred.",
    )  # fmt: skip
    page.correct(
        f"{NOTEBOOK}, gradient of the maximum", "max(x1 + x2), with x and y mixed in the indices, and both "
        "indicators 1 where x1 = x2",
        "max(x1, x2); both indicators 1 would give a gradient of (1, 1), twice too long; (0.5, 0.5) is one "
        "that is right",
    )  # fmt: skip


def _taylor(page: Page) -> None:
    at, slope = jnp.array([2.0, 1.0]), jax.grad(bowl)(jnp.array([2.0, 1.0]))
    rows = []
    for rate in (0.6, 0.5, 0.4, 0.1, 0.01):
        move = -rate * slope
        told = float(bowl(at) + move @ slope)
        rows.append((rate, float(bowl(at + move)), told, float(bowl(at + move)) - told))
    page.table(
        "Down the gradient, but not too far",
        ("step size", "f(x - step gradient)", "foretold by Taylor", "error"),
        rows,
        f"f = x^2 / 2 + 2 y^2 at (2, 1), where it is {float(bowl(at)):g}. The formula f(x) + u . gradient f "
        "promises less and less loss for longer steps; its error grows with the square of the step, and "
        "the longest step here ends higher than it began. Among steps of one length none goes lower than "
        "the one against the gradient, as long as the formula holds.",
    )
    page.correct(
        "steepest descent", "f(x - gradient f) is lower than f(x)",
        "only for a small enough multiple of the gradient: a step of 1 would end at (0, -3), where this f "
        "is 18",
    )  # fmt: skip


def _extrema(page: Page) -> None:
    cases: list[tuple[str, Callable[[Any], Any], str]] = [
        ("x^2 + y^2", lambda p: p[0] ** 2 + p[1] ** 2, "minimum"),
        ("-x^2 - y^2", lambda p: -(p[0] ** 2) - p[1] ** 2, "maximum"),
        ("x^2 - y^2", lambda p: p[0] ** 2 - p[1] ** 2, "saddle"),
        ("x^2 + y^3", lambda p: p[0] ** 2 + p[1] ** 3, "neither: lower for y < 0"),
    ]
    rows = []
    origin = jnp.zeros(2)
    for name, function, kind in cases:
        curvatures = np.linalg.eigvalsh(np.asarray(jax.hessian(function)(origin)))
        rows.append((name, str(jax.grad(function)(origin).tolist()), str(curvatures.tolist()), kind))
    page.table(
        "A gradient of zero is necessary, not sufficient",
        ("function", "gradient at 0", "curvatures at 0", "0 is a"),
        rows,
        "Descent stops at any of them; the curvatures tell which it was. Losses of networks have many of "
        "each.",
    )


EXPERIMENT = Experiment("calculus", "Limits, derivatives and the chain rule", Config, run)

"""What a loss declares about itself, each law with its own check; all in float64 but the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._points import check_points
from jaxnn.testing._precision import check_precision
from jaxnn.testing._program import Program
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._subject import realise
from jaxnn.testing._tolerance import worst_mismatch

_CLOSE = 1e-10


@dataclass(frozen=True)
class HardPoint:
    """One row of a table of required values: outputs, targets, and what the loss must give there.

    Attributes:
        name: what the row is called.
        outputs: one row of outputs, or a batch.
        targets: its targets.
        value: the required value; ``inf`` and ``nan`` are taken literally.
        gradient: the required gradient by the outputs; ``None`` when only the value is fixed.
        rtol: tolerance in float32: relative to numbers above one, absolute below.
    """

    name: str
    outputs: Any
    targets: Any
    value: Any
    gradient: Any = None
    rtol: float = 1e-6


@dataclass(frozen=True)
class Loss:
    """A loss with concrete arguments; ``mask`` is ``None`` for a loss that takes none."""

    function: Callable[..., Any]
    outputs: np.ndarray
    targets: Any
    mask: Any
    seed: int

    @classmethod
    def prepare(
        cls, function: Callable[..., Any], outputs: Any, targets: Any, mask: Any, seed: int
    ) -> "Loss":
        """Arrays in place of specs."""
        rng = np.random.default_rng(seed)
        outputs, targets = np.asarray(realise(outputs, rng)), realise(targets, rng)
        return cls(function, outputs, targets, mask if mask is None else np.asarray(mask), seed)

    @property
    def indexed(self) -> bool:
        """Whether targets are class indices, one for each row of outputs."""
        targets = np.asarray(self.targets)
        return np.issubdtype(targets.dtype, np.integer) and targets.shape == self.outputs.shape[:-1]

    @property
    def rng(self) -> np.random.Generator:
        """A stream of random numbers that is the same at each use."""
        return np.random.default_rng([self.seed, 7])

    def __call__(self, outputs: Any, targets: Any, mask: Any = None) -> np.ndarray:
        """Values in float64."""
        with jax.enable_x64(True):
            double = [_double(a) for a in (outputs, targets)]
            return np.asarray(self.function(*double, *self._tail(mask)))

    def gradient(self, outputs: Any, targets: Any, mask: Any = None) -> np.ndarray:
        """The gradient of the sum of values by the outputs, in float64."""
        with jax.enable_x64(True):
            tail, target = self._tail(mask), _double(targets)
            return np.asarray(jax.grad(lambda z: jnp.sum(self.function(z, target, *tail)))(_double(outputs)))

    def program(self, dtype: Any) -> Program:
        """The loss as a program whose outputs move."""
        arguments = (
            (self.outputs, self.targets) if self.mask is None else (self.outputs, self.targets, self.mask)
        )
        names = ("outputs", "targets", "mask")[: len(arguments)]
        return Program(lambda *values: (self.function(*values), ()), arguments, names, (0,), dtype)

    def _tail(self, mask: Any) -> tuple[Any, ...]:
        if self.mask is None:
            return ()
        return (jnp.asarray(self.mask if mask is None else mask),)


def _double(leaf: Any) -> jax.Array:
    array = np.asarray(leaf)
    return jnp.asarray(array.astype(np.float64) if jnp.issubdtype(array.dtype, jnp.floating) else array)


def _same(name: str, actual: np.ndarray, expected: np.ndarray, text: str) -> list[Verdict]:
    error, _ = worst_mismatch([actual], [expected])
    if error > _CLOSE:
        return [failed(name, f"{text} (relative error {error:.3g})", error, _CLOSE)]
    return [passed(name, error, _CLOSE)]


def check_shapes(loss: Loss, keeps_rows: bool, refuses_broadcast: bool) -> list[Verdict]:
    """Values have the shape of the outputs without their last axis; shapes that would broadcast raise."""
    verdicts = []
    shape = loss(loss.outputs, loss.targets).shape
    if keeps_rows and loss.mask is None:
        name, expected = "reduces the last axis only", loss.outputs.shape[:-1]
        text = f"values have shape {list(shape)}, expected {list(expected)}"
        verdicts.append(passed(name) if shape == expected else failed(name, text))
    if not refuses_broadcast:
        return verdicts
    name, targets = "shapes that would broadcast raise", np.asarray(loss.targets)
    wrong = targets[..., None] if loss.indexed else targets[..., 0]
    outputs = loss.outputs if loss.indexed else loss.outputs[..., :1]
    try:
        got = loss(outputs, wrong).shape
    except (TypeError, ValueError):
        return [*verdicts, passed(name)]
    text = f"outputs {list(outputs.shape)} with targets {list(wrong.shape)} silently give {list(got)}"
    return [*verdicts, failed(name, text)]


def check_dtype(loss: Loss, dtype: Any, seed: int) -> list[Verdict]:
    """Values keep the dtype or widen to float32; low precision equals float64 at the same rounded inputs."""
    double, low = loss.program(np.float64), loss.program(dtype)
    given, spec = jnp.dtype(dtype), low.specs[0][0]
    name = f"{given.name} kept or widened"
    wide = np.promote_types(np.float32, given)
    if spec.dtype not in (given, wide) or spec.weak_type:
        weak = ", weakly typed" if spec.weak_type else ""
        return [failed(name, f"{given.name} outputs give {spec.dtype} values{weak}, expected {wide}")]
    rng = np.random.default_rng([seed, 8])
    return [passed(name), *check_precision(double, low, double.moving, rng)]


def check_outputs(loss: Loss, points: Mapping[str, Any] | None, seed: int) -> list[Verdict]:
    """At zeros, ties, constant rows and large outputs the loss and its gradient are finite and right."""
    program = loss.program(np.float64)
    return check_points(program, program.moving, np.random.default_rng([seed, 9]), [True], points)


def check_shift(loss: Loss) -> list[Verdict]:
    """A constant added to each row of outputs changes no value."""
    shift = 5.0 * loss.rng.standard_normal((*loss.outputs.shape[:-1], 1))
    base, moved = loss(loss.outputs, loss.targets), loss(loss.outputs + shift, loss.targets)
    verdicts = _same(
        "shift invariance", moved, base, "adding a constant to a row of outputs changes the loss"
    )
    gradient = loss.gradient(loss.outputs, loss.targets)
    total = np.abs(gradient.sum(-1)).max()
    if not total <= 1e-9 * max(1.0, np.abs(gradient).sum(-1).max()):
        verdicts.append(failed("gradient sums to zero", f"the gradient of a row sums to {total:.3g}"))
    return verdicts


def check_permutation(loss: Loss) -> list[Verdict]:
    """Permuting the last axis of outputs, and targets with it, changes no value."""
    order = np.roll(np.arange(loss.outputs.shape[-1]), 1)
    targets = np.asarray(loss.targets)
    if loss.indexed:
        targets = np.argsort(order).astype(targets.dtype)[targets]
    elif targets.shape[-1:] == loss.outputs.shape[-1:]:
        targets = targets[..., order]
    else:
        return []
    base, moved = loss(loss.outputs, loss.targets), loss(loss.outputs[..., order], targets)
    text = "permuting outputs and targets alike changes the loss"
    return _same("permutation of the last axis", moved, base, text)


def check_convex(loss: Loss) -> list[Verdict]:
    """Between two outputs the loss lies on or below the chord."""
    name, rng = "convexity", loss.rng
    width, compared = loss.outputs.shape[-1], False
    for trial in range(48):
        a, b = (3.0 * rng.standard_normal(loss.outputs.shape) for _ in range(2))
        if trial % 2:
            # Along a single entry, where others can't hide what it does.
            b = np.where(np.arange(width) == trial // 2 % width, b, a)
        t = float(rng.uniform(0.05, 0.95))
        chord = t * loss(a, loss.targets) + (1 - t) * loss(b, loss.targets)
        known = np.isfinite(chord)
        if not known.any():
            continue
        compared, between = True, loss(t * a + (1 - t) * b, loss.targets)[known]
        if not np.isfinite(between).all():
            worst = between[~np.isfinite(between)][0]
            return [failed(name, f"between two outputs where the loss is finite it is {worst}")]
        over = float(np.max(between - chord[known]))
        if over > 1e-9 * max(1.0, float(np.max(np.abs(chord[known])))):
            return [failed(name, f"between two outputs the loss lies {over:.3g} above its chord")]
    if not compared:
        return [
            failed(name, "the loss is finite at no two outputs, so that there is no chord to compare with")
        ]
    return [passed(name)]


def check_one_hot(loss: Loss) -> list[Verdict]:
    """Integer targets and their one-hot rows give the same values."""
    rows = np.eye(loss.outputs.shape[-1])[np.asarray(loss.targets)]
    left, right = loss(loss.outputs, loss.targets), loss(loss.outputs, rows)
    return _same("integers = one-hot", right, left, "integer and one-hot targets give different values")


def check_minimum(loss: Loss, minimum: Callable[[Any], Any] | None) -> list[Verdict]:
    """At the declared minimum the gradient vanishes and no nearby outputs are better."""
    if minimum is None:
        return []
    name, rng = "minimum", loss.rng
    best = np.asarray(minimum(np.asarray(loss.targets)), np.float64)
    value = loss(best, loss.targets)
    slope = float(np.max(np.abs(loss.gradient(best, loss.targets))))
    if not slope <= 1e-8:  # NaN is no zero
        return [failed(name, f"the gradient at the declared minimum is {slope:.3g}, not zero")]
    for scale in (1e-3, 0.1, 1.0):
        nearby = loss(best + scale * rng.standard_normal(best.shape), loss.targets)
        lower = float(np.max(value - nearby))
        if not lower <= 1e-12 * max(1.0, float(np.max(np.abs(value)))):
            return [failed(name, f"outputs {scale:g} away have a loss that is {lower:.3g} lower")]
    return [passed(name)]


def check_mask(loss: Loss) -> list[Verdict]:
    """Masked entries count neither in values, nor in gradients, nor in a mean's denominator."""
    name, mask = "mask", np.asarray(loss.mask, bool)
    if mask.all() or not mask.any():
        return [failed(name, "pass a mask with both real and padded entries")]
    base, slope = loss(loss.outputs, loss.targets), loss.gradient(loss.outputs, loss.targets)
    keep = mask.reshape(mask.shape + (1,) * (loss.outputs.ndim - mask.ndim))
    garbage = np.where(keep, loss.outputs, 1e3 * loss.rng.standard_normal(loss.outputs.shape))
    verdicts = _same(
        "masked entries do not count", loss(garbage, loss.targets), base, "masked outputs change the loss"
    )
    if np.any(slope[~mask] != 0):
        verdicts.append(failed("masked gradients are zero", "a masked output has a gradient"))
    if base.ndim == 0:
        chosen = loss(
            loss.outputs[mask], np.asarray(loss.targets)[mask], np.ones(int(mask.sum()), mask.dtype)
        )
        text = "the loss differs from that of the real entries alone (a mean divides by their count)"
        verdicts += _same("masked mean = mean of the rest", base, chosen, text)
    nothing = np.zeros_like(mask)
    value, slope = (
        loss(loss.outputs, loss.targets, nothing),
        loss.gradient(loss.outputs, loss.targets, nothing),
    )
    if np.any(value != 0) or np.any(slope != 0):
        verdicts.append(failed("all masked", f"value {np.max(value):.3g} and gradient must both be 0"))
    else:
        verdicts.append(passed("all masked"))
    return verdicts


def check_table(loss: Loss, row: HardPoint) -> list[Verdict]:
    """The required value and gradient, in float32, compiled."""
    name = f"table: {row.name}"
    outputs = jnp.asarray(np.asarray(row.outputs, np.float32))
    targets = np.asarray(row.targets)
    targets = jnp.asarray(
        targets.astype(np.float32) if np.issubdtype(targets.dtype, np.floating) else targets
    )
    run = jax.jit(loss.function)
    value, pull = jax.vjp(lambda z: run(z, targets), outputs)
    if not np.allclose(np.asarray(value), row.value, rtol=row.rtol, atol=row.rtol, equal_nan=True):
        return [failed(name, f"value {np.asarray(value).tolist()}, required {row.value}")]
    if row.gradient is not None:
        gradient = np.asarray(pull(jnp.ones_like(value))[0])
        if not np.allclose(gradient, row.gradient, rtol=row.rtol, atol=row.rtol):
            return [failed(name, f"gradient {gradient.tolist()}, required {row.gradient}")]
    return [passed(name)]

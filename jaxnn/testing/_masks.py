"""Masked inputs: padding reaches no value and no gradient, and a masked sequence equals a shorter one."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxnn.core import Masked
from jaxnn.testing._facts import evaluate_call
from jaxnn.testing._program import Leaves, Result
from jaxnn.testing._report import Verdict, failed, passed
from jaxnn.testing._subject import Subject
from jaxnn.testing._tolerance import tolerance, worst_mismatch

_CLOSE = tolerance(np.float64, "reduction")


class _Padded:
    """A layer with a masked input, evaluated at other values of the padding and of the mask."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject, self.program = subject, subject.double
        rest = [p for p, moves in zip(self.program.paths, self.program.moves, strict=True) if not moves]
        self.mask = rest.index("x.mask")
        self.integers = "x.value" in rest
        self.value = (rest if self.integers else self.program.moving_paths).index("x.value")
        self.rng = np.random.default_rng(seed)
        self.cotangents = self.program.cotangents(self.rng)
        y = evaluate_call(subject).y
        self.keeps_mask = isinstance(y, Masked)

    def run(self, value: np.ndarray, mask: np.ndarray) -> Result:
        """Outputs with padding cleared, and gradients under a cotangent that ignores the padding."""
        point, fixed = list(self.program.moving), list(self.program.fixed)
        (fixed if self.integers else point)[self.value] = value
        fixed[self.mask] = mask
        u = [self._real(c, mask) for c in self.cotangents]
        result = self.program.evaluate(point, u, fixed)
        return Result([self._real(y, mask) for y in result.outputs], result.auxiliary, result.gradients)

    def _real(self, array: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if not self.keeps_mask:
            return array
        return np.where(mask.reshape(mask.shape + (1,) * (array.ndim - mask.ndim)), array, 0.0)


def check_masks(plain: Subject, mask: Any, seed: int) -> list[Verdict]:
    """The laws of padding for one mode of a layer.

    Args:
        plain: the layer with an input ``[batch, time, ...]``.
        mask: boolean ``[batch, time]``, or ``"raises"`` for a layer that must refuse masks.
        seed: of the padding.
    """
    if isinstance(mask, str):
        return _refuses(plain)
    mask = np.asarray(mask, bool)
    if mask.all() or not mask.any():
        return [failed("mask", "pass a mask with both real and padded positions")]
    masked = replace(plain, x=Masked(np.asarray(plain.x), mask))
    padded = _Padded(masked, seed)
    value = np.asarray(plain.x) if padded.integers else padded.program.moving[padded.value]
    verdicts = [_garbage(padded, value, mask, 1e3, "padding")]
    if not padded.integers:
        verdicts.append(_garbage(padded, value, mask, 1e30, "huge padding"))
    empty = mask.copy()
    empty[0] = False
    result = padded.run(value, empty)
    finite = all(np.isfinite(leaf).all() for leaf in [*result.outputs, *result.gradients])
    name = "a row without real positions"
    verdicts.append(
        passed(name) if finite else failed(name, "gives an output or a gradient that is not finite")
    )
    if not masked.random:
        verdicts += [_full(padded, plain, value, mask), _shorter(padded, plain, value, mask)]
    return verdicts


def _refuses(subject: Subject) -> list[Verdict]:
    x = np.asarray(subject.x)
    masked = Masked(x, np.ones(x.shape[:2], bool))
    try:
        subject.run(*subject.initial, masked, subject.key)
    except TypeError:
        return [passed("refuses a mask")]
    return [failed("refuses a mask", "a Masked input is accepted; the mask would be forgotten")]


def _garbage(padded: _Padded, value: np.ndarray, mask: np.ndarray, size: float, what: str) -> Verdict:
    keep = mask.reshape(mask.shape + (1,) * (value.ndim - mask.ndim))
    base = padded.run(value, mask)
    if padded.integers:  # which values are valid only the given ones show
        others = padded.rng.permutation(value.ravel()).reshape(value.shape)
    else:
        others = size * padded.rng.standard_normal(value.shape)
    other = padded.run(np.where(keep, value, others), mask)
    name = f"{what} does not count"
    for result in () if padded.integers else (base, other):
        if np.any(result.gradients[padded.value][~mask] != 0):
            return failed(name, "a masked position of x has a gradient")
    for part, left, right in (
        ("output leaf", other.outputs, base.outputs),
        ("gradient", other.gradients, base.gradients),
    ):
        error, leaf = worst_mismatch(left, right)
        if error > _CLOSE:
            where = padded.program.moving_paths[leaf] if part == "gradient" else leaf
            return failed(
                name, f"{part} {where} changes with the padding (relative error {error:.3g})", error
            )
    return passed(name)


def _plain(subject: Subject, value: np.ndarray) -> Leaves:
    """Outputs of the layer on an input without a mask."""
    with subject.double.precision:
        params, state = subject.double.with_values(subject.double.moving, subject.double.fixed)[:2]
        y, _ = jax.jit(lambda p, s, x: subject.run(p, s, x, None))(params, state, value)
        return [np.asarray(leaf) for leaf in jax.tree.leaves(y)]


def _full(padded: _Padded, plain: Subject, value: np.ndarray, mask: np.ndarray) -> Verdict:
    name = "full mask = no mask"
    error, _ = worst_mismatch(padded.run(value, np.ones_like(mask)).outputs, _plain(plain, value))
    if error > _CLOSE:
        return failed(name, f"a mask without padding changes the output (relative error {error:.3g})", error)
    return passed(name)


def _shorter(padded: _Padded, plain: Subject, value: np.ndarray, mask: np.ndarray) -> Verdict:
    """Padding a whole batch at its end equals cutting it off."""
    name, length = "padded = cut short", max(mask.shape[1] - 2, 1)
    ends = np.broadcast_to(np.arange(mask.shape[1]) < length, mask.shape).copy()
    outputs = padded.run(value, ends).outputs
    expected = _plain(plain, value[:, :length])
    for y, wanted in zip(outputs, expected, strict=True):
        error, _ = worst_mismatch([y[:, :length] if y.shape != wanted.shape else y], [wanted])
        if error > _CLOSE:
            text = f"a sequence padded from position {length} on differs from the one cut there"
            return failed(name, f"{text} (relative error {error:.3g})", error, _CLOSE)
    return passed(name)

"""Two models side by side: how far their outputs and gradients are apart."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxnn.core import printable


class Agreement(NamedTuple):
    """How far two models that should compute the same are apart.

    Attributes:
        errors: by name (``"output"``, ``"gradient of fc1.weight"``), the norm of the difference over the norm
            of the reference; over a tenth of the largest gradient's where a gradient is smaller than that, so
            that one which is zero by the mathematics is not measured by its own rounding.
        tolerance: what none of them exceeds.
    """

    errors: dict[str, float]
    tolerance: float

    def __str__(self) -> str:
        rows = [
            f"{error:.1e}  {name}" for name, error in sorted(self.errors.items(), key=lambda item: -item[1])
        ]
        return printable("\n".join([f"{len(rows)} arrays agree to {self.tolerance:.0e}", *rows]))


def agreement(owner: str, outputs: Any, gradients: Any, tolerance: float) -> Agreement:
    """Compare pairs ``(ours, theirs)`` by name.

    Raises:
        ValueError: a pair has other shapes, or is further apart than ``tolerance``.
    """
    errors: dict[str, float] = {}
    for prefix, pairs, floor in (("", outputs, 0.0), ("gradient of ", gradients, 0.1)):
        wide = {
            name: (np.asarray(a, np.float64), np.asarray(b, np.float64)) for name, (a, b) in pairs.items()
        }
        for name, (a, b) in wide.items():
            if a.shape != b.shape:
                raise ValueError(
                    f"{owner}: {prefix}{name} has shape {list(a.shape)} here and {list(b.shape)} there"
                )
        least = max((np.linalg.norm(b) for _, b in wide.values()), default=0.0) * floor
        for name, (a, b) in wide.items():
            norm = max(np.linalg.norm(b), least)
            distance = np.linalg.norm(a - b)
            errors[prefix + name] = float(distance / norm) if norm else float(distance)
    # Written so that NaN fails.
    wrong = {name: error for name, error in errors.items() if not error <= tolerance}
    if wrong:
        name, error = max(wrong.items(), key=lambda item: np.nan_to_num(item[1], nan=np.inf))
        raise ValueError(
            f"{owner}: {len(wrong)} of {len(errors)} arrays are further apart than {tolerance:.0e}, most of "
            f"all the {name}: {error:.2g} of its norm; all of them: {', '.join(wrong)}"
        )
    return Agreement(errors, tolerance)


def cotangent(shape: tuple[int, ...]) -> np.ndarray:
    """Draw what both outputs are multiplied with before the gradient is taken."""
    return np.random.default_rng(0).normal(size=shape)


def tolerance_for(dtype: Any, tolerance: float | None) -> float:
    """Return ``tolerance``, or 1e-10 in float64 and 1e-5 otherwise."""
    if tolerance is not None:
        return tolerance
    return 1e-10 if jnp.dtype(dtype) == np.float64 else 1e-5

"""Releases of jaxlib that compute wrong values or crash: which, on what, and what to do.

Each was seen on every release of its range, and on no other one from 0.10.2 on.
``tests/test_known_faults.py`` looks for each on the release that is installed.
"""

import re
from typing import NamedTuple

import jax
from jaxlib.version import __version__ as installed


class Fault(NamedTuple):
    """A fault of the compiler; ``last`` is the last release that has it, ``None`` while all newer ones do."""

    name: str
    platform: str
    first: str
    last: str | None
    wrong: str
    ours: str
    remedy: str

    @property
    def releases(self) -> str:
        """The releases of jaxlib that have it."""
        if self.last is None:
            return f"{self.first} and later"
        return self.first if self.first == self.last else f"{self.first} to {self.last}"

    def applies(self, release: str, platform: str) -> bool:
        """Whether a release of jaxlib has it on a platform such as ``"cpu"``."""
        number = _number(release)
        within = _number(self.first) <= number and (self.last is None or number <= _number(self.last))
        return within and platform == self.platform


FAULTS = (
    Fault(
        name="small_matrix_sums",
        platform="cpu",
        first="0.10.2",
        last="0.10.2",
        wrong="A 3x3 or 2x3 matrix times many columns, then summed, in one compiled program: "
        "`jit(vmap(lambda r: sum((M @ r) ** 2)))` and `sum((M @ x.T) ** 2, 0)` are wrong from 32,769 "
        "columns of float32 and 16,385 of float64 on.",
        ours="Layers multiply rows, `x @ kernel`, which is right for any number of them. A `vmap` of your "
        "own over `M @ r` is out of their reach.",
        remedy="Write `rows @ M.T`, or use a newer jaxlib (it needs Python 3.12).",
    ),
    Fault(
        name="negative_padding",
        platform="cpu",
        first="0.10.2",
        last="0.11.2",
        wrong="A convolution with negative padding before its input, such as (-2, 2), in float32 or lower: "
        "wrong numbers, or memory that was never written. The gradient of one that pads beyond its kernel is"
        " such a convolution.",
        ours="`nn.conv`, `nn.conv_transpose` and their gradients never ask for one: what exceeds the "
        "kernel is padded, and what is negative cut off, in a step of its own.",
        remedy="In calls of `lax.conv_general_dilated`, pad the input with `lax.pad` first.",
    ),
    Fault(
        name="nested_slices",
        platform="cpu",
        first="0.10.2",
        last="0.11.2",
        wrong="A `dynamic_slice` of a `dynamic_slice` with a start beyond the end: the two are merged, and "
        "the start is clamped wrongly. Starts within the array are right.",
        ours="Slices start within their arrays.",
        remedy="Clamp starts with `jnp.clip` before slicing.",
    ),
    Fault(
        name="shifted_update",
        platform="cpu",
        first="0.10.2",
        last=None,
        wrong="An array's rows overwritten by the same array's rows one further, then reshaped: "
        "`x.at[1:].set(x[:-1]).reshape(...)` reads rows that it has overwritten already.",
        ours="No array is written into itself.",
        remedy="Write `jnp.concatenate([x[:1], x[:-1]])`.",
    ),
    Fault(
        name="spread_windows",
        platform="cpu",
        first="0.10.2",
        last=None,
        wrong="`lax.reduce_window` with `base_dilation` along an axis where window and stride are 1, on "
        "some thousand numbers or more: the cells are not spread.",
        ours="Pooling and its gradients spread cells with `lax.pad`.",
        remedy="Spread cells with the interior padding of `lax.pad`.",
    ),
    Fault(
        name="sums_of_many_axes",
        platform="cpu",
        first="0.10.2",
        last="0.11.0",
        wrong="A product of float32 arrays of seven or eight axes, one of them of size 1 or broadcast, "
        "summed over an axis in one compiled program: the process crashes or hangs.",
        ours="Layers with up to ten axes and their gradients run; your own sums are out of their reach.",
        remedy="Merge axes with `reshape` before the product.",
    ),
    Fault(
        name="small_updates",
        platform="cpu",
        first="0.11.1",
        last="0.11.1",
        wrong="A loop that writes less than 256 bytes a step into an array, as `lax.scan` does that stacks "
        "scalars, takes time in proportion to the whole array at each step. The values are right.",
        ours="Loops are written as usual: long records are slow on this one release.",
        remedy="Use another release of jaxlib.",
    ),
)


def known_faults(release: str | None = None, platform: str | None = None) -> tuple[Fault, ...]:
    """The known faults of a release of jaxlib on a platform; of what is installed and in use, unless given.

    Finding the platform in use starts JAX's backend, as the first computation does.

    Example:
        >>> [fault.name for fault in known_faults("0.12.0", "cpu")]
        ['shifted_update', 'spread_windows']
    """
    release = installed if release is None else release
    platform = jax.default_backend() if platform is None else platform
    return tuple(fault for fault in FAULTS if fault.applies(release, platform))


def _number(release: str) -> tuple[int, ...]:
    """``(0, 12, 0)`` of ``"0.12.0.dev20260920"``; zeros at the end do not count."""
    leading = re.match(r"\d+(?:\.\d+)*", release)
    if leading is None:
        raise ValueError(f"known_faults: expected a release of jaxlib such as '0.12.0', got {release!r}")
    numbers = tuple(map(int, leading[0].split(".")))
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers = numbers[:-1]
    return numbers

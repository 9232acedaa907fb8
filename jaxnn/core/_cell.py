"""The recurrent cell: one step of a sequence, with a carry that belongs to that sequence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jaxnn.core._copies import itself, reduced
from jaxnn.core._layer import check_name


@dataclass(frozen=True, repr=False)
class Cell:
    """One step of a recurrence as pure functions, in ``lax.scan``'s own order.

    The carry is not state: it belongs to one sequence and is batch-shaped, where state belongs to the
    model. Haiku's cores return ``(output, carry)`` and need a swap before ``scan``; these do not.

    Attributes:
        name: kind of the cell.
        init: ``(key, x) -> params`` for one step's input ``x`` ``[..., features]`` or its spec.
        init_carry: ``(params, x) -> carry``; ``params`` because an initial carry may be learned. It reads
            the shape and dtype of ``x`` alone.
        step: ``(params, carry, x, *, key=None, train=False) -> (carry, y)``.
        scan: optional, for cells that run a whole sequence ``x`` ``[batch, time, ...]`` faster than step by
            step: ``(params, carry, x, *, mask=None, reverse=False, key=None, train=False) -> (carry, ys)``.
            It must equal ``step`` repeated with one and the same key; where ``mask`` ``[batch, time]`` is
            false the carry must stay and the output repeat.
    """

    name: str
    init: Callable[..., dict[str, Any]]
    init_carry: Callable[..., Any]
    step: Callable[..., tuple[Any, Any]]
    scan: Callable[..., tuple[Any, Any]] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_name("Cell", self.name)

    def __repr__(self) -> str:
        return f"Cell({self.name!r})"

    __copy__ = __deepcopy__ = itself
    __reduce_ex__ = reduced

"""What a row of the table is: one kind of work, and the contenders that do it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Laps(Protocol):
    """The stopwatch that a contender is given.

    A contender calls it after each lap with a number that the lap computed (the mean loss, for instance).
    The call returns when the next lap may begin.
    """

    def __call__(self, result: float) -> None: ...


@dataclass(frozen=True)
class Contender:
    """One library doing the row's work in the loop that its users write.

    Attributes:
        name: as the table prints it.
        drive: ``(work, laps)``: sets up, then does lap after lap for as long as ``laps`` returns. It imports
            what it needs itself, so that no contender pays for another's imports.
        packages: distributions whose versions are reported; where one is missing the contender is skipped.
        environment: variables that its process needs.
    """

    name: str
    drive: Callable[[Any, Laps], None]
    packages: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        title: what is measured.
        unit: of the printed figures, such as ``"s/epoch"``.
        sizes: the work under ``"full"`` and ``"tiny"`` (for tests).
        contenders: the first is ours.
        per_lap: ``work -> number`` by which a lap's seconds are multiplied to give ``unit``.
        floor: name of the contender that is no peer but a bound, such as the matrix products alone.
        flops: ``work -> operations`` in a lap of the floor, which gives the ceiling in GFLOP/s.
        uses_pictures: whether it trains on MNIST or pictures of its shape.
        laps: ``"steady"`` measures laps of running processes in turn, ``"process"`` whole processes from
            their start to the end of their first lap.
        variants: for ``"process"``: names of compile-cache states to measure, ``"cold"`` and ``"warm"``.
        note: what a reader must know.
    """

    title: str
    unit: str
    sizes: Mapping[str, Any]
    contenders: tuple[Contender, ...]
    per_lap: Callable[[Any], float] = lambda work: 1.0
    floor: str | None = None
    flops: Callable[[Any], float] | None = None
    uses_pictures: bool = False
    laps: str = "steady"
    variants: tuple[str, ...] = ("cold",)
    note: str = ""

    def contender(self, name: str) -> Contender:
        """Return the contender of that name."""
        for one in self.contenders:
            if one.name == name:
                return one
        raise ValueError(f"benchmarks: no contender {name!r} in {[one.name for one in self.contenders]}")

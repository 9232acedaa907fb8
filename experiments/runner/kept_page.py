"""What docs/results.md already shows, for experiments whose run folders are not on this machine."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MEASURED = "Measured on "


@dataclass(frozen=True)
class KeptPage:
    """A page of results, taken apart.

    Attributes:
        rows: the lines of the table of classifiers, in their order.
        sections: the lines below each heading ``### title``, by title.
        measured: the machines that the page names.
    """

    rows: tuple[str, ...] = ()
    sections: dict[str, list[str]] | None = None
    measured: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "KeptPage":
        """Take the page at ``path`` apart; an empty one where there is none."""
        if not path.exists():
            return cls()
        head, *parts = re.split(r"^### ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        sections = {
            title: body.strip().splitlines() for title, body in (part.split("\n", 1) for part in parts)
        }
        rows = [line for line in head.splitlines() if line.startswith("| ")][1:]
        measured = re.findall(rf"^{MEASURED}(.*)\.$", head, flags=re.MULTILINE)
        return cls(tuple(rows), sections, tuple(measured))

    def row(self, place: int, network: str) -> str | None:
        """The line of the table at that place, if it is that of ``network``."""
        if place < len(self.rows) and self.rows[place].startswith(f"| {network} |"):
            return self.rows[place]
        return None

    def section(self, title: str) -> list[str]:
        """The lines of a section; none where the page hasn't got it."""
        return (self.sections or {}).get(title, [])

    def machines(self, lines: Sequence[str]) -> list[str]:
        """The machines on which kept ones among ``lines`` of the table were measured."""
        versions = {line.rsplit("|", 2)[1].strip() for line in lines if line in self.rows}
        return [machine for machine in self.measured if any(f"jax {v}," in machine for v in versions if v)]

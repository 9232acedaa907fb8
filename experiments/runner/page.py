"""The page that an experiment fills: sections, pictures, numbers beside the printed ones, corrections.

What is on it so far is written when the experiment ends, however it ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.runner.run_folder import RunFolder


@dataclass(frozen=True)
class Comparison:
    """A number of ours beside the one that a course prints or that theory gives.

    Attributes:
        what: what was measured, with its unit.
        ours: the number, or the mean over seeds.
        expected: the course's or the theory's number as text; ``""`` where there is none.
        spread: standard deviation over seeds, ``None`` for what is not random.
        source: where ``expected`` comes from.
    """

    what: str
    ours: float
    expected: str = ""
    spread: float | None = None
    source: str = ""

    def cells(self) -> list[str]:
        """The columns of ``COLUMNS``."""
        spread = "" if self.spread is None else f"{self.spread:.2g}"
        return [self.what, number(self.ours), spread, self.expected, self.source]


COLUMNS = ("what", "here", "spread over seeds", "printed or derived", "source")


@dataclass
class Page:
    """What an experiment has to show, collected while it runs.

    Attributes:
        folder: the run folder; ``folder.append_metrics(record)`` and ``folder.save_weights(params, state)``
            keep the history and the weights of a training.
        quick: whether the run is a quick one, which the page says.
    """

    folder: RunFolder
    quick: bool = False
    comparisons: list[Comparison] = field(default_factory=list)
    corrections: list[tuple[str, str, str]] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)

    def compare(
        self, what: str, ours: Any, expected: Any = "", *, spread: Any = None, source: str = ""
    ) -> None:
        """Put a number beside the printed one; for the report, the terminal and ``docs/results.md``.

        Args:
            what: what was measured, with its unit.
            ours: a number, or a concrete array of one.
            expected: the printed or derived value; a number or text (``">= 0.9775"``).
            spread: standard deviation over seeds.
            source: the course by its title, or the derivation.
        """
        expected = expected if isinstance(expected, str) else number(float(expected))
        spread = None if spread is None else float(spread)
        self.comparisons.append(Comparison(what, float(ours), expected, spread, source))

    def correct(self, where: str, wrong: str, right: str) -> None:
        """Tell an error of a course: where it stands, what is printed, what is right."""
        self.corrections.append((where, wrong, right))

    def picture(self, name: str) -> Path:
        """Where to draw the picture ``name``, such as ``"loss.png"``."""
        return self.folder.path / name

    def show(self, heading: str, text: str = "", picture: str = "") -> None:
        """Add a section: a heading, Markdown, and a picture that has been drawn at ``picture(name)``."""
        parts = [f"## {heading}", text, f"![{heading}]({picture})" if picture else ""]
        self.sections.append("\n\n".join(part for part in parts if part))

    def table(
        self, heading: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], text: str = ""
    ) -> None:
        """Add a section with a table; numbers are shown with six significant digits."""
        self.show(heading, "\n\n".join(part for part in (text, markdown_table(columns, rows)) if part))

    def tell(self) -> None:
        """Print the comparisons on the terminal."""
        if not self.comparisons:
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in COLUMNS:
            table.add_column(column)
        for comparison in self.comparisons:
            table.add_row(*comparison.cells())
        Console().print(table)

    def write(self, title: str, command: str, remarks: Sequence[str] = ()) -> None:
        """Write ``report.md``."""
        lines = [f"# {title}", f"`{command}`", *remarks]
        if self.quick:
            lines.append(
                "A quick run: everything happens, on a small scale. The numbers are not the experiment's."
            )
        if self.comparisons:
            lines.append(markdown_table(COLUMNS, [comparison.cells() for comparison in self.comparisons]))
        lines += self.sections
        lines += corrections_section(self.corrections)
        (self.folder.path / "report.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")

    def result(self) -> Mapping[str, Any]:
        """The numbers, for ``result.json``."""
        return {"compared": [asdict(comparison) for comparison in self.comparisons]}


def number(value: float) -> str:
    """Six significant digits, and whole numbers whole."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.6g}"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(value) for value in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def corrections_section(corrections: Sequence[Sequence[str]]) -> list[str]:
    """Errors of the courses as a heading and a table; nothing where there are none."""
    if not corrections:
        return []
    head = ("where", "what stands there", "what is right")
    return ["## Where the course is in error", markdown_table(head, corrections)]


def _cell(value: Any) -> str:
    text = (
        value
        if isinstance(value, str)
        else str(value)
        if isinstance(value, (bool, int))
        else number(float(value))
    )
    return text.replace("|", "\\|").replace("\n", " ")

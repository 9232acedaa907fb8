"""The experiments, each a file of its name in the folder above, by course and chapter; other commands.

An experiment's file says itself, in lines ``Course:  TITLE - CHAPTER`` of its header, what it teaches; the
list is read from the headers, without importing them (or JAX).
"""

import ast
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.runner.usage import UsageError, suggestion

if TYPE_CHECKING:
    from experiments.runner.classifier import Classifier
    from experiments.runner.experiment import Experiment

FOLDER = Path(__file__).parent.parent
COURSES = (
    "Back-propagation",
    "Multi-layer networks and optimisation",
    "Recurrent, convolutional and embedding networks",
    "From calculus to convolutional networks",
    "Deep learning, day 1",
)
COMMANDS = {
    "predict": "Classify a drawing of your own: predict RUN picture.png",
    "translate": 'Translate sentences or a file: translate RUN "Ein Hund rennt."',
    "all": "Run every experiment, one after the other: all --quick",
    "results": "Run the published experiments over several seeds and write their tables: docs/results.md",
}


@dataclass(frozen=True)
class Entry:
    """What the header of an experiment's file says.

    Attributes:
        name: of the experiment and of its file.
        summary: the first line.
        places: pairs of course and chapter.
    """

    name: str
    summary: str
    places: tuple[tuple[str, str], ...]


@cache
def names() -> tuple[str, ...]:
    """Every experiment, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")))


def experiment(name: str) -> "Classifier | Experiment":
    """Import one experiment.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in names():
        hint = suggestion(name, [*names(), *COMMANDS])
        raise UsageError(f"no experiment {name!r}{hint} (python -m experiments lists them)")
    return import_module(f"experiments.{name}").EXPERIMENT


def entries() -> list[Entry]:
    """The header of every experiment."""
    return [_entry(name) for name in names()]


def _entry(name: str) -> Entry:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    lines = (ast.get_docstring(ast.parse(text)) or "").split("\n")
    told = (line.removeprefix("Course:").strip() for line in lines if line.startswith("Course:"))
    places = tuple((course, chapter) for course, _, chapter in (place.partition(" - ") for place in told))
    return Entry(name, lines[0], places)


def show() -> None:
    """Print the catalogue, a table for each course."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    listed, width = entries(), max(map(len, names()))

    def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        drawn = Table(
            title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
        )
        for column in head:
            plain = column != "name"
            drawn.add_column(
                column, style=None if plain else "cyan", no_wrap=not plain, min_width=0 if plain else width
            )
        for row in rows:
            drawn.add_row(*row)
        console.print(drawn)

    for title in COURSES:
        rows = [
            (e.name, e.summary, chapter) for e in listed for course, chapter in e.places if course == title
        ]
        table(title, ("name", "what it does", "chapter"), sorted(rows, key=lambda row: (row[2], row[0])))
    others = [(e.name, e.summary) for e in listed if not e.places]
    if others:
        table("Beyond the courses", ("name", "what it does"), others)
    table("Commands", ("name", "what it does"), list(COMMANDS.items()))
    console.print("Run one:      python -m experiments digits", highlight=False)
    console.print("Its options:  python -m experiments digits --help", highlight=False)

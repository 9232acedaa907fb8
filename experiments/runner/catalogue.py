"""The list of experiments, each a file of its name beside this folder, and of the other commands."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.runner.usage import UsageError, suggestion

if TYPE_CHECKING:
    from experiments.runner.classifier import Classifier

EXPERIMENTS = ("digits", "mnist_mlp", "mnist_deep_tanh", "mnist_cnn")
COMMANDS = {
    "predict": "Classify a drawing of your own: predict RUN picture.png",
    "results": "Train the published experiments over several seeds and write their table: docs/results.md",
}


def experiment(name: str) -> "Classifier":
    """Import one experiment.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in EXPERIMENTS:
        hint = suggestion(name, [*EXPERIMENTS, *COMMANDS])
        raise UsageError(
            f"no experiment {name!r}{hint or '; there are ' + ', '.join(EXPERIMENTS)} "
            "(python -m experiments lists them)"
        )
    return import_module(f"experiments.{name}").EXPERIMENT


def summaries() -> Iterator[tuple[str, str]]:
    """Name and first docstring line of each experiment, without importing it (or JAX)."""
    folder = Path(__file__).parent.parent
    for name in EXPERIMENTS:
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        yield name, (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]


def show() -> None:
    """Print the catalogue as a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, rows in (("Experiments", summaries()), ("Commands", COMMANDS.items())):
        table = Table(
            title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
        )
        table.add_column("name", style="cyan", no_wrap=True, min_width=max(map(len, EXPERIMENTS)))
        table.add_column("what it does")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print("Run one:      python -m experiments digits", highlight=False)
    console.print("Its options:  python -m experiments digits --help", highlight=False)

"""``python -m experiments all``: every experiment, one after the other, and a table of how each went."""

import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.data.download import DataNotFoundError
from experiments.runner import catalogue
from experiments.runner.command_line import parse
from experiments.runner.config import RunOptions
from experiments.runner.main import INTERRUPTED, in_short
from experiments.runner.run import carry_out
from experiments.runner.run_folder import RunFolder

SKIPPED = "skipped: no data"


@dataclass(frozen=True)
class Options(RunOptions):
    """How to run all of them."""

    quick: bool = False
    """Each on a small scale."""
    debug: bool = False
    """Show the tracebacks of errors."""


def command(args: Sequence[str]) -> int:
    """Run every experiment; one that fails is told at the end, and the rest run nevertheless.

    Returns:
        1 if one failed; an experiment whose data can't be had is skipped, and said to be.
    """
    options = parse(Options, args, "all", __doc__ or "")
    rows: list[tuple[str, str, float, Path]] = []
    for name in catalogue.names():
        print(f"== {name}", flush=True)
        experiment = catalogue.experiment(name)
        folder = RunFolder.reserve(options.runs, name, options.name)
        start = time.perf_counter()
        try:
            code = carry_out(experiment, experiment.config(quick=options.quick), folder, progress=False)
            outcome = "ok" if code == 0 else f"exit code {code}"
        except DataNotFoundError as error:
            # Not the experiment's fault: an offline machine runs what it has the data for.
            print(f"skipped: {in_short(error)}", file=sys.stderr)
            code, outcome = 0, SKIPPED
        except Exception as error:  # told in the table, after the others have run
            if options.debug:
                traceback.print_exc()
            code, outcome = 1, in_short(error)
        rows.append((name, outcome, time.perf_counter() - start, folder.path))
        if code == INTERRUPTED:
            break
    _show(rows)
    return next((1 for row in rows if row[1] not in ("ok", SKIPPED)), 0)


def _show(rows: Sequence[tuple[str, str, float, Path]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("experiment", "outcome", "seconds", "run folder"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for name, outcome, seconds, path in rows:
        table.add_row(name, outcome, f"{seconds:.1f}", str(path))
    table.add_section()
    skipped = sum(row[1] == SKIPPED for row in rows)
    failed = sum(row[1] != "ok" for row in rows) - skipped
    summary = [f"{count} {word}" for count, word in ((failed, "failed"), (skipped, "skipped")) if count]
    table.add_row("all", ", ".join(summary) or "ok", f"{sum(row[2] for row in rows):.1f}", "")
    Console().print(table)

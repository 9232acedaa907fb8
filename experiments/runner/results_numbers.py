"""The part of docs/results.md that shows, experiment by experiment, our numbers beside the printed ones."""

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.runner import catalogue
from experiments.runner.experiment import Experiment
from experiments.runner.kept_page import KeptPage
from experiments.runner.page import COLUMNS, Comparison, markdown_table
from experiments.runner.run import carry_out
from experiments.runner.run_folder import RunFolder
from experiments.runner.usage import typed

# Experiments of which the page shows other configurations than the default. That of translation trains a
# transformer too, for longer than both others together.
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "translation": ({"model": "attention"}, {"model": "plain"}),
}
CLOCK = (
    "Seconds are of a whole run by the clock, compilation and pictures included; other work on the machine "
    "lengthens them."
)


def names() -> list[str]:
    """The experiments that fill a page of numbers."""
    return [name for name in catalogue.names() if isinstance(catalogue.experiment(name), Experiment)]


def run(name: str, runs: Path) -> int:
    """Run an experiment in each configuration that has not been run to its end; return the exit code."""
    experiment = catalogue.experiment(name)
    for options in _variants(name):
        if _finished(name, options, runs):
            continue
        config = experiment.config(**options)
        print(f"== {typed(experiment, config)}", flush=True)
        folder = RunFolder.reserve(runs, name, _free_name(runs / name))
        if code := carry_out(experiment, config, folder):
            return code
    return 0


def tables(runs: Path, page: KeptPage) -> list[str]:
    """A heading and a table for each experiment that compares numbers and has been run or is on ``page``."""
    lines = ["## Numbers of the courses, experiment by experiment", "", CLOCK, ""]
    for name in names():
        experiment, shown = catalogue.experiment(name), []
        for options in _variants(name):
            folder = _finished(name, options, runs)
            result = folder.read_json("result.json") if folder else {"compared": []}
            rows = [Comparison(**row).cells() for row in result["compared"]]
            if rows:
                command = typed(experiment, experiment.config(**options))
                version = folder.read_json("config.json")["versions"]["jax"] if folder else ""
                timed = f"`{command}`, {result['seconds']:.1f} s, jax {version}"
                shown += [timed, "", markdown_table(COLUMNS, rows), ""]
        if not shown and (kept := page.section(experiment.title)):
            shown = [*kept, ""]
        if shown:
            lines += [f"### {experiment.title}", "", *shown]
    return lines


def _free_name(folder: Path) -> str:
    attempts = itertools.chain(["results"], (f"results-attempt{number}" for number in itertools.count(2)))
    return next(attempt for attempt in attempts if not (folder / attempt).exists())


def _variants(name: str) -> tuple[dict[str, Any], ...]:
    return VARIANTS.get(name, ({},))


def _finished(name: str, options: dict[str, Any], runs: Path) -> RunFolder | None:
    """The run folder of the experiment with these options, when it has run to its end."""
    wanted = asdict(catalogue.experiment(name).config(**options))
    for path in sorted((runs / name).glob("results*"), key=lambda path: path.stat().st_mtime, reverse=True):
        folder = RunFolder(path)
        ended = (path / "result.json").exists() and folder.read_json("result.json")["stopped"] is None
        if ended and folder.read_json("config.json")["config"] == wanted:
            return folder
    return None

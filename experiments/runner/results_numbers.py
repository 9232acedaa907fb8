"""The part of docs/results.md that shows, experiment by experiment, our numbers beside the printed ones."""

from dataclasses import asdict
from pathlib import Path

from experiments.runner import catalogue
from experiments.runner.experiment import Experiment
from experiments.runner.page import COLUMNS, Comparison, markdown_table
from experiments.runner.run import carry_out
from experiments.runner.run_folder import RunFolder


def names() -> list[str]:
    """The experiments that fill a page of numbers."""
    return [name for name in catalogue.names() if isinstance(catalogue.experiment(name), Experiment)]


def run(name: str, runs: Path) -> int:
    """Run an experiment with its default configuration unless it has been; return the exit code."""
    if _finished(name, runs):
        return 0
    print(f"== {name}", flush=True)
    taken = len(list((runs / name).glob("results*")))
    folder = RunFolder.reserve(runs, name, "results" if not taken else f"results-attempt{taken + 1}")
    experiment = catalogue.experiment(name)
    return carry_out(experiment, experiment.config(), folder)


def tables(runs: Path) -> list[str]:
    """A heading and a table for each experiment that has been run and compares numbers."""
    lines = ["## Numbers of the courses, experiment by experiment", ""]
    for name in names():
        folder = _finished(name, runs)
        result = folder.read_json("result.json") if folder else {"compared": []}
        rows = [Comparison(**row).cells() for row in result["compared"]]
        if rows:
            title = catalogue.experiment(name).title
            lines += [f"### {title}", "", f"`python -m experiments {name}`, {result['seconds']:.1f} s", ""]
            lines += [markdown_table(COLUMNS, rows), ""]
    return lines


def _finished(name: str, runs: Path) -> RunFolder | None:
    """The run folder of the experiment as it is by default, when it has run to its end."""
    wanted = asdict(catalogue.experiment(name).config())
    for path in sorted((runs / name).glob("results*"), reverse=True):
        folder = RunFolder(path)
        ended = (path / "result.json").exists() and folder.read_json("result.json")["stopped"] is None
        if ended and folder.read_json("config.json")["config"] == wanted:
            return folder
    return None

"""``python -m experiments results``: train over several seeds and write docs/results.md.

Every finished seed and experiment is a run folder (``runs/NAME/results-...``), so the command
can be interrupted and called again: it runs only what is missing. Each saved ``params.safetensors`` of a
classifier is applied by plain NumPy to the test pictures; an accuracy other than the run's own is an error.
With ``--only``, what the page shows of other experiments stays where their run folders aren't at hand.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.runner import catalogue, results_numbers
from experiments.runner.classifier import Classifier
from experiments.runner.command_line import parse
from experiments.runner.config import TrainingConfig, check_whole
from experiments.runner.kept_page import MEASURED, KeptPage
from experiments.runner.run_folder import RunFolder
from experiments.runner.usage import UsageError, suggestion
from jaxnn.interop._atomic_write import atomic_write

# NumPy adds in another order, which can turn a picture that the network holds for two digits equally.
CLOSE_CALLS = 2


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: what ``--only`` calls it, and the stem of its run folders.
        network: what it is, for the reader.
        experiment: the experiment that trains it.
        options: how its configuration differs from the default.
        printed: the accuracy printed in the courses, with its epochs.
        printed_seconds: their seconds per epoch.
        seeds: at most so many are trained, for those that take long.
    """

    name: str
    network: str
    experiment: str
    options: dict[str, Any] = field(default_factory=dict)
    printed: str = "not in the courses"
    printed_seconds: str = ""
    seeds: int = 1000

    def trained(self, wanted: int) -> range:
        """The seeds to train where ``wanted`` are asked for."""
        return range(min(wanted, self.seeds))


ROWS = (
    Row("digits", "digits: small convolutional network, last weights", "digits"),
    Row(
        "mnist_mlp", "MNIST 784-512-512-10, dropout 0.2", "mnist_mlp",
        printed="0.9795 (5 epochs), 0.9810 (10 epochs)", printed_seconds="9, 16-22",
    ),
    Row(
        "mnist_mlp_last", "the same, last weights", "mnist_mlp", {"ema": 0.0},
        printed="0.9795 (5 epochs), 0.9810 (10 epochs)", printed_seconds="9, 16-22",
    ),
    Row(
        "mnist_mlp_no_dropout", "MNIST 784-512-512-10, no dropout", "mnist_mlp", {"dropout": 0.0},
        printed="0.9801, 0.9812", printed_seconds="8-12, 10",
    ),
    Row(
        "mnist_mlp_no_dropout_last", "the same, last weights", "mnist_mlp", {"dropout": 0.0, "ema": 0.0},
        printed="0.9801, 0.9812", printed_seconds="8-12, 10",
    ),
    Row(
        "mnist_deep_tanh", "MNIST 784-2500-2000-1500-1000-500-10, tanh", "mnist_deep_tanh",
        printed="0.9698, 0.9718", printed_seconds="129-145",
    ),
    Row(
        "mnist_cnn", "MNIST two convolutions, Adadelta", "mnist_cnn",
        printed="0.9910", printed_seconds="218-366",
    ),
    Row(
        "mnist_sgd", "MNIST 784-128-128-10, plain descent", "mnist_sgd",
        printed="0.9775 (epochs not told)",
    ),
    Row("mnist_augmented", "MNIST six convolutions, augmented", "mnist_augmented", seeds=1),
    Row(
        "mnist_cnn_adam", "MNIST two convolutions of 128, no pooling, Adam", "mnist_cnn_adam", seeds=1,
        printed="not told",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What to train, and where the table goes."""

    seeds: int = 5
    """Number of seeds, counted from 0."""
    only: str = ""
    """Run this row or experiment only, such as mnist_mlp; the tables keep what they show of the others."""
    runs: Path = Path("runs")
    """Folder that holds the run folders."""
    output: Path = Path("docs/results.md")
    """The page, written anew from the run folders, and from itself where there are none."""
    debug: bool = False
    """Show the traceback of an error."""

    def __post_init__(self) -> None:
        check_whole("seeds", self.seeds, least=1)


def command(args: Sequence[str]) -> int:
    """Train what is missing, verify everything with NumPy, write the table."""
    options = parse(Options, args, "results", __doc__ or "")
    names = [*(row.name for row in ROWS), *results_numbers.names()]
    if options.only and options.only not in names:
        raise UsageError(
            f"--only: no row {options.only!r}{suggestion(options.only, names) or f'; rows: {names}'}"
        )
    for row in ROWS:
        if options.only in ("", row.name):
            for seed in row.trained(options.seeds):
                code = _train(row, seed, options.runs)
                if code:
                    return code
    for name in results_numbers.names():
        if options.only in ("", name):
            code = results_numbers.run(name, options.runs)
            if code:
                return code
    found = [[_finished(row, seed, options.runs) for seed in row.trained(options.seeds)] for row in ROWS]
    page = KeptPage.read(options.output)
    lines = [
        _line(row, folders) if any(folders) else page.row(place, row.network) or _not_trained(row)
        for place, (row, folders) in enumerate(zip(ROWS, found, strict=True))
    ]
    machines = {
        _machine(folder.read_json("config.json")) for folders in found for folder in folders if folder
    }
    tables = results_numbers.tables(options.runs, page)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(options.output) as temporary:
        text = _page(lines, sorted({*machines, *page.machines(lines)}), tables)
        temporary.write_text(text, encoding="utf-8")
    print(f"table: {options.output}")
    return 0


def configuration(row: Row, seed: int) -> TrainingConfig:
    """The configuration of one seed of one row."""
    return replace(_classifier(row).config(), seed=seed, **row.options)


def _classifier(row: Row) -> Classifier:
    experiment = catalogue.experiment(row.experiment)
    if not isinstance(experiment, Classifier):
        raise TypeError(f"results: row {row.name} needs an experiment that classifies, got {row.experiment}")
    return experiment


def _finished(row: Row, seed: int, runs: Path) -> RunFolder | None:
    """The run folder of that seed, when it has been trained to its end with this very configuration."""
    wanted = asdict(configuration(row, seed))
    for path in sorted((runs / row.experiment).glob(f"results-{row.name}-seed{seed}*")):
        folder = RunFolder(path)
        if (path / "result.json").exists() and folder.read_json("config.json")["config"] == wanted:
            result = folder.read_json("result.json")
            if result["stopped"] is None and result["epochs"] == wanted["epochs"]:
                return folder
    return None


def _train(row: Row, seed: int, runs: Path) -> int:
    """Train one seed unless it is there; a folder that an interrupted run left keeps its name."""
    from experiments.runner.run import carry_out

    if _finished(row, seed, runs):
        return 0
    name = f"results-{row.name}-seed{seed}"
    names: Iterable[str] = (name, *(f"{name}-attempt{number}" for number in range(2, 1000)))
    free = next(name for name in names if not (runs / row.experiment / name).exists())
    print(f"== {row.name}, seed {seed}")
    folder = RunFolder.reserve(runs, row.experiment, free)
    return carry_out(catalogue.experiment(row.experiment), configuration(row, seed), folder)


def verify(experiment: Classifier, folder: RunFolder) -> float:
    """Accuracy of the saved weights under plain NumPy.

    Raises:
        ValueError: it is not the accuracy that the run reports.
    """
    from experiments.runner import numpy_network

    params = numpy_network.merged(*folder.load_weights())
    data = experiment.load()
    found = numpy_network.accuracy(experiment.name, params, data.x_test, data.y_test)
    reported = folder.read_json("result.json")["test_accuracy"]
    if abs(found - reported) * len(data.x_test) > CLOSE_CALLS + 0.5:
        raise ValueError(
            f"{folder.path}: NumPy gets {found:.4f} with the saved weights, the run reports {reported:.4f}"
        )
    return found


def _line(row: Row, folders: Sequence[RunFolder | None]) -> str:
    """A row of the table in Markdown."""
    present = [folder for folder in folders if folder]
    results = [folder.read_json("result.json") for folder in present]
    accuracies = [result["test_accuracy"] for result in results]
    experiment = _classifier(row)
    by_numpy = [verify(experiment, folder) for folder in present]
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    epochs = [record["seconds"] for folder in present for record in folder.read_metrics()[1:]]
    cells = [
        row.network,
        str(results[0]["epochs"]),
        str(len(present)),
        f"**{statistics.mean(accuracies):.4f}**",
        f"{spread:.4f} ({min(accuracies):.4f} to {max(accuracies):.4f})",
        f"{statistics.mean(by_numpy):.4f}",
        f"{min(epochs):.2f}" if epochs else "",
        row.printed,
        row.printed_seconds,
        ", ".join(sorted({folder.read_json("config.json")["versions"]["jax"] for folder in present})),
    ]
    return f"| {' | '.join(cells)} |"


def _not_trained(row: Row) -> str:
    return f"| {row.network} | | 0 | not trained | | | | {row.printed} | {row.printed_seconds} | |"


def _page(lines: list[str], machines: list[str], tables: list[str]) -> str:
    head = (
        "network | epochs | seeds | test accuracy, mean | standard deviation (range) | by plain NumPy "
        "| s per epoch | courses: test accuracy | courses: s per epoch | jax"
    )
    return "\n".join(
        [
            "# Results",
            "",
            "Made by `python -m experiments results`, which trains what is missing, applies every saved",
            "`params.safetensors` with plain NumPy, and writes this page. The test pictures take no part in",
            "training. Seconds per epoch: the fastest epoch of all seeds, which other work on the machine",
            "lengthens too; docs/performance.md has measured times. The",
            "courses' numbers are those printed in their notebooks (Keras 2, one run each). Networks, update",
            "rules and rates are theirs; where a row does not say *last weights*, the tested and saved",
            "weights are averaged over about the last hundred steps.",
            "",
            f"| {head} |",
            "|---" * (head.count("|") + 1) + "|",
            *lines,
            "",
            *(f"{MEASURED}{machine}." for machine in machines),
            "",
            *tables,
        ]
    )


def _machine(config: dict[str, Any]) -> str:
    device, versions, machine = config["device"], config["versions"], config["machine"]
    return (
        f"{device['platform']}{'' if device['platform'] == 'cpu' else ' ' + device['kind']} "
        f"({machine['processor']}, {machine['processors']} processors, {machine['system']}), "
        f"Python {versions['python']}, jax {versions['jax']}, jaxlib {versions['jaxlib']}"
    )

"""``report.md``: how a run went, for a reader who was not there."""

from typing import Any

import jax
import numpy as np

from experiments import plots
from experiments.data.pictures import Pictures
from experiments.runner.classifier import Classifier
from experiments.runner.config import TrainingConfig
from experiments.runner.page import corrections_section
from experiments.runner.run_folder import RunFolder
from experiments.runner.usage import typed
from jaxnn import train

# Heading, picture, explanation.
Section = tuple[str, str, str]


def write_report(
    experiment: Classifier,
    config: TrainingConfig,
    folder: RunFolder,
    data: Pictures,
    result: train.Result,
    outcome: dict[str, Any],
) -> None:
    """Draw the pictures and write the page that shows them."""
    records = result.history.records
    title = experiment.title
    pictures = [_draw_curves(folder, title, records)]
    if all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params)):
        pictures += _draw_tests(experiment, config, folder, data, result)
    text = "\n".join(_page(experiment, config, records, outcome, pictures))
    (folder.path / "report.md").write_text(text, encoding="utf-8")


def _draw_curves(folder: RunFolder, title: str, records: list[dict[str, Any]]) -> Section:
    plots.curves(folder.path / "curves.png", title, records)
    return "Learning curves", "curves.png", "Training while it learns, test after each epoch."


def _draw_tests(
    experiment: Classifier, config: TrainingConfig, folder: RunFolder, data: Pictures, result: train.Result
) -> list[Section]:
    """The mistakes, the confusion matrix, and the filters where there are any."""
    title = experiment.title
    sections: list[Section] = []
    logits = train.predict(experiment.build(config), result.params, result.state, data.x_test)
    probabilities = np.asarray(jax.nn.softmax(logits))
    wrong = plots.mistakes(folder.path / "mistakes.png", title, data.x_test, data.y_test, probabilities)
    if wrong:
        text = "What it is (green), what the network says (orange) and how sure it is."
        heading = f"Misclassified test pictures ({wrong} of {len(data.x_test):,})"
        sections.append((heading, "mistakes.png", text))
    heading = f"{title}: test pictures"
    plots.confusion(
        folder.path / "confusion.png", heading, data.y_test, probabilities.argmax(1), data.classes
    )
    sections.append(("Confusion matrix", "confusion.png", "Counts; the colour is the share of the row."))
    kernel = _first_filters(result.params)
    if kernel is not None:
        plots.filters(folder.path / "filters.png", f"{title}: first-layer filters", kernel)
        sections.append(("First-layer filters", "filters.png", "One common scale for all."))
    return sections


def _page(
    experiment: Classifier,
    config: TrainingConfig,
    records: list[dict[str, Any]],
    outcome: dict[str, Any],
    pictures: list[Section],
) -> list[str]:
    lines = [f"# {experiment.title}", "", f"`{typed(experiment, config)}`", ""]
    if outcome["stopped"]:
        lines += [f"**Stopped: {outcome['stopped']}.**", ""]
    steady = float(np.median([record["seconds"] for record in records[1:] or records]))
    numbers = (outcome["test_accuracy"], outcome["test_loss"], records[-1]["accuracy"])
    lines += [
        "| test accuracy | test loss (nats) | training accuracy | epochs | seconds | seconds per epoch |",
        "|---|---|---|---|---|---|",
        f"| {' | '.join(map(_number, numbers))} | {len(records)} | {outcome['seconds']:.1f} | {steady:.2f} |",
        "",
    ]
    for heading, name, text in pictures:
        lines += [f"## {heading}", "", text, "", f"![{heading}]({name})", ""]
    lines += ["## Epoch by epoch", "", "| epoch | loss | accuracy | test loss | test accuracy | seconds |"]
    lines += ["|---|---|---|---|---|---|"]
    columns = ("loss", "accuracy", "val_loss", "val_accuracy")
    for record in records:
        cells = [_number(record.get(column)) for column in columns]
        lines.append(f"| {record['epoch']} | {' | '.join(cells)} | {record['seconds']:.2f} |")
    for part in corrections_section(experiment.corrections):
        lines += ["", part]
    lines += [
        "",
        "Configuration, versions and device are in `config.json`, the weights in `params.safetensors`.",
        "",
    ]
    return lines


def _number(value: float | None) -> str:
    """Four digits, or nothing for an epoch that was cut short before its test."""
    return "" if value is None else f"{value:.4f}"


def _first_filters(params: dict[str, Any]) -> np.ndarray | None:
    """The kernel of the first convolution, where there is one over a single channel."""
    kernel = params.get("conv_0", {}).get("kernel")
    return (
        np.asarray(kernel) if kernel is not None and np.ndim(kernel) == 4 and kernel.shape[2] == 1 else None
    )
